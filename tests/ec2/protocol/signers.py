"""botocore's own signers, the requests they sign, and ways to tamper with those requests.

The signers take the time from `botocore.auth`, where it is patched, so no test reads a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, quote, urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sametoken.ec2.protocol.signing import Signature, WireRequest, read_signature
from sametoken.errors import ServiceError

NOW = datetime(2030, 2, 3, 4, 5, 6, tzinfo=UTC)
KEY, SECRET = "AKIDEXAMPLE000000001", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
CREDENTIALS: Any = Credentials(KEY, SECRET)
REGION, DEFAULT_REGION = "eu-west-1", "us-east-2"
ENDPOINT = "http://127.0.0.1:8100/"
SECOND = timedelta(seconds=1)
WINDOW = timedelta(minutes=15)
MARGIN = timedelta(minutes=1)

PLAIN = {"Action": "DescribeInstances", "Version": "2016-11-15", "Filter.1.Name": "tag:a"}
ODD = {
    "Action": "CreateTags",
    "Blank": "a b  c",
    "Plus": "a+b",
    "Star": "*'()!",
    "Tilde": "~-_.",
    "Unicode": "é漢🙂",
    "Slash": "/a%2Fb/",
    "Reserved": "&=;?#@:,$",
    "Empty": "",
    "Control": "a\nb\tc\x00",
    "é name": "1",
    "A.10": "x",
    "A.2": "y",
}

Signer = Callable[..., WireRequest]


def wire(request: AWSRequest) -> WireRequest:
    """Return the request as botocore would send it. Its HTTP library would add the Host."""
    prepared = request.prepare()
    url = urlsplit(prepared.url)
    body = prepared.body or b""
    headers = {raw(name.lower()): raw(value) for name, value in prepared.headers.items()}
    headers.setdefault(b"host", raw(url.netloc))
    return WireRequest(
        method=prepared.method,
        path=raw(url.path),
        query=raw(url.query),
        headers=tuple(headers.items()),
        body=body.encode() if isinstance(body, str) else body,
    )


def raw(value: str | bytes) -> bytes:
    """Encode a text for the wire, even one no client would send, such as half a surrogate pair."""
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")


def form_of(request: WireRequest) -> dict[str, str]:
    """Read the fields of a request, and refuse none for its size or its characters."""
    form = parse_qsl(request.query.decode("latin-1"), keep_blank_values=True)
    if request.method == "POST":
        form += parse_qsl(request.body.decode("latin-1"), keep_blank_values=True)
    return dict(form if request.method == "POST" else reversed(form))


def read(request: WireRequest, *, now: datetime = NOW, **options: Any) -> Signature:
    return read_signature(
        request, form_of(request), now=now, default_region=DEFAULT_REGION, **options
    )


def unsigned(
    method: str, params: Mapping[str, str], url: str = ENDPOINT, **headers: str
) -> AWSRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if method == "GET":
        encoded = "&".join(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in params.items())
        return AWSRequest(method="GET", url=f"{url}?{encoded}", headers=named)
    named["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    return AWSRequest(method="POST", url=url, data=dict(params), headers=named)


def v4(
    method: str = "POST",
    params: Mapping[str, str] = PLAIN,
    *,
    at: datetime = NOW,
    region: str = REGION,
    service: str = "ec2",
    **request: str,
) -> WireRequest:
    return signed(
        botocore.auth.SigV4Auth(CREDENTIALS, service, region),
        unsigned(method, params, **request),
        at,
    )


def presigned(
    method: str = "GET",
    params: Mapping[str, str] = PLAIN,
    *,
    at: datetime = NOW,
    expires: int = 3600,
    **request: str,
) -> WireRequest:
    return signed(
        botocore.auth.SigV4QueryAuth(CREDENTIALS, "ec2", REGION, expires=expires),
        unsigned(method, params, **request),
        at,
    )


def signed(signer: Any, request: AWSRequest, at: datetime) -> WireRequest:
    with patch.object(botocore.auth, "get_current_datetime", lambda: at.replace(tzinfo=None)):
        signer.add_auth(request)
    return wire(request)


def v2(
    method: str = "POST",
    params: Mapping[str, str] = PLAIN,
    *,
    at: datetime = NOW,
    url: str = ENDPOINT,
    changes: Mapping[str, str | None] = MappingProxyType({}),
) -> WireRequest:
    """Sign by version 2 with botocore, but not by its `add_auth`, which would read the clock.

    `changes` replace parameters of the signature before it is signed; None leaves one out.
    """
    given = {
        "AWSAccessKeyId": KEY,
        "SignatureVersion": "2",
        "SignatureMethod": "HmacSHA256",
        "Timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        **changes,
    }
    whole = {**params, **{name: value for name, value in given.items() if value is not None}}
    signer = botocore.auth.SigV2Auth(CREDENTIALS)
    _, signature = signer.calc_signature(AWSRequest(method=method, url=url), whole)
    return wire(unsigned(method, {**whole, "Signature": signature}, url=url))


SCHEMES: dict[str, Signer] = {
    "v4 POST": v4,
    "v4 GET": lambda **given: v4("GET", **given),
    "presigned GET": presigned,
    "v2 POST": v2,
    "v2 GET": lambda **given: v2("GET", **given),
}
every_scheme = pytest.mark.parametrize("sign", SCHEMES.values(), ids=SCHEMES.keys())


def with_header(request: WireRequest, name: str, value: str | None) -> WireRequest:
    kept = tuple(pair for pair in request.headers if pair[0] != raw(name))
    return replace(request, headers=kept if value is None else (*kept, (raw(name), raw(value))))


def header(request: WireRequest, name: str) -> str:
    """Return the value of a header, which must have been sent exactly once."""
    value = request.only(name)
    assert value is not None, f"{name} was sent"
    return value


def with_authorization(request: WireRequest, old: str, new: str) -> WireRequest:
    text = header(request, "authorization")
    assert old in text, "the change changes something"
    return with_header(request, "authorization", text.replace(old, new))


def with_query(request: WireRequest, old: str, new: str) -> WireRequest:
    assert raw(old) in request.query, "the change changes something"
    return replace(request, query=request.query.replace(raw(old), raw(new)))


def refusal(request: WireRequest, *, now: datetime = NOW, **options: Any) -> tuple[str, int]:
    """Return code and status of the refusal, whether by reading the signature or verifying it."""
    with pytest.raises(ServiceError) as caught:
        read(request, now=now, **options).verify(SECRET)
    return caught.value.code, caught.value.http_status


MISMATCH = ("SignatureDoesNotMatch", 403)
INCOMPLETE = ("IncompleteSignature", 400)
EXPIRED = ("RequestExpired", 400)
FAILURE = ("AuthFailure", 401)
MISSING = ("MissingParameter", 400)
INVALID = ("InvalidParameterValue", 400)
