"""Calls of the control routes of a plane in development mode. For tests only."""

from __future__ import annotations

import http.client
import json
from typing import Any, NamedTuple
from urllib.parse import urlsplit

JSON = {"content-type": "application/json"}


class Told(NamedTuple):
    """An answer: its status, what its JSON says, and its headers by their names in lower case."""

    status: int
    said: Any
    headers: dict[str, str]


def call(
    url: str, method: str, path: str, given: object = None, headers: dict[str, str] | None = None
) -> Told:
    """Call a control route by its path below /_sametoken, or any path that begins with it."""
    place = urlsplit(url)
    assert place.hostname is not None, url
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=90)
    body = given if isinstance(given, bytes) else None if given is None else json.dumps(given)
    whole = path if path.startswith(("/_sametoken", "/health")) else f"/_sametoken{path}"
    try:
        connection.request(method, whole, body, JSON | (headers or {}))
        reply = connection.getresponse()
        raw = reply.read()
    finally:
        connection.close()
    told = {name.lower(): value for name, value in reply.getheaders()}
    is_json = told.get("content-type", "").startswith("application/json")
    return Told(reply.status, json.loads(raw) if is_json and raw else raw.decode(), told)
