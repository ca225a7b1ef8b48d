"""The control routes over HTTP: JSON in and out, and errors that say what to do.

Starlette finds the route; it is imported with this module, so only in development mode.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sametoken.control.acts import Act
from sametoken.errors import SametokenError, ServiceError, Transient
from sametoken.nearest import did_you_mean
from sametoken.operate.settling import Unsettled
from sametoken.server.asgi import Application
from sametoken.server.development import JSON, PREFIX

# A hundred times the largest that any act takes but faults.
BODY_BYTES_MAX = 256 * 1024


def application(acts: Sequence[Act]) -> Application:
    """Serve the acts, and a list of them at the prefix itself."""
    listed = {
        "acts": [
            {"method": one.method, "path": PREFIX + one.path, "does": one.says} for one in acts
        ]
    }
    listing = Act("GET", "", "list the acts", lambda _: listed)
    by_path: dict[str, dict[str, Act]] = {}
    for one in (listing, *acts):
        by_path.setdefault(one.path, {})[one.method] = one
    routes = [
        Route(PREFIX + path, _endpoint(methods), methods=list(methods))
        for path, methods in by_path.items()
    ]
    paths = [PREFIX + path for path in by_path]

    def refuse(request: Request, error: Exception) -> Response:
        return _refused(request, error, paths)

    handlers = {HTTPException: refuse, SametokenError: refuse, Exception: refuse}
    return Starlette(routes=routes, exception_handlers=handlers)


def _endpoint(methods: Mapping[str, Act]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        # HEAD is GET without the body.
        act = methods.get(request.method) or methods["GET"]
        given = {**request.query_params, **await _body(request)}
        act.check(given)
        # In a thread: an act waits for the database, an advance for much more.
        result = await asyncio.to_thread(act.run, given)
        body = msgspec.json.encode({} if result is None else result)
        return Response(body, media_type=JSON)

    return answer


async def _body(request: Request) -> dict[str, Any]:
    """Return the members of the body's object; none without a body."""
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > BODY_BYTES_MAX:
            raise HTTPException(413, f"The body is longer than {BODY_BYTES_MAX} bytes.")
    if not raw.strip():
        return {}
    try:
        given = json.loads(raw)
        # Half of a surrogate pair can be written as JSON, and is no text that can be answered.
        json.dumps(given, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"The body is not JSON: {error}.") from error
    if not isinstance(given, dict):
        raise HTTPException(400, 'The body is not a JSON object, such as {"by": "25h"}.')
    return given


def _refused(request: Request, error: Exception, paths: Sequence[str]) -> Response:
    """Answer with the error as a sentence, and a status that tells whose it is."""
    path, more = request.url.path, dict[str, object]()
    match error:
        case HTTPException(status_code=404):
            hint = did_you_mean(path, paths)
            status, text = 404, f"There is nothing at {path}; GET {PREFIX} lists all.{hint}"
        case HTTPException(status_code=405):
            allowed = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
            text = f"{path} does not take {request.method}; use {allowed}."
            return JSONResponse({"error": text}, 405, {"allow": allowed})
        case HTTPException():
            status, text = error.status_code, error.detail
        case Unsettled():
            status, text = 504, str(error)
            more = {"now": error.now.isoformat(), "left": list(error.left)}
        case Transient():
            status, text = 503, f"{error}; repeat the request"
        case ServiceError():
            status, text = error.http_status, str(error)
        case SametokenError():
            status, text = 400, str(error)
        case _:
            # The edge logs it.
            status, text = 500, "A bug of the server's; its log tells more."
    return JSONResponse({"error": text, **more}, status)
