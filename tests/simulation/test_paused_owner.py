"""Owner paused just before a create: it makes no resource when it resumes after the unwinding.

Directed, not drawn: for each of the four services, the launch's owner is stopped just before the
call; its lease runs out; its successor terminates the instance; then the first owner goes on.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from sametoken.workflow.plans import SERVICES
from sametoken.workflow.ports import StepCall, Verb
from simulation.acts import ending
from simulation.scheduler import MINUTE, SECOND, Actor
from simulation.staging import LAUNCH, Stage, staged

# Longer than the lease (90 s) and than all the work of its successor.
PAUSE_US = 10 * MINUTE


def _pause_before(stage: Stage, service: str) -> list[Actor]:
    """Pause the first owner that is about to create at `service` for `PAUSE_US`."""
    paused: list[Actor] = []

    def before_call(name: str, verb: Verb, call: StepCall) -> None:
        if name == service and verb is Verb.ENSURE and not paused:
            actor = stage.scheduler.current
            assert actor is not None, "a runner is an actor"
            paused.append(actor)
            stage.scheduler.block(PAUSE_US)
            stage.scheduler.note("resumes")

    stage.hazards.before_call = before_call
    return paused


def _resumed(stage: Stage) -> bool:
    return any(event == "resumes" for _, _, event in stage.scheduler.trace)


def _instance(stage: Stage) -> str:
    answers = stage.send(LAUNCH)
    stage.run(lambda: bool(answers))
    assert answers[0].result is not None, "the launch is accepted"
    return str(answers[0].result["Instances"][0]["InstanceId"])


@pytest.mark.parametrize("service", SERVICES)
def test_an_owner_that_resumes_after_its_successor_unwound_makes_nothing(service: str) -> None:
    with staged(calls=True) as stage:
        paused = _pause_before(stage, service)
        instance = _instance(stage)
        stage.run(lambda: bool(paused))
        ended = stage.send(ending(LAUNCH.account, LAUNCH.region, instance))
        stage.run(lambda: bool(ended) and stage.state(instance) == "terminated")
        assert not _resumed(stage), "the successor unwinds while the first owner is stopped"
        stage.auditor.observe()
        before = stage.database.query("SELECT id, state FROM resource ORDER BY id")
        stage.run()
        assert _resumed(stage), "the first owner went on"
        assert stage.database.query("SELECT id, state FROM resource ORDER BY id") == before
        stage.auditor.check_settled()


@pytest.mark.parametrize("service", SERVICES)
def test_an_owner_that_resumes_after_its_successor_launched_boots_nothing_twice(
    service: str,
) -> None:
    with staged(calls=True) as stage:
        _pause_before(stage, service)
        instance = _instance(stage)
        stage.run(lambda: stage.state(instance) == "running")
        assert not _resumed(stage), "the successor launched while the first owner was stopped"
        stage.run()
        assert _resumed(stage), "the first owner went on"
        stage.auditor.check_settled()
        assert stage.database.query("SELECT boots FROM simulated_machine") == [(1,)]


def test_a_launch_paused_before_each_service_in_turn_still_ends_running_once() -> None:
    with staged(calls=True) as stage:
        stopped: set[str] = set()

        def before_call(name: str, verb: Verb, call: StepCall) -> None:
            if name not in stopped:
                stopped.add(name)
                stage.scheduler.block(100 * SECOND)

        stage.hazards.before_call = before_call
        answers = stage.send(replace(LAUNCH, client_token="slow"))
        stage.run()
        assert len(answers) == 1
        stage.auditor.check_settled()
        assert stopped == set(SERVICES)
