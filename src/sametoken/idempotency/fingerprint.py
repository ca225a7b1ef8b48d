"""Fingerprints of intents, to store and compare: a keyed digest for each field path. Pure.

The intent is the request *as sent*: typed, with no alias resolved and no default filled in but
those of `Rules.defaults`. So an honest retry compares equal although an alias (`$Latest`,
`resolve:ssm:`) points elsewhere by now. Digests are keyed, so that a copy of the database does not
give away a low-entropy secret. Plain values are kept for short fields only, for people who read
`tokens explain`, and never for secrets.
"""

from __future__ import annotations

import hashlib
import json
import marshal
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, time
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any

from sametoken.store.codec import Encoded
from sametoken.world import UUID

# 96 bits: two unequal values of one field collide once in 10^28 comparisons.
_DIGEST_BYTES = 12
# Keys are few: it is enough that two of them never have one name.
_KEY_ID_BYTES = 6
# Long enough for ids, types, counts and zones; too short for scripts and keys.
PLAIN_CHARACTERS_MAX = 64
# Nearly all values are of these types, and the checks for others take longer than their digests.
_LEAVES = (str, int, bool)
_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Only:
    """A default that is filled in only where the parameter `where` has the value `equals`."""

    default: Any
    where: str
    equals: Any

    def __str__(self) -> str:
        return f"{self.default} where {self.where}={self.equals}"


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """Rules that turn an action's parameters into its intent.

    A change of the rules gets a new `version`, and the old version stays as it is. `ignored` are
    top-level names outside the intent. `sets` are paths of lists whose order is not significant,
    `secrets` are paths whose values are kept as digests only; both write list elements as `[]`,
    e.g. `NetworkInterfaces[].Groups`. `defaults` are values that EC2 fills in before it compares,
    by top-level name; an `Only` is a default that depends on another parameter.
    """

    version: int = 1
    ignored: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The parameters in the form that an entry keeps, by path.

    `digests` are compared, `plain` values are shown to people. `key_id` names the key that made the
    digests; None if that was not kept.
    """

    rules_version: int
    digests: Mapping[str, str]
    plain: Mapping[str, str]
    key_id: str | None = None


@lru_cache(maxsize=16)
def id_of_key(key: bytes) -> str:
    """Name a key, so that digests of different keys are not compared. The name tells nothing."""
    return hashlib.blake2b(
        b"the id of this key", digest_size=_KEY_ID_BYTES, key=key[:64]
    ).hexdigest()


def fingerprint(parameters: Mapping[str, Any], rules: Rules, key: bytes) -> Fingerprint:
    """Make the fingerprint of a request under `rules`; `key` is the deployment's own secret.

    The latest ones are remembered: callers ask for the same with one token after another, and
    repeats for the same with one.
    """
    intent = {name: value for name, value in parameters.items() if name not in rules.ignored}
    try:
        written = marshal.dumps(intent, _MARSHALLED)
    except ValueError:
        # It has values that only the usual way knows, or refuses.
        return _made(intent, rules, key)
    if len(written) > REMEMBERED_BYTES_MAX:
        return _made(intent, rules, key)
    return _remembered(written, rules, key)


# A version without references: equal values of the same types are written alike, and values of
# different types never are.
_MARSHALLED = 2
# Intents of a few kilobytes, a few megabytes in all. A longer one is worth the work.
REMEMBERED_BYTES_MAX, REMEMBERED_MAX = 2_048, 500


@lru_cache(maxsize=REMEMBERED_MAX)
def _remembered(written: bytes, rules: Rules, key: bytes) -> Fingerprint:
    made = _made(marshal.loads(written), rules, key)  # noqa: S302 - it was written a moment ago
    return replace(made, digests=Encoded(made.digests), plain=Encoded(made.plain))


def _made(intent: dict[str, Any], rules: Rules, key: bytes) -> Fingerprint:
    for name, value in rules.defaults.items():
        if not isinstance(value, Only):
            intent.setdefault(name, value)
    for name, value in rules.defaults.items():
        if isinstance(value, Only) and intent.get(value.where) == value.equals:
            intent.setdefault(name, value.default)
    digests: dict[str, str] = {}
    plain: dict[str, str] = {}
    keyed = hashlib.blake2b(digest_size=_DIGEST_BYTES, key=key[:64])
    for path, value in _leaves(intent, rules):
        digest = keyed.copy()
        digest.update(value.encode())
        digests[path] = digest.hexdigest()
        if len(value) <= PLAIN_CHARACTERS_MAX and not _is_secret(path, rules):
            plain[path] = value
    return Fingerprint(rules.version, digests, plain, id_of_key(key))


def differing_fields(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    """List the paths whose digests differ or are on one side only, sorted. Empty: same intent."""
    if one == other:
        return ()
    return tuple(
        sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))
    )


def _leaves(intent: Mapping[str, Any], rules: Rules) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each leaf of an intent."""
    for name, value in intent.items():
        path = _under("", name)
        if type(value) in _LEAVES:
            yield path, _text(value)
        else:
            yield from _flatten(path, _canonical(path, value, rules))


def _canonical(path: str, value: Any, rules: Rules) -> Any:
    """Sort the elements of every list that is declared as a set, so that their order is fixed."""
    if type(value) in _LEAVES:
        return value
    if isinstance(value, Mapping):
        return {name: _canonical(_under(path, name), inner, rules) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        elements = [_canonical(f"{path}[]", inner, rules) for inner in value]
        return sorted(elements, key=_text) if path in rules.sets else elements
    return value


def _flatten(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield each leaf's path and text. An empty list or structure is a leaf, since it was sent."""
    if type(value) in _LEAVES and path:
        yield path, _text(value)
    elif isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flatten(_under(path, name), inner)
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _flatten(f"{path}[{index}]", inner)
    elif path:
        yield path, _text(value)


# Characters with a meaning in paths. Unescaped, they could give two parameters the same path, and
# one would hide the other.
_ESCAPES = str.maketrans({character: f"%{ord(character):02X}" for character in "%.[]"})


def _under(path: str, name: str) -> str:
    """Return the path of member `name`. An empty name is written `%`, as no other name is."""
    assert isinstance(name, str), f"parameter {name!r} under {path!r} is not named by text"
    # A name of letters and digits has nothing to escape.
    written = name if name.isalnum() else name.translate(_ESCAPES) or "%"
    return f"{path}.{written}" if path else written


def _text(value: Any) -> str:
    """Spell a typed value in its only way; values of different types never look alike."""
    if type(value) is int:
        return str(value)
    if type(value) is str:
        return encode_basestring_ascii(value)
    return _ENCODER.encode(value)


def _odd_value(value: Any) -> dict[str, str]:
    """Write a value that JSON lacks as a structure, so that no text from a caller equals it."""
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


# Made once: `json.dumps` with any option makes a new encoder at every call.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_odd_value)


def _is_secret(path: str, rules: Rules) -> bool:
    if not rules.secrets:
        return False
    general = _INDEX.sub("[]", path) if "[" in path else path
    return any(
        general == secret or general.startswith((f"{secret}.", f"{secret}["))
        for secret in rules.secrets
    )
