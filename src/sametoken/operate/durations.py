"""Spans of time as people write them: 90s, 15m, 25h, 2d, 1h30m."""

from __future__ import annotations

import re
from datetime import timedelta

from sametoken.errors import Misconfigured

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|[smhd])")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")


def read_duration(text: str) -> timedelta:
    """Return the span that `text` names. Raises `Misconfigured` if it names none."""
    if not _WHOLE.fullmatch(text):
        raise Misconfigured(
            f"{text!r} is no span of time; write a number and a unit, such as 90s, 15m, 25h or 2d"
        )
    try:
        return sum(
            (float(number) * _UNITS[unit] for number, unit in _PART.findall(text)), timedelta(0)
        )
    except OverflowError:
        raise Misconfigured(f"{text!r} is too long a span of time") from None
