"""The log of requests: a line for each, with its caller, action, token and end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sametoken.events import EventKind, plain, words
from sametoken.server.exchange import Exchange, known

log = logging.getLogger("sametoken.requests")

# The longest client token of nearly every action; longer texts are cut.
_TOKEN_CHARACTERS_MAX = 64
# Instances of a launch that its line names; the reservation's reply names all.
_INSTANCES_MAX = 20


REQUEST = EventKind(
    "request",
    (
        "action", "account", "token", "outcome", "status", "code", "ms", "request", "differs",
        "instances", "fault",
    ),
    "A request was answered, or given up (`gone`, without a status). Its outcome is `new`, "
    "`replay`, `mismatch` (then `differs` names the parameters), `failed` (no capacity), `done`, "
    "`read`, `refused` or `lost` (by a fault). `instances` are those that a launch made, `fault` "
    "names the rules that struck. For people the line begins with its first field.",
)  # fmt: skip


class RequestLine:
    """The event of a request that has its reply, or without `seconds` was given up before it."""

    __slots__ = ("_exchange", "_seconds")

    kind = REQUEST

    def __init__(self, exchange: Exchange, seconds: float | None) -> None:
        self._exchange = exchange
        self._seconds = seconds

    def __str__(self) -> str:
        """Write its values as `words` would, in a third of the time: each request has a line."""
        exchange = self._exchange
        account = "-" if exchange.principal is None else exchange.principal.account
        asked = f"action={plain(exchange.action)} account={account} token={plain(_token(exchange))}"
        if self._seconds is None:
            return f"{asked} outcome=gone request={exchange.request_id}"
        reply, more = known(exchange.reply), _more(exchange)
        return (
            f"{asked} outcome={exchange.outcome} status={reply.status} code={reply.code} "
            f"ms={self._seconds * 1000:.1f} request={exchange.request_id}"
            f"{f' {words(more)}' if more else ''}"
        )

    def values(self) -> Mapping[str, Any]:
        exchange = self._exchange
        asked = {
            "action": exchange.action,
            "account": "-" if exchange.principal is None else exchange.principal.account,
            "token": _token(exchange),
        }
        if self._seconds is None:
            return asked | {"outcome": "gone", "request": exchange.request_id}
        reply = known(exchange.reply)
        return {
            **asked,
            "outcome": exchange.outcome,
            "status": reply.status,
            "code": reply.code,
            "ms": round(self._seconds * 1000, 1),
            "request": exchange.request_id,
            **_more(exchange),
        }


def _token(exchange: Exchange) -> str:
    return (exchange.form or {}).get("ClientToken", "-")[:_TOKEN_CHARACTERS_MAX]


def _more(exchange: Exchange) -> dict[str, str]:
    """Return the fields that few requests have."""
    found, executed = dict[str, str](), exchange.executed
    if executed is not None and executed.differing:
        found["differs"] = ",".join(executed.differing)
    if executed is not None and executed.result and exchange.action == "RunInstances":
        launched = executed.result["Instances"][:_INSTANCES_MAX]
        found["instances"] = ",".join([one["InstanceId"] for one in launched])
    if exchange.strikes:
        found["fault"] = ",".join(one.name for one in exchange.strikes)
    return found


def write_line(exchange: Exchange, seconds: float) -> None:
    """Log the request of an exchange that has its reply, answered within `seconds`."""
    log.info(RequestLine(exchange, seconds))


def write_gone(exchange: Exchange) -> None:
    """Log a request that was given up before its reply, because nobody waits for it."""
    log.info(RequestLine(exchange, None))
