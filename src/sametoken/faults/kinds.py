"""Kinds of faults: what each does, which keys a rule of it takes, and what it needs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sametoken.faults.points import Point


class Kind(StrEnum):
    """A way to misbehave. The first word says how, the second what: a request, a reply, a step."""

    # Before the request acts.
    LOSE_REQUEST = "lose-request"
    DELAY_REQUEST = "delay-request"
    FAIL_REQUEST = "fail-request"
    UNAVAILABLE = "unavailable"
    THROTTLE = "throttle"
    ERROR = "error"
    # While it acts.
    NO_CAPACITY = "no-capacity"
    NOT_YET_FOUND = "not-yet-found"
    # After the commit.
    LOSE_REPLY = "lose-reply"
    CUT_REPLY = "cut-reply"
    DELAY_REPLY = "delay-reply"
    FAIL_REPLY = "fail-reply"
    DUPLICATE = "duplicate"
    LATE_DUPLICATE = "late-duplicate"
    # In the workflow of a launch, a start, a stop or a termination.
    SLOW_STEP = "slow-step"
    FAIL_STEP = "fail-step"
    FAIL_LAUNCH = "fail-launch"
    BOOT_FAILS = "boot-fails"
    MACHINE_DIES = "machine-dies"
    CRASH = "crash"
    KILL = "kill"


# Keys that say which requests or steps a rule is for, and keys that say how often it strikes.
AIMS_OF_REQUESTS = frozenset(
    {"action", "account", "region", "zone", "token", "instance_type", "attempt"}
)
AIMS_OF_LAUNCHES = frozenset({"account", "region", "zone", "token", "instance_type"})
AIMS_OF_STEPS = AIMS_OF_LAUNCHES | {"step", "attempt"}
OFTEN = frozenset({"odds", "seed", "skip", "times", "after", "until"})


# Moments at which a controller's crash leaves something of its own: before a step, between the step
# and its half outside the database, after both, and after the record. A crash inside a transaction
# leaves what one before it does.
CRASH_POINTS = (
    Point.WORK_LEASED, Point.MACHINES_TAKEN, Point.STEP_ANSWERED, Point.STEP_RECORDED,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Form:
    """The keys of a rule of one kind.

    `aims` are the keys that say what it is for; `needs` and `takes` those that say what it does,
    which must or may be given. `seconds` is what they are unless given. `actions` are those that
    it is for unless it names others: no other action could be struck. `attempt` is the first and
    the last try that it is for unless it names others: what struck every try would never end.
    `points` are those that it may name; none: all.
    """

    aims: frozenset[str]
    needs: frozenset[str] = frozenset()
    takes: frozenset[str] = frozenset()
    seconds: float = 0.0
    actions: tuple[str, ...] = ()
    attempt: tuple[int, int] | None = None
    points: tuple[Point, ...] = ()

    @property
    def keys(self) -> frozenset[str]:
        """Every key that a rule of the kind may have."""
        return self.aims | self.needs | self.takes | OFTEN | {"name", "kind"}


def _of_request(
    *needs: str, takes: tuple[str, ...] = (), seconds: float = 0.0, actions: tuple[str, ...] = ()
) -> Form:
    return Form(AIMS_OF_REQUESTS, frozenset(needs), frozenset(takes), seconds, actions)


def _of_step(
    *needs: str,
    takes: tuple[str, ...] = (),
    attempt: tuple[int, int] | None = None,
    points: tuple[Point, ...] = (),
) -> Form:
    return Form(AIMS_OF_STEPS, frozenset(needs), frozenset(takes), attempt=attempt, points=points)


def _of_machine(*needs: str, takes: tuple[str, ...] = ()) -> Form:
    """A kind that strikes a machine once it is up, whatever tries that took."""
    return Form(AIMS_OF_LAUNCHES, frozenset(needs), frozenset(takes))


# Actions that take capacity, and those that give new ids.
_TAKES_ROOM = ("RunInstances", "StartInstances", "CreateCapacityReservation")
_MAKES_IDS = ("Run*", "Create*", "Allocate*", "Copy*", "Register*", "Import*")

REQUEST_FORMS: Mapping[Kind, Form] = {
    Kind.LOSE_REQUEST: _of_request(),
    Kind.DELAY_REQUEST: _of_request("seconds"),
    Kind.FAIL_REQUEST: _of_request(),
    Kind.UNAVAILABLE: _of_request(),
    # As long as EC2's buckets take to have a token again.
    Kind.THROTTLE: _of_request(takes=("seconds",), seconds=1.0),
    Kind.ERROR: _of_request("code", takes=("message",)),
    Kind.NO_CAPACITY: _of_request(actions=_TAKES_ROOM),
    Kind.NOT_YET_FOUND: _of_request("seconds", actions=_MAKES_IDS),
    Kind.LOSE_REPLY: _of_request(),
    Kind.CUT_REPLY: _of_request(),
    Kind.DELAY_REPLY: _of_request("seconds"),
    Kind.FAIL_REPLY: _of_request(),
    Kind.DUPLICATE: _of_request(),
    Kind.LATE_DUPLICATE: _of_request("seconds"),
}
STEP_FORMS: Mapping[Kind, Form] = {
    Kind.SLOW_STEP: _of_step("seconds", attempt=(1, 1)),
    # Before the step; or at the point after it, when it has acted and its answer is lost.
    Kind.FAIL_STEP: _of_step(takes=("point",), points=(Point.STEP_ANSWERED,)),
    Kind.FAIL_LAUNCH: _of_step(takes=("point", "code", "message"), points=(Point.STEP_ANSWERED,)),
    Kind.BOOT_FAILS: _of_machine(),
    Kind.MACHINE_DIES: _of_machine("seconds", takes=("code", "message")),
    Kind.CRASH: _of_step("point", attempt=(1, 1), points=CRASH_POINTS),
    # Of the whole process: at a point of it, whoever comes there.
    Kind.KILL: Form(frozenset(), frozenset({"point"})),
}
FORMS: Mapping[Kind, Form] = {**REQUEST_FORMS, **STEP_FORMS}
assert FORMS.keys() == set(Kind), "every kind has a form"

OF_REQUESTS = frozenset(REQUEST_FORMS)
OF_PROCESSES = frozenset({Kind.KILL})
OF_STEPS = frozenset(STEP_FORMS) - OF_PROCESSES
