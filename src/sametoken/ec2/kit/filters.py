"""The `Filter` parameter of every Describe action. Pure: no I/O, no clock.

Rules, from "List and filter using the CLI and API" in the EC2 User Guide: several filters are
joined with AND, the values of one with OR; names and values are case-sensitive; `*` stands for any
characters, `?` for one, a backslash takes the special meaning away. A name that the action does not
know is refused; two filters of one name must both match.

Not here: what an action's filters are. Each action has a table from filter name to a `Getter`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sametoken import patience
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.nearest import did_you_mean

T = TypeVar("T")

# Gives every value that an item has for one filter.
Getter = Callable[[T], Iterable[str]]

# The limits that the User Guide names under "Filtering considerations". It says 200 values "per
# filter", but the refusal EC2 sends counts those "specified on a single call", and callers met it
# at 199 values plus another filter's (ansible/ansible#16184); so the values of a call are summed.
FILTERS_MAX = 50
VALUES_MAX = 200
VALUE_CHARACTERS_MAX = 255

# The entry of a table that stands for every filter named `tag:<key>`.
TAG_PREFIX = "tag:"

_WILDCARDS = re.compile(r"\\(.)|([*?])", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TagValues(Generic[T]):
    """A getter of tag values: those of every tag, or of the one whose key is `key`."""

    tags_of: Callable[[T], Mapping[str, str]]
    key: str | None = None

    def __call__(self, item: T) -> Iterable[str]:
        tags = self.tags_of(item)
        if self.key is None:
            return tags.values()
        return [tags[self.key]] if self.key in tags else []

    def under(self, key: str) -> TagValues[T]:
        return TagValues(self.tags_of, key)


def tag_filters(tags_of: Callable[[T], Mapping[str, str]]) -> dict[str, Getter[T]]:
    """The table entries of a resource with tags: `tag:<key>`, `tag-key` and `tag-value`."""
    values = TagValues(tags_of)
    return {TAG_PREFIX: values, "tag-key": lambda item: tags_of(item).keys(), "tag-value": values}


def tags_of_document(document: Mapping[str, Any]) -> dict[str, str]:
    """The `Tags` member of a document in botocore's spelling, as key to value."""
    return {tag["Key"]: tag.get("Value", "") for tag in document.get("Tags", ())}


def member(path: str) -> Getter[Mapping[str, Any]]:
    """A getter of the values at a dotted path of a document; a list on the way is walked through.

    Values show as EC2 writes them in XML: `true`, `3.5`, `2025-10-27T17:45:12.000Z`.
    """
    names = path.split(".")
    return lambda document: _reach(document, names)


def _reach(value: Any, names: Sequence[str]) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for one in value:
            yield from _reach(one, names)
    elif value is None:
        return  # a member that is there and says nothing, such as the reason of no change
    elif names:
        if names[0] in value:
            yield from _reach(value[names[0]], names[1:])
    else:
        yield _text(value)


def _text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"
        case _:
            return str(value)


def compile_filters(
    given: Sequence[Document] | None, table: Mapping[str, Getter[T]]
) -> Callable[[T], bool]:
    """A predicate that says whether an item passes every filter in `given`.

    A filter without values matches nothing, as EC2 answers it (seen: `Name=vpc-id` alone gives an
    empty list). Raises InvalidParameterValue for a name that `table` lacks, and
    FilterLimitExceeded above the limits.
    """
    filters = list(given or ())
    _check_limits(filters)
    tests = [_compile_one(one, table) for one in filters]

    def passes(item: T) -> bool:
        patience.check()
        return all(test(item) for test in tests)

    return passes


def exact_values(given: Sequence[Document] | None, name: str) -> list[str] | None:
    """The values one of which every match must have under `name`; None when that is not known.

    For a caller that narrows its SQL before the predicate looks: filters with wildcards say
    nothing here, and of several filters with plain values only the common values remain.
    """
    found: list[str] | None = None
    for one in given or ():
        plain = exact(one) if one.get("Name") == name else None
        if plain is not None:
            found = [value for value in (plain if found is None else found) if value in plain]
    return found


def exact(one: Document) -> list[str] | None:
    """The values of a filter as texts to compare with; None when one of them has a wildcard."""
    values = _values(one)
    if any(_has_wildcard(value) for value in values):
        return None
    return [_unescape(value) for value in values]


def _check_limits(filters: Sequence[Document]) -> None:
    if len(filters) > FILTERS_MAX:
        raise _too_much(
            f"The maximum number of filters specified on a single call is {FILTERS_MAX}"
        )
    values = [value for one in filters for value in _values(one)]
    if len(values) > VALUES_MAX:
        raise _too_much(
            f"The maximum number of filter values specified on a single call is {VALUES_MAX}"
        )
    if any(len(value) > VALUE_CHARACTERS_MAX for value in values):
        raise _too_much(
            f"The maximum length for a filter value is {VALUE_CHARACTERS_MAX} characters"
        )


def _too_much(message: str) -> ServiceError:
    return ServiceError("FilterLimitExceeded", message)


def _values(one: Document) -> list[str]:
    return one.get("Values") or []


def _compile_one(one: Document, table: Mapping[str, Getter[T]]) -> Callable[[T], bool]:
    getter = _getter(one.get("Name"), table)
    values = _values(one)
    plain = {_unescape(value) for value in values if not _has_wildcard(value)}
    patterns = [_pattern(value) for value in values if _has_wildcard(value)]

    def has_match(shown: str) -> bool:
        # Many patterns over a long text take milliseconds.
        patience.check()
        return any(pattern.match(shown) for pattern in patterns)

    def test(item: T) -> bool:
        return any(shown in plain or (patterns and has_match(shown)) for shown in getter(item))

    return test


def _getter(name: str | None, table: Mapping[str, Getter[T]]) -> Getter[T]:
    # EC2 calls a filter without a name 'null' (seen in aws-sdk-js-v3#6063).
    wanted = "null" if name is None else name
    if wanted in table and wanted != TAG_PREFIX:
        return table[wanted]
    prefix, colon, key = wanted.partition(":")
    tags = table.get(TAG_PREFIX)
    if prefix + colon == TAG_PREFIX and key and isinstance(tags, TagValues):
        return tags.under(key)
    # The known part is EC2's own text, which has no full stop.
    refused = f"The filter '{wanted[:200]}' is invalid"
    hint = did_you_mean(wanted, table.keys() - {TAG_PREFIX})
    raise ServiceError("InvalidParameterValue", f"{refused}.{hint}" if hint else refused)


def _has_wildcard(value: str) -> bool:
    return _is_special(value) and any(found[2] for found in _WILDCARDS.finditer(value))


def _unescape(value: str) -> str:
    if not _is_special(value):
        return value
    return _WILDCARDS.sub(lambda found: found[1] or found[0], value)


def _is_special(value: str) -> bool:
    return "*" in value or "?" in value or "\\" in value


def _pattern(value: str) -> re.Pattern[str]:
    """A value with wildcards as an expression whose cost is bounded by length times length.

    Between two stars the leftmost place of a piece is always as good as a later one, so each piece
    is matched in an atomic group that never backtracks: `*a*a*a*…` cannot hold a thread.
    """
    pieces, position = [""], 0
    for found in _WILDCARDS.finditer(value):
        pieces[-1] += re.escape(value[position : found.start()])
        if found[2] == "*":
            pieces.append("")
        else:
            pieces[-1] += "." if found[2] else re.escape(found[1])
        position = found.end()
    pieces[-1] += re.escape(value[position:])
    first, *others = pieces
    if not others:
        return re.compile(first + r"\Z", re.DOTALL)
    between = "".join(f"(?>.*?{piece})" for piece in others[:-1] if piece)
    return re.compile(f"{first}{between}.*{others[-1]}\\Z", re.DOTALL)
