"""The guard before the control routes: for programs on this machine, and for no web page.

There is no password: who may open a connection on loopback may do everything. But a browser of this
machine opens connections for any page. So a Host that is not this machine's is refused, as a page
has whose name was made to lead here, and an Origin of another place.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Callable
from urllib.parse import urlsplit

from sametoken.errors import ServiceError
from sametoken.server.asgi import Application, Message, Receive, Send, send_whole
from sametoken.server.development import JSON
from sametoken.server.exchange import Exchange, known


class Guard:
    """An ASGI application before another, which is made at the first request that it lets by."""

    def __init__(self, make: Callable[[], Application]) -> None:
        self._make = make
        self._made: Application | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        refusal = refusal_of(scope["headers"])
        if refusal is not None:
            await send_whole(send, 403, JSON, json.dumps({"error": refusal}).encode())
            return
        if self._made is None:
            # In another thread: an import takes longer than a request may.
            self._made = await asyncio.to_thread(self._make)
        await self._made(scope, receive, send)


def refusal_of(headers: list[tuple[bytes, bytes]]) -> str | None:
    """Return why a request with these headers is refused; None if it is not."""
    told: dict[bytes, list[str]] = {b"host": [], b"origin": [], b"sec-fetch-site": []}
    for name, value in headers:
        if name in told:
            told[name].append(value.decode("latin-1"))
    hosts, origins = told[b"host"], told[b"origin"]
    if len(hosts) != 1 or not is_here(f"//{hosts[0]}"):
        return (
            f"The Host header is {', '.join(hosts) or 'missing'}: these routes answer only at "
            "localhost, or at a loopback address such as 127.0.0.1."
        )
    for origin in origins:
        if origin not in (f"http://{hosts[0]}", f"https://{hosts[0]}"):
            return (
                f"The Origin header is {origin}: no page of another place may use these routes. "
                "Call them from a program."
            )
    # A browser says so of a request that a page makes without an Origin, such as for an image.
    if any(one not in ("none", "same-origin") for one in told[b"sec-fetch-site"]):
        return (
            "A page of another place asks for this: no page may use these routes. Call them from a "
            "program."
        )
    return None


def refuse_pages(exchange: Exchange) -> Exchange:
    """Refuse what a web page sends to EC2's API: where any credentials do, nothing else would."""
    refusal = refusal_of(list(known(exchange.wire).headers))
    if refusal is not None:
        raise ServiceError("UnauthorizedOperation", refusal, http_status=403)
    return exchange


def is_here(url: str) -> bool:
    """Tell whether a URL leads to this machine, by its name alone."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
