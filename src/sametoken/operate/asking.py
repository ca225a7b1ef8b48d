"""Asking the server of a database to do something, at its control routes (development mode)."""

from __future__ import annotations

import json
from typing import Any

from sametoken.errors import Misconfigured
from sametoken.operate.clients import endpoint
from sametoken.operate.opened import Opened
from sametoken.server.development import JSON, MARK, PREFIX
from sametoken.store.reading import Reads

# Longer than anything a server does before it answers.
_ANSWER_SECONDS = 90.0


def ask(here: Opened[Reads], method: str, path: str, given: dict[str, object] | None = None) -> Any:
    """Send `given` to a control route, and return what the server answers.

    Raises `Misconfigured`, with what to do, when no server runs, or it refuses.
    """
    # Imported here: commands that ask nobody load this module too.
    from urllib.error import HTTPError, URLError
    from urllib.request import ProxyHandler, Request, build_opener

    url = endpoint(here)
    if url is None:
        raise Misconfigured(f"no server of {here.database} runs; start `sametoken serve --dev`")
    body = None if given is None else json.dumps(given).encode()
    whole, headers = url + PREFIX + path, {"content-type": JSON}
    request = Request(whole, body, headers, method=method)  # noqa: S310 - the node's own URL
    try:
        # No proxy: the server is on this machine.
        with build_opener(ProxyHandler({})).open(request, timeout=_ANSWER_SECONDS) as reply:
            return json.load(reply)
    except HTTPError as refused:
        said = _reason(refused.code, refused.read())
        if MARK.partition(b":")[0].decode() not in refused.headers:
            raise Misconfigured(
                f"the server at {url} is not in development mode; stop it, and start it again with "
                "`sametoken serve --dev`"
            ) from None
        raise Misconfigured(said) from None
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise Misconfigured(
            f"no server of {here.database} answers at {url} ({reason}); start `sametoken serve "
            "--dev`, or wait until it is up"
        ) from error


def _reason(status: int, body: bytes) -> str:
    try:
        said: str = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return f"the server answered {status}; is it another version's?"
    return said
