"""The plans as tables: each ends, each failure has a way back, closing comes before releasing."""

from __future__ import annotations

import pytest

from sametoken.resources.compute.instances import INSTANCE, InstanceState
from sametoken.workflow.plans import PLACEMENT, PLANS, SERVICES, Plan
from sametoken.workflow.ports import Verb
from sametoken.workflow.work import LEASE

EVERY = pytest.mark.parametrize("plan", PLANS.values(), ids=lambda plan: plan.name)

# DURING is the state of an instance while a plan is followed; the request puts it there.
DURING = {
    "launch": InstanceState.PENDING,
    "start": InstanceState.PENDING,
    "stop": InstanceState.STOPPING,
    "terminate": InstanceState.SHUTTING_DOWN,
    "die": InstanceState.RUNNING,
    "vanish": InstanceState.RUNNING,
}


def test_there_is_a_plan_for_every_wish() -> None:
    assert set(PLANS) == set(DURING)


@EVERY
def test_a_plan_has_steps_and_each_asks_known_services(plan: Plan) -> None:
    assert plan.steps
    assert all(set(step.services) <= set(SERVICES) for step in plan.steps)
    # Ask nobody only to miss a machine.
    assert all(step.services for step in plan.steps) == (plan.then is None)


@EVERY
def test_a_plan_goes_on_with_one_that_begins_where_it_ends(plan: Plan) -> None:
    if plan.then is not None:
        assert plan.ends_in is DURING[plan.then]
        assert plan.on_failure is None and PLANS[plan.then].on_failure is None


@EVERY
def test_step_names_are_unique_in_a_plan_because_their_tokens_are_derived_from_them(
    plan: Plan,
) -> None:
    names = [step.name for step in plan.steps]
    assert len(names) == len(set(names))


@EVERY
def test_a_plan_ends_in_a_state_that_its_instance_can_reach(plan: Plan) -> None:
    assert plan.ends_in.value in INSTANCE.transitions[DURING[plan.name]]


@EVERY
def test_a_plan_that_can_fail_has_a_way_back_that_cannot(plan: Plan) -> None:
    """Check that the way back needs no other request first, from the state of the failure."""
    if plan.on_failure is None:
        assert plan.deadline is None, "who gives up must know what to do instead"
        return
    back = PLANS[plan.on_failure]
    assert back.on_failure is None
    assert back.ends_in.value in INSTANCE.transitions[DURING[plan.name]]


@EVERY
def test_only_plans_that_provision_have_a_deadline_longer_than_a_lease(plan: Plan) -> None:
    provisions = any(step.verb is Verb.ENSURE for step in plan.steps)
    assert (plan.deadline is not None) == provisions
    assert plan.deadline is None or plan.deadline > LEASE


def test_terminate_closes_every_service_before_it_releases_anything() -> None:
    """An owner that was paused before a create finds every door shut when it resumes."""
    close, *releases = PLANS["terminate"].steps
    assert (close.verb, set(close.services)) == (Verb.CLOSE, set(SERVICES))
    assert all(step.verb is Verb.RELEASE for step in releases)


def test_terminate_releases_in_the_reverse_order_of_launch() -> None:
    made = [service for step in PLANS["launch"].steps for service in step.services]
    released = [service for step in PLANS["terminate"].steps[1:] for service in step.services]
    assert released == made[::-1]
    assert set(made) == set(SERVICES)


def test_a_stopped_instance_leaves_its_host_and_a_started_one_gets_one() -> None:
    assert (PLACEMENT,) in [step.services for step in PLANS["stop"].steps]
    assert (PLACEMENT,) in [step.services for step in PLANS["start"].steps]
