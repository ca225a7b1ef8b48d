"""Moments in rows' documents, which are JSON: kept as microseconds, under names that end in `_us`.

No other module knows how, because released databases hold them so. A column of its own is a
`store.columns.Moment`; what a caller sent may have moments at any depth, see `ec2.kit.packing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sametoken.store.columns import from_microseconds, to_microseconds

_SUFFIX = "_us"


def kept_moment(name: str, moment: datetime) -> dict[str, int]:
    """The member of a document that keeps a moment; `name` says what happened, as "attached"."""
    return {name + _SUFFIX: to_microseconds(moment)}


def find_moment(document: Mapping[str, Any], name: str) -> datetime | None:
    """The moment that a document keeps by that name, None where it keeps none."""
    value = document.get(name + _SUFFIX)
    return None if value is None else from_microseconds(value)


def get_moment(document: Mapping[str, Any], name: str) -> datetime:
    """The moment that a document keeps by that name. Every such document has one."""
    moment = find_moment(document, name)
    assert moment is not None, f"the document does not keep when it was {name}"
    return moment


def without_moments(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document's other members: no answer shows a moment as a number."""
    return {name: value for name, value in document.items() if not name.endswith(_SUFFIX)}
