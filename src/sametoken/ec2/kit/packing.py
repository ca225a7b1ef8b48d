"""Documents in a form that JSON can hold and give back: moments stay moments. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sametoken.store.columns import from_microseconds, to_microseconds

_MOMENT = "$moment"


def packed(value: Any) -> Any:
    """`value` with its moments as numbers that say what they are."""
    if isinstance(value, datetime):
        return {_MOMENT: to_microseconds(value)}
    if isinstance(value, dict):
        return {name: packed(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [packed(inner) for inner in value]
    return value


def unpacked(value: Any) -> Any:
    """The value that `packed` was given."""
    if isinstance(value, dict):
        if value.keys() == {_MOMENT}:
            return from_microseconds(value[_MOMENT])
        return {name: unpacked(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [unpacked(inner) for inner in value]
    return value
