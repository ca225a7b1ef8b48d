"""Moments in rows' documents, which are JSON: kept as microseconds, under names that end in `_us`.

Released databases hold them in this form, so no other module may depend on it. A moment with a
column of its own is a `store.columns.Moment`. Callers' parameters may have moments at any depth;
see `ec2.kit.packing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sametoken.store.columns import from_microseconds, to_microseconds

_SUFFIX = "_us"


def kept_moment(name: str, moment: datetime) -> dict[str, int]:
    """Make the member of a document that keeps a moment. `name` is the event, e.g. "attached"."""
    return {name + _SUFFIX: to_microseconds(moment)}


def find_moment(document: Mapping[str, Any], name: str) -> datetime | None:
    """Return the moment that a document keeps under `name`; None if it keeps none."""
    value = document.get(name + _SUFFIX)
    return None if value is None else from_microseconds(value)


def get_moment(document: Mapping[str, Any], name: str) -> datetime:
    """Return the moment that a document keeps under `name`. The document must have it."""
    moment = find_moment(document, name)
    assert moment is not None, f"the document does not keep when it was {name}"
    return moment


def without_moments(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document without its moments, because no answer shows a moment as a number."""
    return {name: value for name, value in document.items() if not name.endswith(_SUFFIX)}


def moment_of(microseconds: int) -> datetime:
    """Return the moment that is kept as so many microseconds since 1970."""
    return from_microseconds(microseconds)
