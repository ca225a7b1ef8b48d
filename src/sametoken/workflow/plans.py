"""The plans that drive an instance to a known good state, as tables of steps. Pure.

A plan is walked step by step; each step is one call (or one per service, for closing). A plan that
fails for good is replaced by its `on_failure`. A plan without `on_failure` is repeated until it
succeeds, because giving up would leave something behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sametoken.resources.compute.instances import InstanceState
from sametoken.workflow.ports import Verb

# EC2 gives a launch minutes, not hours; after this an operator would rather have it ended.
LAUNCH_DEADLINE = timedelta(minutes=15)

PLACEMENT, VOLUMES, NETWORKS, MACHINES = "placement", "volumes", "networks", "machines"
SERVICES = (PLACEMENT, VOLUMES, NETWORKS, MACHINES)


@dataclass(frozen=True, slots=True)
class Step:
    """Ask each of `services`, in order, to do `verb`."""

    name: str
    verb: Verb
    services: tuple[str, ...]

    @property
    def gives_back(self) -> bool:
        return self.verb in (Verb.HALT, Verb.RELEASE)


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps to take, the instance's state once they are taken, and the plan to go on with."""

    name: str
    steps: tuple[Step, ...]
    ends_in: InstanceState
    on_failure: str | None = None
    deadline: timedelta | None = None
    then: str | None = None


_MISSED = (Step("miss-machine", Verb.HALT, ()),)
_ALL = (
    Plan(
        "launch",
        (
            Step("reserve-host", Verb.ENSURE, (PLACEMENT,)),
            Step("make-volumes", Verb.ENSURE, (VOLUMES,)),
            Step("bring-up-interfaces", Verb.ENSURE, (NETWORKS,)),
            Step("boot-machine", Verb.ENSURE, (MACHINES,)),
        ),
        InstanceState.RUNNING,
        on_failure="terminate",
        deadline=LAUNCH_DEADLINE,
    ),
    Plan(
        "start",
        (
            Step("reserve-host", Verb.ENSURE, (PLACEMENT,)),
            Step("boot-machine", Verb.ENSURE, (MACHINES,)),
        ),
        InstanceState.RUNNING,
        on_failure="stop",
        deadline=LAUNCH_DEADLINE,
    ),
    Plan(
        "stop",
        (
            Step("halt-machine", Verb.HALT, (MACHINES,)),
            Step("drop-public-addresses", Verb.HALT, (NETWORKS,)),
            Step("leave-host", Verb.HALT, (PLACEMENT,)),
        ),
        InstanceState.STOPPED,
    ),
    # Close everywhere first, then release in reverse order: an owner that was paused before one of
    # its creates, and resumes after this, finds every door shut.
    Plan(
        "terminate",
        (
            Step("close", Verb.CLOSE, SERVICES),
            Step("remove-machine", Verb.RELEASE, (MACHINES,)),
            Step("release-interfaces", Verb.RELEASE, (NETWORKS,)),
            Step("release-volumes", Verb.RELEASE, (VOLUMES,)),
            Step("leave-host", Verb.RELEASE, (PLACEMENT,)),
        ),
        InstanceState.TERMINATED,
    ),
    # A machine that has died is missed, and what it leaves goes the ways above.
    Plan("die", _MISSED, InstanceState.STOPPING, then="stop"),
    Plan("vanish", _MISSED, InstanceState.SHUTTING_DOWN, then="terminate"),
)
PLANS: Mapping[str, Plan] = {plan.name: plan for plan in _ALL}

for _plan in _ALL:
    assert _plan.on_failure is None or PLANS[_plan.on_failure].on_failure is None, (
        "what replaces a failed plan never gives up itself"
    )
