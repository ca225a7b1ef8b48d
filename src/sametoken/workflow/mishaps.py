"""Mishaps: what goes wrong on purpose with the steps of instances, as the rules of a node say.

An instance that a rule may strike is driven after the others, alone and step by step: what strikes
it is its own, and a crash forgets nothing but it. While no rule is for steps, nothing is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sametoken.errors import SametokenError, Transient
from sametoken.faults.board import Board, Call
from sametoken.faults.kinds import Kind
from sametoken.faults.points import Point
from sametoken.faults.rules import Occasion, Rule
from sametoken.resources.compute.instances import InstanceState
from sametoken.resources.kit import rows
from sametoken.store.port import Store, Tx
from sametoken.workflow.plans import MACHINES
from sametoken.workflow.ports import Done, Later, Verb
from sametoken.workflow.records import INTERNAL_FAILURE, Dies, Failed, Retry, StepFate
from sametoken.workflow.work import Work

# Messages of EC2's state reasons, which repeat their code.
_SAYS = {
    "Server.InternalError": "Internal error on launch",
    "Server.InsufficientInstanceCapacity": "Insufficient capacity to satisfy instance request",
    "Client.InternalError": "Client error on launch",
    "Client.InvalidSnapshot.NotFound": "The specified snapshot was not found",
    "Client.VolumeLimitExceeded": "Volume limit exceeded",
    "Server.ScheduledStop": "Stopped due to scheduled retirement",
}
# A host that fails stops instances whose root is a volume, and ends the others (EC2 user guide,
# "Instance retirement"). Here every root is a volume.
_HOST_LOST = "Server.ScheduledStop"
# Plans that follow a death, by its reason.
_DEATHS = {_HOST_LOST: "die", "Server.InternalError": "vanish"}


class Crashed(SametokenError):
    """The controller has crashed on purpose: it does nothing more for the instance it held."""


@dataclass(frozen=True, slots=True)
class Hands:
    """Acts of a controller for one instance, under its lease.

    `call` calls for its next step, `take` only takes that step without acting outside, `record`
    records a fate and returns the work to go on with.
    """

    call: Callable[[Work], StepFate]
    take: Callable[[Work], None]
    record: Callable[[Work, StepFate], Work | None]


@dataclass(frozen=True, slots=True)
class Mishaps:
    """Strikes steps by the rules of `board`."""

    board: Board

    def marked(self, store: Store, leased: Sequence[Work]) -> dict[str, str]:
        """Return the instances that a rule may strike, each with the client token of its launch."""
        if not self.board.of_steps:
            return {}
        ids = [work.instance for work in leased]

        def read(tx: Tx) -> dict[str, str]:
            return {id: row.client_token or "" for id, row in rows.by_ids(tx, ids).items()}

        try:
            tokens = store.read(read)
        except Transient:
            # Drive them as if no rule were for them: else they would lie until their leases end.
            return {}
        occasions = [_occasion(work, tokens.get(work.instance, "")) for work in leased]
        return {one.what: one.token for one in occasions if self.board.concerns(one)}

    def drive(self, work: Work, token: str, hands: Hands) -> None:
        """Take step after step of one instance, as far as it goes. Raises `Crashed`."""
        going: Work | None = work
        while going is not None:
            going = self._step(going, token, hands)

    def _step(self, work: Work, token: str, hands: Hands) -> Work | None:
        occasion = _occasion(work, token)
        fate: StepFate | None = self._slowed(work, occasion)
        if fate is None:
            occasion = replace(occasion, attempt=self.board.tries(_call(work, occasion)))
            self._crash(occasion, Point.WORK_LEASED)
            fate = self._failed(work, occasion) or self._called(work, occasion, hands)
            self._crash(occasion, Point.STEP_ANSWERED)
        going = hands.record(work, fate)
        self._crash(occasion, Point.STEP_RECORDED)
        return going

    def _slowed(self, work: Work, occasion: Occasion) -> Later | None:
        """Put the step off if a rule says so: a wait is no try of it, and is counted by itself."""
        asked = self.board.tries((*_call(work, occasion), Kind.SLOW_STEP))
        rules = self._strikes(replace(occasion, attempt=asked), Kind.SLOW_STEP)
        seconds = sum(rule.seconds for rule in rules)
        return Later(seconds, _named(rules)) if rules else None

    def _called(self, work: Work, occasion: Occasion, hands: Hands) -> StepFate:
        if MACHINES in work.next_step().services:
            taken = replace(occasion, point=Point.MACHINES_TAKEN)
            if self._strikes(taken, Kind.CRASH):
                hands.take(work)
                raise Crashed(taken.point)
        fate = hands.call(work)
        if not isinstance(fate, Done | Later):
            return fate
        answered = replace(occasion, point=Point.STEP_ANSWERED)
        return self._failed(work, answered) or self._booted(work, occasion, fate)

    def _failed(self, work: Work, occasion: Occasion) -> Retry | Failed | None:
        """Fail the step if a rule says so: for a while, or for good where there is a way back."""
        if failing := self._strikes(occasion, Kind.FAIL_STEP):
            return Retry(soon=True, why=_named(failing))
        if work.the_plan.on_failure is not None:
            for rule in self._strikes(occasion, Kind.FAIL_LAUNCH):
                reason = _reason(rule.code or INTERNAL_FAILURE[0], rule.message)
                return Failed(reason, _named([rule]))
        return None

    def _booted(self, work: Work, occasion: Occasion, fate: Done | Later) -> StepFate:
        """Have a machine that is up be none after all, or die later, if a rule says so."""
        step, plan = work.next_step(), work.the_plan
        if isinstance(fate, Later) or (step.verb, step.services) != (Verb.ENSURE, (MACHINES,)):
            return fate
        if failing := self._strikes(occasion, Kind.BOOT_FAILS):
            return Failed(INTERNAL_FAILURE, _named(failing))
        assert work.is_last_step and plan.ends_in is InstanceState.RUNNING, "it boots at the end"
        for rule in self._strikes(occasion, Kind.MACHINE_DIES):
            code = rule.code or _HOST_LOST
            return Dies(rule.seconds, _DEATHS[code], _reason(code, rule.message))
        return fate

    def _crash(self, occasion: Occasion, point: Point) -> None:
        if self._strikes(replace(occasion, point=point), Kind.CRASH):
            raise Crashed(point)

    def _strikes(self, occasion: Occasion, kind: Kind) -> tuple[Rule, ...]:
        return self.board.strike(occasion, (kind,))


def _named(rules: Sequence[Rule]) -> str:
    return f"fault {', '.join(rule.name for rule in rules)}"


def _call(work: Work, occasion: Occasion) -> Call:
    return occasion.account, work.instance, str(work.epoch), occasion.step


def _occasion(work: Work, token: str) -> Occasion:
    return Occasion(
        work.instance, work.account, work.region, work.zone, token=token,
        instance_type=work.spec["instance_type"], step=work.next_step().name,
    )  # fmt: skip


def _reason(code: str, message: str) -> tuple[str, str]:
    """EC2's state reason: a code, and a message that begins with it."""
    return code, f"{code}: {message or _SAYS[code]}"
