"""The log of requests: a line for each, with its caller, action, token and end."""

from __future__ import annotations

import logging

from sametoken.server.exchange import Exchange, known

log = logging.getLogger("sametoken.requests")

# The longest client token of nearly every action; longer texts are cut.
_TOKEN_CHARACTERS_MAX = 64


def write_line(exchange: Exchange, seconds: float) -> None:
    """Log the request of an exchange that has its reply, answered within `seconds`."""
    executed, reply = exchange.executed, known(exchange.reply)
    differing = executed.differing if executed is not None else ()
    log.info(
        "%s outcome=%s status=%d code=%s ms=%.1f request=%s%s%s",
        _asked(exchange),
        executed.attempt if executed is not None else "refused",
        reply.status,
        reply.code,
        seconds * 1000,
        exchange.request_id,
        f" differs={','.join(differing)}" if differing else "",
        f" fault={_plain(','.join(one.name for one in exchange.strikes))}"
        if exchange.strikes
        else "",
    )


def write_gone(exchange: Exchange) -> None:
    """Log a request that was given up before its reply, because nobody waits for it."""
    log.info("%s outcome=gone request=%s", _asked(exchange), exchange.request_id)


def _asked(exchange: Exchange) -> str:
    account = exchange.principal.account if exchange.principal is not None else "-"
    token = (exchange.form or {}).get("ClientToken", "-")[:_TOKEN_CHARACTERS_MAX]
    return f"action={_plain(exchange.action)} account={account} token={_plain(token)}"


def _plain(text: str) -> str:
    """Escape a caller's text to one word of a log line, so that it cannot forge fields or lines."""
    if text.isascii() and text.isprintable() and " " not in text:
        return text
    return ascii(text).replace(" ", r"\x20")
