"""Rendering of pages: templates of the package, in which every value is escaped."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from datetime import datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sametoken.server.browsing import PREFIX

_FOLDER = Path(__file__).parent
# Rows of tables that are kept as they were rendered, half a KiB each.
_ROWS_KEPT = 2000
# Files of `static/`, by their names, with their media types.
MEDIA = {
    "style.css": "text/css; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


@cache
def static(name: str) -> bytes:
    """Return a file of `static/`."""
    return (_FOLDER / "static" / name).read_bytes()


@cache
def static_path(name: str) -> str:
    """Return the path of a static file, another one for each content: it may be kept for ever."""
    return f"{PREFIX}/static/{hashlib.sha256(static(name)).hexdigest()[:12]}/{name}"


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_FOLDER / "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(prefix=PREFIX, static_path=static_path, link=link, row=row)
    made.filters.update(moment=moment, clock=clock, span=span, number=number)
    return made


def render(template: str, values: Mapping[str, object]) -> str:
    """Return the page of a template."""
    return _environment().get_template(template).render(values)


@lru_cache(_ROWS_KEPT)
def row(template: str, one: Hashable) -> Markup:
    """Return the row of a value in a table; of most nothing has changed since the last time."""
    return Markup(render(template, {"one": one}))  # noqa: S704 - the template escaped it


def link(path: str, **query: object) -> str:
    """Return a link to a page of the console; members that are empty are left out."""
    told = urlencode({name: value for name, value in query.items() if value not in (None, "")})
    return f"{PREFIX}{path}?{told}" if told else f"{PREFIX}{path}"


def moment(at: datetime) -> str:
    return at.isoformat(" ", "seconds")[:19]


def clock(at: datetime) -> str:
    """Return a moment's time of day, with its milliseconds."""
    return at.isoformat(" ", "milliseconds")[11:23]


def span(of: timedelta) -> str:
    """Return a span in its two largest units, such as `25 h 3 min`."""
    seconds = of.total_seconds()
    if abs(seconds) < 1:
        return f"{seconds * 1000:.0f} ms"
    if abs(seconds) < 10:
        return f"{seconds:.2f} s"
    parts: list[str] = []
    left = int(seconds)
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def number(of: float) -> str:
    """Return a number with its thousands apart, by thin blanks that do not break."""
    return f"{of:,}".replace(",", "\u202f")
