"""Parts of a simulated node, its threads: one dies, and the node has to notice it."""

from __future__ import annotations

import random
from collections.abc import Sequence

from sametoken.node import LOOK_SECONDS
from sametoken.store import roll
from simulation.promises import require
from simulation.scheduler import SECOND, Actor, Group, Scheduler

# A part that died is missed within this time.
HEARD_US_MAX = 10 * SECOND


class Parts:
    """The threads of one run of a node, and when those died that did."""

    def __init__(self, scheduler: Scheduler, group: Group) -> None:
        self._scheduler = scheduler
        self._group = group
        self._died_us: dict[str, int] = {}
        self.all: list[Actor] = []

    def lose_one(self, rng: random.Random, idle: Sequence[list[Actor]], *, but: Actor) -> None:
        """Let a part die, of all `but` one; `idle` are lists of those that wait for work."""
        part = rng.choice([one for one in self.all if one is not but])
        self._scheduler.note(f"{part.name} dies")
        self._scheduler.let_die(part)
        self._died_us.setdefault(part.name, self._scheduler.now_us)
        for waiting in idle:
            if part in waiting:
                waiting.remove(part)
        self._scheduler.spawn(
            f"{self._group.name}/watch", self._call, self._group,
            after_us=int(LOOK_SECONDS * SECOND),
        )  # fmt: skip

    def _call(self) -> None:
        """End the process if one of its parts has died; a supervisor starts it again."""
        if gone := roll.missing(self.all):
            self._scheduler.note(f"{self._group.name} ends without {', '.join(gone)}")
            self._scheduler.crash(self._group)

    def check_heard(self) -> None:
        """LIVE: a node does not go on without one of its parts for longer than ten seconds."""
        for name, died_us in self._died_us.items():
            late_us = max(died_us, self._group.frozen_until_us) + HEARD_US_MAX
            heard = self._scheduler.now_us <= late_us
            require(heard, "LIVE", "{} died, and nobody heard", name)
