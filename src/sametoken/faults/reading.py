"""Reading rules: of a TOML file, of JSON, of a word such as a header has; and telling them back.

Every form becomes a mapping of keys to values, which one reader checks. It raises `Misconfigured`
with the key, the value and what to write instead. The names that exist here are given to it: this
module knows no action and no zone.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sametoken.errors import Misconfigured
from sametoken.faults.kinds import FORMS, Kind
from sametoken.faults.points import POINTS
from sametoken.faults.rules import Rule, matched_by
from sametoken.nearest import did_you_mean

# A day: what takes longer does not end while anybody waits.
SECONDS_MAX = 86_400.0
# Far more than any test sets, and few enough to be held against each request.
RULES_MAX = 1_000
TEXT_CHARACTERS_MAX = 300
COUNT_MAX = 1_000_000_000

# The reasons for which EC2 ends an instance, or stops it (API reference, StateReason).
REASONS: Mapping[Kind, tuple[str, ...]] = {
    Kind.FAIL_LAUNCH: (
        "Server.InternalError",
        "Server.InsufficientInstanceCapacity",
        "Client.InternalError",
        "Client.InvalidSnapshot.NotFound",
        "Client.VolumeLimitExceeded",
    ),
    Kind.MACHINE_DIES: ("Server.ScheduledStop", "Server.InternalError"),
}


@dataclass(frozen=True, slots=True)
class Names:
    """The names that exist here, by which aims and codes are checked."""

    actions: Collection[str]
    regions: Collection[str]
    zones: Collection[str]
    instance_types: Collection[str]
    steps: Collection[str]
    codes: Collection[str]


def read_toml(text: str, names: Names, *, where: str) -> tuple[Rule, ...]:
    """Return the rules of a TOML document; `where` names it in errors."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{where} is not TOML: {error}") from None
    return read_rules(document, names, where=where)


def read_rules(document: Any, names: Names, *, where: str) -> tuple[Rule, ...]:
    """Return the rules of a document `{"rules": [{…}, …]}`; its `seed` is of rules without one."""
    if not isinstance(document, Mapping):
        raise Misconfigured(f"{where} has no rules: write a table, with a list called rules")
    _check_keys(document, ("rules", "seed"), where)
    given = document.get("rules")
    if not isinstance(given, list) or not all(isinstance(one, Mapping) for one in given):
        raise Misconfigured(f"{where} has no list of tables called rules: write [[rules]] (TOML)")
    if len(given) > RULES_MAX:
        raise Misconfigured(f"{where} has {len(given)} rules; at most {RULES_MAX} are kept")
    shared = {"seed": document["seed"]} if "seed" in document else {}
    return tuple(
        read_rule({**shared, **one}, names, where=f"{where}, rule {number}")
        for number, one in enumerate(given, start=1)
    )


_EXAMPLE = ("lose-reply", "action=RunInstances", "attempt=1")


def read_word(text: str, names: Names, *, where: str, joint: str = ";") -> Rule:
    """Return the rule that a word such as `lose-reply;action=RunInstances;attempt=1` writes."""
    kind, *pairs = (part.strip() for part in text.split(";"))
    given: dict[str, Any] = {"kind": kind}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or key in given:
            raise Misconfigured(
                f"{where}: {pair!r} is no key with a value, given once; write a kind and then its "
                f"keys, such as {joint.join(_EXAMPLE)}"
            )
        given[key] = value
    return read_rule(given, names, where=where)


def read_rule(given: Mapping[str, Any], names: Names, *, where: str) -> Rule:
    """Return the rule of a table. Raises `Misconfigured` for all that it may not have."""
    kind = _kind(given.get("kind"), where)
    form, where = FORMS[kind], f"{where} ({kind})"
    _check_keys(given, sorted(form.keys), where)
    for key in sorted(form.needs):
        if key not in given:
            raise Misconfigured(f"{where} needs {key}; {_READERS[key].written}")
    read = {
        key: _READERS[key].read(value, names, f"{where}: {key}")
        for key, value in given.items()
        if key != "kind"
    }
    rule = Rule(kind, **read) if "seconds" in read else Rule(kind, seconds=form.seconds, **read)
    _check_whole(rule, names, where)
    return rule


def told(rule: Rule) -> dict[str, Any]:
    """Return the rule as a table from which `read_rule` makes the same one."""
    plain = replace(Rule(rule.kind), seconds=FORMS[rule.kind].seconds)
    found: dict[str, Any] = {"kind": rule.kind.value}
    for key in _READERS:
        value = getattr(rule, key)
        if value == getattr(plain, key):
            continue
        if key == "attempt":
            first, last = value
            value = first if first == last else f"{first}-{last}"
        elif isinstance(value, tuple):
            value = value[0] if len(value) == 1 else list(value)
        found[key] = value
    return found


def _kind(given: Any, where: str) -> Kind:
    try:
        return Kind(given)
    except ValueError:
        hint = did_you_mean(str(given), list(Kind))
        raise Misconfigured(
            f"{where}: {given!r} is no kind of fault.{hint} There are: {', '.join(Kind)}"
        ) from None


def _check_keys(given: Mapping[str, Any], known: Collection[str], where: str) -> None:
    for key in given:
        if key not in known:
            hint = did_you_mean(str(key), known)
            raise Misconfigured(
                f"{where}: no key {str(key)!r} here.{hint} There are: {', '.join(known)}"
            )


def _check_whole(rule: Rule, names: Names, where: str) -> None:
    """Refuse keys that are right each by itself, and together match or mean nothing."""
    if rule.until is not None and rule.until <= rule.after:
        raise Misconfigured(f"{where}: until {rule.until:g} is not later than after {rule.after:g}")
    can = FORMS[rule.kind].actions
    struck = [one for one in names.actions if any(matched_by(each, (one,)) for each in can)]
    for one in rule.action if can else ():
        if not matched_by(one, struck):
            raise Misconfigured(f"{where} does nothing to {one}; it is for {', '.join(can)}")
    points = FORMS[rule.kind].points
    if rule.point and points and rule.point not in points:
        raise Misconfigured(f"{where} does not strike at {rule.point}, but at: {', '.join(points)}")
    if rule.kind is Kind.ERROR and rule.code not in names.codes:
        hint = did_you_mean(rule.code, names.codes) or (
            " EC2's API reference lists them under Error codes, such as VolumeLimitExceeded."
        )
        raise Misconfigured(f"{where}: {rule.code!r} is no error code of EC2's.{hint}")
    reasons = REASONS.get(rule.kind, ())
    if rule.code and reasons and rule.code not in reasons:
        hint = did_you_mean(rule.code, reasons)
        raise Misconfigured(
            f"{where}: {rule.code!r} is no reason of EC2's for that.{hint} "
            f"There are: {', '.join(reasons)}"
        )


# Readers of single keys.


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the value of a key; `written` says how it is written."""

    read: Callable[[Any, Names, str], Any]
    written: str


def _refused(value: Any, where: str, written: str) -> Misconfigured:
    return Misconfigured(f"{where} is {value!r}; {written}")


def _text(written: str) -> _Reader:
    def read(value: Any, names: Names, where: str) -> str:
        if not isinstance(value, str) or not 0 < len(value) <= TEXT_CHARACTERS_MAX:
            raise _refused(value, where, written)
        return value

    return _Reader(read, written)


def _texts(
    what: str, known: Callable[[Names], Collection[str]] | None, *, splits: bool = True
) -> _Reader:
    """Read a text or a list of texts, each with any `*`; of names that are known here."""
    written = f"write {what}, or a list of them; * stands for any characters"

    def read(value: Any, names: Names, where: str) -> tuple[str, ...]:
        if isinstance(value, str):
            value = value.split(",") if splits else [value]
        if not isinstance(value, list | tuple) or not value:
            raise _refused(value, where, written)
        for one in value:
            if not isinstance(one, str) or not 0 < len(one) <= TEXT_CHARACTERS_MAX:
                raise _refused(one, where, written)
            if known is not None and not matched_by(one, known(names)):
                hint = did_you_mean(one, known(names))
                raise Misconfigured(f"{where} is {one!r}, which is not known here.{hint}")
        return tuple(value)

    return _Reader(read, written)


def _account() -> _Reader:
    written = "write the 12 digits of an account, or a list of them; * stands for any digits"

    def read(value: Any, names: Names, where: str) -> tuple[str, ...]:
        found: tuple[str, ...] = _texts("an account", None).read(value, names, where)
        for one in found:
            digits = one.replace("*", "")
            if not (digits.isdigit() or not digits) or (len(digits) != 12 and digits == one):
                raise _refused(one, where, written)
        return found

    return _Reader(read, written)


def _number(written: str, least: float, most: float) -> _Reader:
    def read(value: Any, names: Names, where: str) -> float:
        number = _as_number(value)
        if number is None or not least <= number <= most:
            raise _refused(value, where, written)
        return number

    return _Reader(read, written)


def _whole(written: str, least: int) -> _Reader:
    def read(value: Any, names: Names, where: str) -> int:
        number = _as_number(value)
        if number is None or number != int(number) or not least <= number <= COUNT_MAX:
            raise _refused(value, where, written)
        return int(number)

    return _Reader(read, written)


def _as_number(value: Any) -> float | None:
    """Return a number that may be written as a text; None for any other value, and no number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None


def _attempt(value: Any, names: Names, where: str) -> tuple[int, int]:
    written = _READERS["attempt"].written
    first, dash, last = str(value).partition("-")
    least, most = _as_number(first), _as_number(last if dash else first)
    if isinstance(value, bool) or least is None or most is None:
        raise _refused(value, where, written)
    if least != int(least) or most != int(most) or not 1 <= least <= most <= COUNT_MAX:
        raise _refused(value, where, written)
    return int(least), int(most)


def _point(value: Any, names: Names, where: str) -> str:
    known = [point.value for point in POINTS]
    if value not in known:
        hint = did_you_mean(str(value), known)
        raise Misconfigured(f"{where} is {value!r}, which is no point.{hint} {_POINTS}")
    return str(value)


_POINTS = f"There are: {', '.join(point.value for point in POINTS)}"
_SECONDS = f"write seconds, from 0 to {SECONDS_MAX:g}"
_READERS: Mapping[str, _Reader] = {
    "name": _text("write a name of your own, which the log shows"),
    "action": _texts("an action, such as RunInstances", lambda names: names.actions),
    "account": _account(),
    "region": _texts("a Region", lambda names: names.regions),
    "zone": _texts("a zone, such as us-east-1a", lambda names: names.zones),
    "token": _texts("a client token", None, splits=False),
    "instance_type": _texts("an instance type", lambda names: names.instance_types),
    "step": _texts("a step, such as boot-machine", lambda names: names.steps),
    "attempt": _Reader(
        _attempt, "write the number of a try from 1, or the first and last as '1-3'"
    ),
    "odds": _number("write odds, from 0 to 1", 0.0, 1.0),
    "seed": _whole("write a whole number, from 0", 0),
    "skip": _whole("write how many to let pass first, from 0", 0),
    "times": _whole("write how often it strikes at most, from 1", 1),
    "after": _number(_SECONDS, 0.0, SECONDS_MAX),
    "until": _number(_SECONDS, 0.0, SECONDS_MAX),
    "seconds": _number(_SECONDS, 0.0, SECONDS_MAX),
    "code": _text("write an error code of EC2's, such as InsufficientAddressCapacity"),
    "message": _text("write a sentence"),
    "point": _Reader(_point, f"write a point. {_POINTS}"),
}
