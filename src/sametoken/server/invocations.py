"""Invocations: the id that AWS's SDKs give to one call, the same at each of its attempts.

Sent as `amz-sdk-invocation-id`, with the attempt's number in `amz-sdk-request`. Both are
kept with what the request makes, for people. With `--dedupe-invocations`, off by default, the id
also stands in for a token where a request has none: parameters are compared, and a repeat is
answered from what the first attempt did. EC2 itself does not offer this.
"""

from __future__ import annotations

import re
from dataclasses import replace

from sametoken.derived import derive_token
from sametoken.ec2.kit.actions import Read
from sametoken.ec2.protocol.wire import WireRequest
from sametoken.server.exchange import Exchange, known
from sametoken.store.codec import dumps

HEADER = "amz-sdk-invocation-id"
NUMBER_HEADER = "amz-sdk-request"
# Matches a UUID, which every SDK sends; any other text is no token.
_INVOCATION = re.compile(r"[0-9a-fA-F-]{32,36}\Z")
# Matches what may be shown and kept: no text of a caller's is longer.
_SHOWN = re.compile(r"[!-~]{1,64}\Z")
_NUMBER = re.compile(r"\battempt=(\d{1,4})(?!\d)")


def token_of(invocation: str | None) -> str | None:
    """Derive the token of an invocation id; None if there is no id, or if it is not a UUID."""
    if invocation is None or _INVOCATION.match(invocation) is None:
        return None
    return derive_token("invocation", invocation)


def id_of(wire: WireRequest) -> str | None:
    """Return the id of the invocation, for people; None if the client sends none."""
    found = wire.last(HEADER)
    return found if found is not None and _SHOWN.match(found) else None


def number_of(wire: WireRequest) -> int | None:
    """Return the number of the attempt as its client counts, from 1; None if it does not say."""
    found = _NUMBER.search(wire.last(NUMBER_HEADER) or "")
    return None if found is None else int(found[1])


def noted(exchange: Exchange, node: str, *, stands_in: bool) -> Exchange:
    """Note where a change comes from; with `stands_in`, let its id be the token that it lacks."""
    admitted, wire = known(exchange.admitted), known(exchange.wire)
    if isinstance(admitted.action, Read):
        return exchange
    if stands_in:
        admitted = replace(admitted, stand_in=token_of(wire.last(HEADER)))
    if admitted.client_token is not None:
        received_us = round(exchange.received * 1e6)
        origin = dumps([node, received_us, id_of(wire), number_of(wire)])
        admitted = replace(admitted, request=replace(admitted.request, origin=origin))
    return exchange._replace(admitted=admitted)
