"""Calls of AWS's other services, which come here by a general endpoint: refused so that it shows.

Each client shows only errors in its own service's form, and would print nothing of EC2's. Headers
tell what a call is for, before anything of it is parsed or proven. Pure.
"""

from __future__ import annotations

import json
import re
from html import escape

from sametoken.ec2.protocol.wire import WireRequest
from sametoken.ec2.protocol.xml import render_error
from sametoken.errors import ServiceError
from sametoken.server.exchange import Reply

_SERVED = ("ec2", "sts")
_SCOPE = re.compile(r"Credential=[^/,\s]+/[0-9]{8}/[^/,\s]+/([a-z0-9-]{1,40})/aws4_request")
# A call's operation by its name, such as `DynamoDB_20120810.ListTables`.
_TARGET = re.compile(r"[A-Za-z0-9_.]{1,128}\Z")
# Services whose errors are one element of XML, without an envelope.
_REST_XML = frozenset({"cloudfront", "route53", "s3", "s3express", "s3-outposts"})
_CODE = "InvalidAction"
_JSON = "application/x-amz-json-1.0"


def refusal_of(wire: WireRequest, request_id: str) -> Reply | None:
    """The reply to a call of another service, in its form; None for a call that is served here."""
    found = _SCOPE.search(wire.last("authorization") or "")
    service = found[1] if found is not None else None
    target = wire.last("x-amz-target")
    if target is None and (service is None or service in _SERVED):
        return None
    called = target if target is not None and _TARGET.match(target) else None
    text = (
        "This endpoint serves EC2, and GetCallerIdentity of STS. It got a call of another service"
        f"{f', {service}' if service is not None and service not in _SERVED else ''}"
        f"{f' ({called})' if called is not None else ''}. Set AWS_ENDPOINT_URL_EC2 (and _STS) "
        "instead of AWS_ENDPOINT_URL, or unset the endpoint of that service."
    )
    if service in _REST_XML:
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{_CODE}</Code>'
            f"<Message>{escape(text)}</Message><RequestId>{request_id}</RequestId></Error>"
        )
        return Reply(400, body.encode(), _CODE)
    if target is None and (b"Action=" in wire.body or b"Action=" in wire.query):
        return Reply(400, render_error("query", ServiceError(_CODE, text), request_id), _CODE)
    said = {"__type": _CODE, "code": _CODE, "message": text}
    return Reply(400, json.dumps(said).encode(), _CODE, _JSON)
