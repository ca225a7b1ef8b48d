"""Comparing an answer with a recorded one: members, kinds of values, and values that must be equal.

A value that varies between two runs (an id, a moment, an address, a name made up by a test) is
equal to anything of its kind; an id that stands where a recorded one stood is that id from then on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Document = dict[str, Any]

ID = re.compile(r"[a-z]+(-[a-z]+)*-(?:[0-9a-f]{17}|[0-9a-f]{8})\b")
# LocalStack writes what varies as a name in brackets.
_NAMED = re.compile(r"<[^<>]+>")
# Members whose values are never the same twice.
_VARIES = re.compile(
    r"(Time|Timestamp|Date|At|Address|AddressId|Ip|PublicIp|Token|Name|Arn|Fingerprint|Material"
    r"|Progress|Zone|ZoneId|Description|HostedZoneId|Count|Reason|CidrBlock|Cidr|RequesterId"
    r"|PolicyDocument|Output|Value|Key|UserId|OwnerId|IpOwnerId)\Z"
)


def differences(path: str, recorded: Any, given: Any, ids: dict[str, str]) -> Iterator[str]:
    """Name what differs, and learn which id stands for which recorded one."""
    if isinstance(recorded, dict) and isinstance(given, dict):
        yield from _of_members(path, recorded, given, ids)
    elif isinstance(recorded, list) and isinstance(given, list):
        if len(recorded) != len(given):
            yield f"{path} has {len(given)} elements, not {len(recorded)}"
        for one, other in zip(recorded, given, strict=False):
            yield from differences(f"{path}[]", one, other, ids)
    elif isinstance(recorded, str) and isinstance(given, str):
        yield from _of_texts(path, recorded, given, ids)
    elif (
        type(recorded) is type(given)
        and isinstance(recorded, bool | int | float)
        and recorded != given
        and not _VARIES.search(path)
    ):
        yield f"{path} is {given!r}, not {recorded!r}"


def _of_members(
    path: str, recorded: Document, given: Document, ids: dict[str, str]
) -> Iterator[str]:
    for name in sorted(recorded.keys() | given.keys()):
        inner = f"{path}.{name}".removeprefix(".")
        if name not in given:
            yield f"{inner} is missing"
        elif name not in recorded:
            yield f"{inner} is returned, and EC2 leaves it out"
        else:
            yield from differences(inner, recorded[name], given[name], ids)


def _of_texts(path: str, recorded: str, given: str, ids: dict[str, str]) -> Iterator[str]:
    if ID.fullmatch(recorded) and ID.fullmatch(given):
        known = ids.setdefault(recorded, given)
        if known != given:
            yield f"{path} names another resource than before"
    elif not _alike(recorded, given, ids) and not _VARIES.search(path):
        yield f"{path} is {given!r}, not {recorded!r}"


def _alike(recorded: str, given: str, ids: Mapping[str, str]) -> bool:
    """Compare texts, with the ids in the recorded one replaced by those that stand for them."""
    pieces = [re.escape(piece) for piece in _NAMED.split(translated(recorded, ids))]
    return re.fullmatch(".*".join(pieces), given, re.DOTALL) is not None


def translated(value: Any, ids: Mapping[str, str]) -> Any:
    """Replace recorded ids in a document or a text by those that stand for them."""
    if isinstance(value, dict):
        return {name: translated(inner, ids) for name, inner in value.items()}
    if isinstance(value, list):
        return [translated(inner, ids) for inner in value]
    if not isinstance(value, str):
        return value
    for old, new in ids.items():
        value = value.replace(old, new)
    return value


def text_differs(recorded: str, given: str) -> bool:
    """Tell whether two messages differ in more than ids, quoted values and numbers."""
    return _template(recorded) != _template(given)


def _template(text: str) -> str:
    return re.sub(r"\d+", "#", ID.sub("<id>", text))
