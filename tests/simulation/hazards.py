"""Hazards inside a node, each drawn by its odds: stalls, crashes, a failing disk, services.

Faults, and why each is survivable:

- a thread stalls, from a millisecond to longer than a lease: generations fence it off;
- power is lost at a fault point: committed transactions stay, others leave no trace;
- COMMIT fails, or succeeds and reports a failure: callers are told that the outcome is unknown;
- SQLite rolls back a whole batch for one member's error: the members run again, each alone;
- each node's clock is wrong by an amount of its own: every persisted time is the store's;
- a service fails before or after it acted, refuses for good, or acts long after its caller gave
  up waiting: steps are repeated with one token, and unwinding closes every service first;
- a step of several instances fails for one of them: each of them is then tried alone.
"""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from sametoken.errors import SametokenError, ServiceError, Transient
from sametoken.faults import Point
from sametoken.services.machines import MachineDriver, Wanted
from sametoken.services.steps import Declaration, Effect
from sametoken.store.port import Stale, Tx
from sametoken.workflow.plans import PLANS
from sametoken.workflow.ports import Done, Fate, Later, Local, Service, StepCall, Verb
from sametoken.workflow.records import INTERNAL_FAILURE
from sametoken.workflow.tokens import TokenForm, step_token
from simulation.scheduler import MINUTE, SECOND, NodeCrash, Scheduler
from simulation.swarm import Swarm

# A stall lasts from a slow system call to a pause of more than three leases.
STALL_US_MIN, STALL_US_MAX = 1_000, 300 * SECOND
# A clock is wrong by as much as under NTP, up to as much as one that is never set.
SKEW_US_MIN, SKEW_US_MAX = 1_000, 2 * MINUTE
# A call that hung may reach its service as late as this, when every launch deadline is over.
LATE_US_MAX = 30 * MINUTE
# The code of a refusal that a service makes up.
REFUSED = "Client.InvalidSnapshot.NotFound"
_LAUNCH_STEPS = {service: step.name for step in PLANS["launch"].steps for service in step.services}
# Points inside an open transaction. No actor switches there, since no other node could commit.
INSIDE = frozenset(
    {
        Point.ENGINE_CLAIMED, Point.ENGINE_PERFORMED, Point.ENGINE_VIEWED, Point.ENGINE_RECORDED,
        Point.STORE_BEFORE_COMMIT, Point.PLACEMENT_CALLED, Point.VOLUMES_CALLED,
        Point.NETWORKS_CALLED, Point.MACHINES_CALLED, Point.STEP_FENCED, Point.STEP_CLAIMED,
        Point.STEP_RECORDING,
    }
)  # fmt: skip


def log_uniform(rng: random.Random, least: int, most: int) -> int:
    """Draw from a range so that each order of magnitude in it is equally likely."""
    return int(least * (most / least) ** rng.random())


@dataclass(slots=True)
class Hazards:
    """Draws every fault of the nodes. `swarm` has the odds, and may be replaced meanwhile."""

    rng: random.Random
    scheduler: Scheduler
    swarm: Swarm
    hits: Counter[Point] = field(default_factory=Counter)
    # Instances of which a service has refused a step for good.
    refused: set[str] = field(default_factory=set)
    # Hooks of directed tests, which cause their own faults at a point or before a call.
    at_point: Callable[[Point], None] | None = None
    before_call: Callable[[str, Verb, StepCall], None] | None = None

    def happens(self, odds: float) -> bool:
        return odds > 0 and self.rng.random() < odds

    def refusal(self, instance: str) -> ServiceError:
        """Make the refusal of a step that no repeat will help, and remember whom it is for."""
        self.refused.add(instance)
        return ServiceError(REFUSED, "no such snapshot (simulated)")

    def skew_us(self) -> int:
        """Draw by how much a node's clock is behind; below 0 it is ahead."""
        if not self.happens(self.swarm.clock_skewed):
            return 0
        behind_us = log_uniform(self.rng, SKEW_US_MIN, SKEW_US_MAX)
        return behind_us if self.happens(0.5) else -behind_us

    def switch(self) -> None:
        """Let other actors run, as a preempted thread does; now and then for a long time."""
        if self.happens(self.swarm.stall):
            pause_us = log_uniform(self.rng, STALL_US_MIN, STALL_US_MAX)
            self.scheduler.note(f"stalls {pause_us} us")
            self.scheduler.block(pause_us)
        else:
            self.scheduler.block(0)

    def pause_owner(self) -> None:
        """Stop the actor that is about to create, so long that a successor may take its work."""
        if self.happens(self.swarm.owner_paused):
            pause_us = log_uniform(self.rng, SECOND, STALL_US_MAX)
            self.scheduler.note(f"owner is paused for {pause_us} us")
            self.scheduler.block(pause_us)

    def reach(self, point: Point) -> None:
        """Cause faults at a point; installed as the injector of `sametoken.faults`."""
        if self.scheduler.current is None:
            return
        self.hits[point] += 1
        if self.at_point is not None:
            self.at_point(point)
        if self.happens(self.swarm.crash):
            raise NodeCrash(point.value)
        if point not in INSIDE:
            self.switch()
        if point is Point.WORK_LEASED:
            # Before steps that are taken without a call.
            self.pause_owner()

    def at_commit(self, commit: Callable[[], None]) -> None:
        """Commit, or fail before or after it as a failing disk does."""
        if self.happens(self.swarm.commit_fails):
            self.scheduler.note("COMMIT fails")
            raise sqlite3.OperationalError("disk I/O error (simulated)")
        commit()
        if self.happens(self.swarm.commit_unknown):
            self.scheduler.note("COMMIT succeeds but says it failed")
            raise sqlite3.OperationalError("disk I/O error after the commit (simulated)")

    def in_transaction(self, tx: Tx) -> None:
        """Raise an error at the end of a member, after which SQLite has rolled back everything."""
        if self.happens(self.swarm.transaction_lost):
            self.scheduler.note("transaction lost")
            tx.connection.exec_driver_sql("ROLLBACK")
            raise sqlite3.OperationalError("database or disk is full (simulated)")


@dataclass(frozen=True, slots=True)
class HazardousService:
    """A service behind an unreliable network. `detach` starts a call without waiting for it."""

    name: str
    inner: Service
    hazards: Hazards
    detach: Callable[[str, Callable[[], None]], None]

    def call_many(self, verb: Verb, calls: Sequence[StepCall]) -> list[Fate]:
        hazards, swarm = self.hazards, self.hazards.swarm
        fates: dict[str, Fate] = {}
        for call in calls:
            if hazards.before_call is not None:
                hazards.before_call(self.name, verb, call)
            fault = self._fault_before(verb, call)
            if fault is not None:
                fates[call.instance] = fault
        reaching = [call for call in calls if call.instance not in fates]
        if reaching and verb is Verb.ENSURE:
            hazards.pause_owner()
        answers = self.inner.call_many(verb, reaching) if reaching else []
        for call, answer in zip(reaching, answers, strict=True):
            fates[call.instance] = answer
            if hazards.happens(swarm.service_fails):
                fates[call.instance] = Transient(f"the answer of {self.name} was lost (simulated)")
        return [fates[call.instance] for call in calls]

    def _fault_before(self, verb: Verb, call: StepCall) -> Exception | None:
        """Draw the fate of a call that does not reach its service, or only late."""
        hazards, swarm = self.hazards, self.hazards.swarm
        if hazards.happens(swarm.service_fails):
            return Transient(f"{self.name} did not answer (simulated)", ran=False)
        if verb is Verb.ENSURE and hazards.happens(swarm.service_refuses):
            return hazards.refusal(call.instance)
        if self._may_hang(verb, call) and hazards.happens(swarm.service_hangs):
            self.detach(f"late {self.name}", lambda: self._call_late(verb, call))
            return Transient(f"{self.name} did not answer in time (simulated)")
        return None

    def _may_hang(self, verb: Verb, call: StepCall) -> bool:
        """Tell whether a call may act after its caller gave up: only a launch's (epoch 0).

        A launch's unwinding closes the services first. Stopping does not, and need not, because no
        call outlives its caller while services are in the same process.
        """
        step = _LAUNCH_STEPS[self.name]
        return verb is Verb.ENSURE and call.token == step_token(
            TokenForm.READABLE, call.instance, 0, step, self.name
        )

    def _call_late(self, verb: Verb, call: StepCall) -> None:
        scheduler = self.hazards.scheduler
        scheduler.block(log_uniform(self.hazards.rng, STALL_US_MIN, LATE_US_MAX))
        scheduler.note(f"late {verb} reaches {self.name}")
        [fate] = self.inner.call_many(verb, [call])
        if isinstance(fate, SametokenError):
            scheduler.note(f"late {verb} refused: {type(fate).__name__}")
        elif isinstance(fate, Exception):
            raise fate


@dataclass(frozen=True, slots=True)
class HazardousLocal(HazardousService):
    """A service on the node's own database, whose steps the runner takes in its transactions.

    Its effects and its driver are hazardous themselves; the answer to a second half may be lost.
    """

    inner: Local

    @property
    def acts_outside(self) -> bool:
        return self.inner.acts_outside

    def take_many(self, tx: Tx, verb: Verb, calls: Sequence[StepCall]) -> Sequence[Fate]:
        return self.inner.take_many(tx, verb, calls)

    def finish_many(self, verb: Verb, calls: Sequence[StepCall]) -> list[Fate]:
        answers = list(self.inner.finish_many(verb, calls))
        for number in range(len(answers)):
            if self.hazards.happens(self.hazards.swarm.service_fails):
                answers[number] = Transient(f"the answer of {self.name} was lost (simulated)")
        return answers


def exposed(
    name: str, inner: Local, hazards: Hazards, detach: Callable[[str, Callable[[], None]], None]
) -> HazardousService:
    """Return a service of a node under hazards: called, or else taken in the runner's own."""
    if hazards.happens(hazards.swarm.service_called):
        return HazardousService(name, inner, hazards, detach)
    return HazardousLocal(name, inner, hazards, detach)


@dataclass(frozen=True, slots=True)
class HazardousDriver:
    """A driver whose machines may fail to boot.

    Its caller may be stopped after it took the step, before it asks the driver.
    """

    inner: MachineDriver
    hazards: Hazards

    def ensure_many(self, machines: Sequence[Wanted]) -> Sequence[Fate]:
        if any(one.spec is not None for one in machines):
            self.hazards.pause_owner()
        fates = self.inner.ensure_many(machines)
        return [self._booted(*one) for one in zip(machines, fates, strict=True)]

    def _booted(self, machine: Wanted, fate: Fate) -> Fate:
        """Have a machine that is up be none after all."""
        wants_up = machine.spec is not None and machine.spec["power"] == "on"
        if (
            wants_up
            and isinstance(fate, Done)
            and self.hazards.happens(self.hazards.swarm.boot_fails)
        ):
            return ServiceError(*INTERNAL_FAILURE)
        return fate

    def ensure(self, machine: Wanted) -> Done | Later:
        """Make a machine alone, for `OneByOne`: its caller may be stopped before each."""
        [fate] = self.ensure_many([machine])
        if isinstance(fate, Exception):
            raise fate
        return fate


def hazardous(declared: Declaration, hazards: Hazards) -> Declaration:
    """Return the service with effects of which one member may fail, after some of their rows."""

    def failing(effect: Effect) -> Effect:
        def act(tx: Tx, calls: Sequence[StepCall]) -> None:
            effect(tx, calls)
            for call in calls:
                if hazards.happens(hazards.swarm.effect_refuses):
                    raise hazards.refusal(call.instance)
                if hazards.happens(hazards.swarm.effect_fails):
                    raise Stale(f"{call.instance} was changed by another (simulated)")

        return act

    ensuring = {Verb.ENSURE: failing(declared.effects[Verb.ENSURE])}
    return replace(declared, effects={**declared.effects, **ensuring})
