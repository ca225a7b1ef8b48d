"""Intent in a form that can be kept and compared: a keyed digest for each field path. Pure.

The intent is the request *as sent*: typed, with nothing resolved or defaulted, so that an honest
retry compares equal although an alias (`$Latest`, `resolve:ssm:`) points elsewhere by now. Digests
are keyed, so that a copy of the database does not give away a low-entropy secret. Plain values
are kept of short fields only, for people who read `tokens explain`, and never of secrets.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from typing import Any

from sametoken.world import UUID

# 96 bits: two unequal values of one field collide once in 10^28 comparisons.
_DIGEST_BYTES = 12
# Ids, types, counts and zones fit; scripts and keys do not.
PLAIN_CHARACTERS_MAX = 64
_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Only:
    """A default that is filled in only where the parameter `where` has the value `equals`."""

    default: Any
    where: str
    equals: Any

    def __str__(self) -> str:
        return f"{self.default} where {self.where}={self.equals}"


@dataclass(frozen=True, slots=True)
class Rules:
    """How one action's parameters become its intent. A new version never changes an old one.

    `ignored` are top-level names outside the intent. `sets` are paths of lists whose order means
    nothing, `secrets` paths whose values are kept as digests only; both write list elements as
    `[]`, e.g. `NetworkInterfaces[].Groups`. `defaults` are values that EC2 fills in before it
    compares, by top-level name; `Only` stands for one that depends on another parameter.
    """

    version: int = 1
    ignored: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What an entry keeps of the parameters. `digests` decide, `plain` is for people."""

    rules_version: int
    digests: Mapping[str, str]
    plain: Mapping[str, str]


def fingerprint(parameters: Mapping[str, Any], rules: Rules, key: bytes) -> Fingerprint:
    """The fingerprint of one request under `rules`; `key` is the deployment's own secret."""
    intent = {name: value for name, value in parameters.items() if name not in rules.ignored}
    for name, value in rules.defaults.items():
        if not isinstance(value, Only):
            intent.setdefault(name, value)
    for name, value in rules.defaults.items():
        if isinstance(value, Only) and intent.get(value.where) == value.equals:
            intent.setdefault(name, value.default)
    digests: dict[str, str] = {}
    plain: dict[str, str] = {}
    for path, value in _flatten("", _canonical("", intent, rules)):
        digests[path] = hashlib.blake2b(
            value.encode(), digest_size=_DIGEST_BYTES, key=key[:64]
        ).hexdigest()
        if len(value) <= PLAIN_CHARACTERS_MAX and not _is_secret(path, rules):
            plain[path] = value
    return Fingerprint(rules.version, digests, plain)


def differing_fields(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    """The paths whose digests differ or stand on one side only, sorted. Empty: same intent."""
    if one == other:
        return ()
    return tuple(
        sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))
    )


def _canonical(path: str, value: Any, rules: Rules) -> Any:
    """`value` with every declared set in one order."""
    if isinstance(value, Mapping):
        return {name: _canonical(_under(path, name), inner, rules) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        elements = [_canonical(f"{path}[]", inner, rules) for inner in value]
        return sorted(elements, key=_text) if path in rules.sets else elements
    return value


def _flatten(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Each leaf's path and text. An empty list or structure is a leaf: it was sent."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flatten(_under(path, name), inner)
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _flatten(f"{path}[{index}]", inner)
    elif path:
        yield path, _text(value)


# What a name may not hold as it is: two intents would share a path, and one would hide the other.
_ESCAPES = str.maketrans({character: f"%{ord(character):02X}" for character in "%.[]"})


def _under(path: str, name: str) -> str:
    """The path of member `name`. An empty name is written `%`, which no other name is."""
    assert isinstance(name, str), f"parameter {name!r} under {path!r} is not named by text"
    written = name.translate(_ESCAPES) or "%"
    return f"{path}.{written}" if path else written


def _text(value: Any) -> str:
    """One spelling for each typed value; values of different types never look alike."""
    return _ENCODER.encode(value)


def _odd_value(value: Any) -> dict[str, str]:
    """What JSON has no word for, as a structure: no text that a caller sends looks like it."""
    match value:
        case bytes():
            text = value.hex()
        case date() | time():
            text = value.isoformat()
        case Decimal() | UUID():
            text = str(value)
        case _:
            raise TypeError(
                f"a parameter is of type {type(value).__name__}, of which nobody knows when two "
                "are equal: pass what JSON has, bytes, dates, times, Decimal or UUID"
            )
    return {type(value).__name__: text}


# Made once: `json.dumps` with options of one's own makes an encoder at every call.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_odd_value)


def _is_secret(path: str, rules: Rules) -> bool:
    general = _INDEX.sub("[]", path)
    return any(
        general == secret or general.startswith((f"{secret}.", f"{secret}["))
        for secret in rules.secrets
    )
