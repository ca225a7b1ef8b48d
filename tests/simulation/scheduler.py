"""Scheduler of actors, which draws from a seed who runs next. No threads, no real clock.

Each actor is a greenlet that runs until it waits; then the scheduler draws the next of all that can
go on. Time stands still while an actor can run, and jumps to the next timer when none can, so that
a day takes no longer than a moment. The same seed always gives the same order: no choice depends on
hashes, addresses or the iteration order of sets.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import greenlet

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


class NodeCrash(BaseException):
    """Power loss of the current actor's group. Not an `Exception`, so no handler catches it."""


@dataclass(slots=True, eq=False)
class Group:
    """Actors that live, stall and die together: the threads of one process."""

    name: str
    frozen_until_us: int = 0
    actors: list[Actor] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Actor:
    """A thread of control. `ticket` counts its wake-ups, by which a stale timer is recognised."""

    name: str
    group: Group
    greenlet: greenlet.greenlet
    ticket: int = 0
    is_ready: bool = False

    def is_alive(self) -> bool:
        return not self.greenlet.dead


@dataclass(slots=True)
class Scheduler:
    """Runs actors one at a time. Actors call its public methods, or the hub does."""

    rng: random.Random
    on_crash: Callable[[Group], None]
    # Returns when work in the database is due for idle actors, who have no timer; None: never.
    next_due_us: Callable[[], int | None] = lambda: None
    on_due: Callable[[], None] = lambda: None
    now_us: int = 0
    current: Actor | None = None
    trace: list[tuple[int, str, str]] = field(default_factory=list)
    _ready: list[Actor] = field(default_factory=list)
    _timers: list[tuple[int, int, Actor, int]] = field(default_factory=list)
    _timer_count: int = 0
    _hub: greenlet.greenlet = field(default_factory=greenlet.getcurrent)
    _crashed: list[Group] = field(default_factory=list)
    _dying: list[Actor] = field(default_factory=list)
    _groups: dict[str, Group] = field(default_factory=dict)

    def note(self, event: str) -> None:
        """Write an event into the trace, under the current actor's name."""
        name = "hub" if self.current is None else self.current.name
        self.trace.append((self.now_us, name, event))

    def spawn(
        self, name: str, run: Callable[[], None], group: Group, *, after_us: int = 0
    ) -> Actor:
        """Start an actor, now or in `after_us`."""

        def body() -> None:
            try:
                run()
            except NodeCrash as crash:
                self.note(f"crashed at {crash}")
                self.crash(group)
            group.actors.remove(actor)

        actor = Actor(name, group, greenlet.greenlet(body, self._hub))
        group.actors.append(actor)
        self._groups.setdefault(group.name, group)
        self._arm(actor, after_us)
        return actor

    def _arm(self, actor: Actor, after_us: int) -> None:
        """Have `actor` woken in `after_us`, not before its group thaws."""
        at = max(self.now_us + after_us, actor.group.frozen_until_us)
        if at <= self.now_us:
            actor.is_ready = True
            self._ready.append(actor)
            return
        self._timer_count += 1
        heapq.heappush(self._timers, (at, self._timer_count, actor, actor.ticket))

    def wake(self, actor: Actor) -> None:
        """Let a waiting actor go on, once its group is not frozen. Repeats change nothing."""
        if not actor.is_ready and actor is not self.current and not actor.greenlet.dead:
            self._arm(actor, 0)

    def block(self, timeout_us: int | None = None) -> None:
        """Wait until woken, at most for `timeout_us`. Must be called by an actor."""
        assert self.current is not None, "only actors wait"
        if timeout_us is not None:
            self._arm(self.current, timeout_us)
        self._hub.switch()

    def freeze(self, group: Group, for_us: int) -> None:
        """Stop every actor of `group` where it stands, as SIGSTOP or a long pause does."""
        group.frozen_until_us = max(group.frozen_until_us, self.now_us + for_us)
        held = [actor for actor in self._ready if actor.group is group]
        self._ready = [actor for actor in self._ready if actor.group is not group]
        for actor in held:
            actor.is_ready = False
            self._arm(actor, for_us)

    def crash(self, group: Group) -> None:
        """Have `on_crash` called for `group` as soon as the current actor waits."""
        self._crashed.append(group)

    def let_die(self, actor: Actor) -> None:
        """End an actor, of which its group is not told, as soon as the current one waits."""
        self._dying.append(actor)

    def _die(self, actor: Actor) -> None:
        if actor.greenlet.dead:
            return
        if actor.is_ready:
            self._ready.remove(actor)
        actor.greenlet.throw(greenlet.GreenletExit)
        actor.ticket += 1
        actor.group.actors.remove(actor)

    def kill(self, group: Group) -> None:
        """End every actor of `group` where it stands. Must be called by the hub."""
        self._ready = [actor for actor in self._ready if actor.group is not group]
        for actor in list(group.actors):
            if not actor.greenlet.dead:
                actor.greenlet.throw(greenlet.GreenletExit)
            actor.ticket += 1
        group.actors.clear()
        group.frozen_until_us = 0

    def end(self) -> None:
        """End every actor, so that none of this schedule wakes up in the next one."""
        for group in self._groups.values():
            self.kill(group)
        self._timers.clear()

    def step(self) -> bool:
        """Let an actor run until it waits. False: no actor can ever run again."""
        while not self._ready:
            if not self._advance():
                return False
        at = int(self.rng.random() * len(self._ready))
        actor = self._ready[at]
        self._ready[at] = self._ready[-1]
        self._ready.pop()
        self._resume(actor)
        return True

    def _resume(self, actor: Actor) -> None:
        actor.is_ready = False
        actor.ticket += 1
        self.current = actor
        try:
            actor.greenlet.switch()
        finally:
            self.current = None
        while self._dying:
            self._die(self._dying.pop())
        while self._crashed:
            self.on_crash(self._crashed.pop())

    def _advance(self) -> bool:
        """Jump to the next moment at which a timer ends or work is due; False if there is none."""
        while self._timers and not self._is_pending(self._timers[0]):
            heapq.heappop(self._timers)
        due_us = self.next_due_us()
        if self._timers and (due_us is None or self._timers[0][0] <= due_us):
            self.now_us = max(self.now_us, self._timers[0][0])
            while self._timers and self._timers[0][0] <= self.now_us:
                timer = heapq.heappop(self._timers)
                if self._is_pending(timer):
                    self._arm(timer[2], 0)
            return True
        if due_us is None:
            return False
        self.now_us = max(self.now_us, due_us)
        self.on_due()
        return True

    @staticmethod
    def _is_pending(timer: tuple[int, int, Actor, int]) -> bool:
        _, _, actor, ticket = timer
        return actor.ticket == ticket and not actor.is_ready and not actor.greenlet.dead
