"""Development mode as the edge shows it: a header in every reply, and routes that control a node.

Outside development mode these routes say so, and nothing else. `sametoken.control` has what answers
there in it.
"""

from __future__ import annotations

import json

from sametoken.server.asgi import Message, Receive, Send, send_whole

# A line of the head of every reply, so that nobody takes the node for one that is meant to last.
MARK = b"x-sametoken-dev: 1\r\n"
PREFIX = "/_sametoken"
JSON = "application/json"


def is_control(path: str) -> bool:
    return path == PREFIX or path.startswith(f"{PREFIX}/")


async def refuse(scope: Message, receive: Receive, send: Send) -> None:
    """Answer at a control route of a node that is not in development mode."""
    said = {
        "error": f"{scope['path']} is for development, and this server is not in development mode. "
        "Start one with `sametoken serve --dev`."
    }
    await send_whole(send, 403, JSON, json.dumps(said).encode())
