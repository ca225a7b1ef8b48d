"""The log of requests: a line for each, with its caller, action, token and end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from sametoken.events import EventKind, words
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
        return words(self.values())

    def values(self) -> Mapping[str, Any]:
        exchange = self._exchange
        found: dict[str, Any] = {
            "action": exchange.action,
            "account": "-" if exchange.principal is None else exchange.principal.account,
            "token": (exchange.form or {}).get("ClientToken", "-")[:_TOKEN_CHARACTERS_MAX],
        }
        if self._seconds is None:
            return found | {"outcome": "gone", "request": exchange.request_id}
        reply, executed = known(exchange.reply), exchange.executed
        found["outcome"] = exchange.outcome
        found["status"] = reply.status
        found["code"] = reply.code
        found["ms"] = round(self._seconds * 1000, 1)
        found["request"] = exchange.request_id
        if executed is not None:
            if executed.differing:
                found["differs"] = ",".join(executed.differing)
            if executed.result is not None and exchange.action == "RunInstances":
                launched = executed.result["Instances"][:_INSTANCES_MAX]
                found["instances"] = ",".join(one["InstanceId"] for one in launched)
        if exchange.strikes:
            found["fault"] = ",".join(one.name for one in exchange.strikes)
        return found


def write_line(exchange: Exchange, seconds: float) -> None:
    """Log the request of an exchange that has its reply, answered within `seconds`."""
    log.info(RequestLine(exchange, seconds))


def write_gone(exchange: Exchange) -> None:
    """Log a request that was given up before its reply, because nobody waits for it."""
    log.info(RequestLine(exchange, None))
