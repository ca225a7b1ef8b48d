"""Rules: which requests and steps of launches are struck, how often, and by which kind. Pure.

A rule is data. `reading` makes it of a file, of JSON or of a word, and tells it back; `board` holds
those that are in force on a node, and counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from sametoken.faults.kinds import FORMS, Kind


@dataclass(frozen=True, slots=True)
class Occasion:
    """A request, or a step of an instance's plan: what rules are held against.

    A text is empty where it is not known; `attempt` counts the tries of one call, or of one step,
    from 1. `what` names it in the log: the request's id, or the instance's.
    """

    what: str
    account: str = ""
    region: str = ""
    zone: str = ""
    action: str = ""
    token: str = ""
    instance_type: str = ""
    step: str = ""
    point: str = ""
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. An aim that is empty is for all; a `*` in its texts stands for any characters.

    `attempt` is the first and the last try that it is for. Of the matches, the first `skip` pass,
    and of the others it strikes each with `odds`, drawn from `seed`, at most `times` in all; only
    from `after` to `until` seconds after it was put on the board.

    `seconds`, `code`, `message` and `point` are what its kind asks for.
    """

    kind: Kind
    name: str = ""
    # Aims.
    action: tuple[str, ...] = ()
    account: tuple[str, ...] = ()
    region: tuple[str, ...] = ()
    zone: tuple[str, ...] = ()
    token: tuple[str, ...] = ()
    instance_type: tuple[str, ...] = ()
    step: tuple[str, ...] = ()
    attempt: tuple[int, int] | None = None
    # How often.
    odds: float = 1.0
    seed: int = 0
    skip: int = 0
    times: int | None = None
    after: float = 0.0
    until: float | None = None
    # The act.
    seconds: float = 0.0
    code: str = ""
    message: str = ""
    point: str = ""

    def matches(self, occasion: Occasion) -> bool:
        """Tell whether the rule is for `occasion`, however often it then strikes."""
        first, last = self.attempt or FORMS[self.kind].attempt or (1, occasion.attempt)
        return (
            first <= occasion.attempt <= last
            and self.point == occasion.point
            and _fits(self.action, occasion.action)
            and _fits(FORMS[self.kind].actions, occasion.action)
            and self.is_for(occasion)
            and _fits(self.step, occasion.step)
        )

    def is_for(self, occasion: Occasion) -> bool:
        """Tell whether the rule is for that caller and what it asks for, at any step and try."""
        return (
            _fits(self.account, occasion.account)
            and _fits(self.region, occasion.region)
            and (_fits(self.zone, occasion.zone) or self._takes_zone(occasion))
            and _fits(self.token, occasion.token)
            and _fits(self.instance_type, occasion.instance_type)
        )

    def _takes_zone(self, occasion: Occasion) -> bool:
        """A launch that names no zone is not for one, and may find one of them without room."""
        return self.kind is Kind.NO_CAPACITY and not occasion.zone

    def is_for_zone(self, zone: str) -> bool:
        return _fits(self.zone, zone)


def _fits(patterns: tuple[str, ...], text: str) -> bool:
    return not patterns or any(pattern_of(one).fullmatch(text) for one in patterns)


@lru_cache(maxsize=1_000)
def pattern_of(text: str) -> re.Pattern[str]:
    """Return the pattern that a text with `*` is."""
    return re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL)


def matched_by(text: str, known: Iterable[str]) -> bool:
    """Tell whether a text with `*` stands for any of the known ones."""
    return any(pattern_of(text).fullmatch(one) for one in known)
