"""The marker of the pytest plugin, read: what a test asks for, or a sentence on what is wrong.

A wish that is misspelled must fail its test: a test that believes it is struck by faults, and is
not, is green for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from sametoken.errors import Misconfigured
from sametoken.nearest import did_you_mean

Rule = str | Mapping[str, Any]

_EXAMPLE = 'faults=[{"kind": "lose-reply", "action": "RunInstances", "attempt": 1}]'


@dataclass(frozen=True, slots=True)
class Wishes:
    """A Region, a scenario's name or a list of rules, seconds of a boot; None: as ever."""

    region: str | None = None
    faults: str | Iterable[Rule] | None = None
    boot_seconds: float | None = None

    @property
    def rules(self) -> tuple[Rule, ...]:
        if self.faults is None or isinstance(self.faults, str):
            return () if self.faults is None else (self.faults,)
        return tuple(self.faults)


def wishes(marks: Iterable[tuple[tuple[Any, ...], Mapping[str, Any]]]) -> Wishes:
    """Read markers as (args, kwargs), the outermost first: a nearer one wins, keyword by keyword.

    Raises `Misconfigured` with a sentence that says what to write.
    """
    asked: dict[str, Any] = {}
    for args, kwargs in marks:
        _check_words(args, kwargs)
        asked.update(kwargs)
    _check_faults(asked.get("faults"))
    seconds = asked.get("boot_seconds")
    if seconds is not None and (type(seconds) not in (int, float) or not 0 <= seconds < 86_400):
        raise Misconfigured(f"boot_seconds is {seconds!r}: write seconds, such as boot_seconds=30")
    return Wishes(**asked)


def _check_words(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    if args:
        raise Misconfigured(f"{args[0]!r} has no name: write faults={args[0]!r}, or region=…")
    known = [field.name for field in fields(Wishes)]
    for word in kwargs:
        if word not in known:
            hint = did_you_mean(word, known)
            raise Misconfigured(f"it knows no {word!r}.{hint} There are: {', '.join(known)}")


def _check_faults(given: Any) -> None:
    if given is None or isinstance(given, str):
        return
    if isinstance(given, Mapping):
        raise Misconfigured(f"faults is one rule: put it in a list, {_EXAMPLE}")
    if not isinstance(given, list | tuple):
        raise Misconfigured(f'faults is {given!r}: write faults="flaky-network", or {_EXAMPLE}')
    for one in given:
        if not isinstance(one, str) and not (isinstance(one, Mapping) and "kind" in one):
            raise Misconfigured(f"faults has {one!r}, a rule without a kind: write {_EXAMPLE}")
