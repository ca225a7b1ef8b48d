"""Strikes on requests, where the simulated network meets a node: what `server.striking` does there.

A refusal by a rule has the auditor's code of refusals that say nothing about the request: a caller
repeats it, and the auditor requires that the request left nothing if it says that it did not run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sametoken.faults.kinds import Kind
from sametoken.faults.rules import Rule
from simulation.history import Fate

UNKNOWN = "Unavailable"
_BEFORE = {Kind.FAIL_REQUEST: 500, Kind.UNAVAILABLE: 503, Kind.THROTTLE: 503, Kind.ERROR: 400}


@dataclass(frozen=True, slots=True)
class Strikes:
    """The rules that strike one request."""

    rules: Sequence[Rule] = ()

    def has(self, *kinds: Kind) -> bool:
        return any(rule.kind in kinds for rule in self.rules)

    def seconds(self, kind: Kind) -> float:
        return sum(rule.seconds for rule in self.rules if rule.kind is kind)

    @property
    def refusal(self) -> Fate | None:
        """The answer to a request that was kept from acting; None if it acts."""
        statuses = [_BEFORE[rule.kind] for rule in self.rules if rule.kind in _BEFORE]
        return Fate(statuses[0], UNKNOWN, ran=False) if statuses else None

    @property
    def loses_reply(self) -> bool:
        return self.has(Kind.LOSE_REPLY, Kind.CUT_REPLY)

    def replied(self, fate: Fate) -> Fate:
        """Return the answer that leaves instead of `fate`, once the request has acted."""
        return Fate(500, UNKNOWN) if self.has(Kind.FAIL_REPLY) else fate

    @property
    def hiding(self) -> Sequence[Rule]:
        """Return the rules that hide what the request makes."""
        return [rule for rule in self.rules if rule.kind is Kind.NOT_YET_FOUND]

    def full_zones(self, zones: Sequence[str]) -> tuple[str, ...]:
        """Return those of the zones that have no room for this request."""
        full = [rule for rule in self.rules if rule.kind is Kind.NO_CAPACITY]
        return tuple(zone for zone in zones if any(rule.is_for_zone(zone) for rule in full))
