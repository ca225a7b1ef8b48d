"""The guard before every page: whose requests are answered, and the headers of each answer.

A form of another place is refused by its `Origin`, whatever cookie it carries. An answer runs no
script and loads nothing but the console's own, is shown in no frame, and is kept nowhere.
"""

from __future__ import annotations

from sametoken.control.guard import is_here
from sametoken.server.asgi import Application, Message, Receive, Send, send_whole

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Not `no-referrer`, with which a browser names no origin in its own page's forms.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
# Of every answer that does not say how long it may be kept.
_KEPT_NOWHERE = (b"cache-control", b"no-store")


class Guard:
    """An ASGI application before the console's. `is_here_alone`: only this machine may use it."""

    def __init__(self, inner: Application, *, is_here_alone: bool) -> None:
        self._inner = inner
        self._is_here_alone = is_here_alone

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                kept = any(name.lower() == b"cache-control" for name, _ in given)
                more = HEADERS if kept else (*HEADERS, _KEPT_NOWHERE)
                message = {**message, "headers": [*given, *more]}
            await send(message)

        refusal = refusal_of(scope["method"], scope["headers"], is_here_alone=self._is_here_alone)
        if refusal is not None:
            await send_whole(guarded, 403, "text/plain;charset=UTF-8", f"{refusal}\n".encode())
            return
        await self._inner(scope, receive, guarded)


def refusal_of(
    method: str, headers: list[tuple[bytes, bytes]], *, is_here_alone: bool
) -> str | None:
    """Return why a request is refused, whoever sends it; None if it is not."""
    told: dict[bytes, list[str]] = {b"host": [], b"origin": [], b"sec-fetch-site": []}
    for name, value in headers:
        if name in told:
            told[name].append(value.decode("latin-1"))
    hosts, origins, sites = told.values()
    if len(hosts) != 1 or (is_here_alone and not is_here(f"//{hosts[0]}")):
        return (
            f"The Host header is {', '.join(hosts) or 'missing'}: this console answers only at "
            "localhost, or at a loopback address such as 127.0.0.1."
        )
    if method in ("GET", "HEAD"):
        return None
    own = (f"http://{hosts[0]}", f"https://{hosts[0]}")
    if len(origins) != 1 or origins[0] not in own or any(one != "same-origin" for one in sites):
        return (
            f"The Origin header is {', '.join(origins) or 'missing'}: only the console's own pages "
            "may change something here."
        )
    return None
