"""Cases small enough to try every order: the callers, their tries, and what may happen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from exhaustive.explore import Count, explore
from exhaustive.judge import Judge, Wants
from exhaustive.program import Answer, Program, request
from exhaustive.space import Space
from sametoken.faults.kinds import Kind
from sametoken.faults.rules import Rule
from sametoken.resources.kit import counters
from sametoken.resources.kit.rows import RESOURCE
from sametoken.services.simulated_machines import SimulationSettings
from sametoken.store.port import Tx

# A name that each request resolves anew; fingerprints compare it as it was sent.
_IMAGE = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
Call = Callable[[Tx], Answer]


@dataclass(frozen=True, slots=True)
class Asks:
    """A caller: its intent, its call, and how often it makes the call when no answer comes."""

    wants: Wants
    call: Callable[[], Call]
    tries: int = 1


def _launch(type: str) -> Call:
    return request(
        Action="RunInstances", ClientToken="one", ImageId=_IMAGE, InstanceType=type,
        MinCount="1", MaxCount="1",
    )  # fmt: skip


def _terminate() -> Call:
    """End the instance that exists when the call runs; its id is read at that moment."""

    def call(tx: Tx) -> Answer:
        found = tx.execute(sa.select(RESOURCE.c.id).where(RESOURCE.c.kind == "instance")).first()
        if found is None:
            return Answer("", ())
        return request(Action="TerminateInstances", **{"InstanceId.1": found.id})(tx)

    return call


def _make_room() -> Call:
    def call(tx: Tx) -> Answer:
        counters.set_maximum(tx, "capacity/*/*", 1)
        return Answer("", ())

    return call


def _no_room(tx: Tx) -> None:
    counters.set_maximum(tx, "capacity/*/*", 0)


def micro(tries: int = 1) -> Asks:
    return Asks(Wants("t3.micro"), partial(_launch, "t3.micro"), tries)


def small(tries: int = 1) -> Asks:
    return Asks(Wants("t3.small"), partial(_launch, "t3.small"), tries)


def doomed(tries: int = 1) -> Asks:
    """Ask for a launch whose machine will not boot."""
    return Asks(Wants("t3.micro", fails=True), partial(_launch, "t3.micro"), tries)


TERMINATOR = Asks(Wants("the end"), _terminate)
OPERATOR = Asks(Wants("room"), _make_room)


# Machines boot at once, because time stands still in these cases.
BOOTING = SimulationSettings(boot_seconds=0.0, halt_seconds=0.0)
FAILING = (Rule(Kind.BOOT_FAILS),)


@dataclass(frozen=True, slots=True)
class Case:
    """Callers of one token, and the limits of their space: `options` are those of `Space`."""

    callers: tuple[Asks, ...]
    options: Mapping[str, Any]
    prepare: Callable[[Tx], None] | None = None
    rules: tuple[Rule, ...] = ()

    def explore(self) -> Count:
        """Try every order. Raises `BrokenError`."""
        wanted = list(dict.fromkeys(one.wants for one in self.callers))
        calls = {one.wants: one.call for one in self.callers}
        program = Program([calls[wants]() for wants in wanted], BOOTING, self.prepare, self.rules)
        judge = Judge(program, tuple([one.wants for one in self.callers]))
        asks = [wanted.index(one.wants) for one in self.callers]
        tries = [one.tries for one in self.callers]
        return explore(Space(program, asks, tries, **self.options), judge)


# A part of the first case below, which shows most mutants.
ONE_CLIENT = Case((micro(2),), {})
# Two runners, each of which may be slower than the other by any number of steps.
_STANDING_STILL = {"runners": 2, "may_crash": False, "may_be_late": False}
CASES: Mapping[str, Case] = {
    "two equal clients, a retry each, one crash": Case((micro(2), micro(2)), {}),
    "two clients of unequal intent, one crash": Case((micro(), small()), {}),
    "two equal clients in one commit or two, one crash": Case(
        (micro(), micro()), {"commit_max": 2}
    ),
    "no room at first, a retry, one crash": Case((micro(2), OPERATOR), {}, _no_room),
    "no room at first, unequal intents": Case(
        (micro(2), small(), OPERATOR), {"may_crash": False, "may_be_late": False}, _no_room
    ),
    "a launch, its retry and its end": Case((micro(2), TERMINATOR), {"may_crash": False}),
    "a launch that fails, one crash": Case((doomed(),), {}, None, FAILING),
    "an owner that stands still beyond its lease": Case(
        (micro(),), {**_STANDING_STILL, "lease_may_end": True}
    ),
    "an owner that stands still while its launch is ended": Case(
        (micro(), TERMINATOR), _STANDING_STILL
    ),
}
