"""Browsers at the endpoint: a person who opens it is shown the way to the console.

EC2's API has the path `/`. Its requests name an action and are signed, which a browser's never are
when a person types the address.
"""

from __future__ import annotations

from sametoken.ec2.protocol.wire import WireRequest
from sametoken.server.replies import Answer

PREFIX = "/console"
TO_CONSOLE = Answer(303, f"location: {PREFIX}\r\ncache-control: no-store\r\n".encode(), b"")


def is_console(path: str) -> bool:
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def asks_for_page(request: WireRequest) -> bool:
    """Tell whether a browser asks for `/`: it wants HTML, names no action, and signs nothing."""
    return (
        request.method == "GET"
        and request.path == b"/"
        and not request.query
        and "text/html" in (request.last("accept") or "")
        and not request.has(b"authorization")
    )
