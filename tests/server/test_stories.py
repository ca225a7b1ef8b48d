"""Stories of launches: every attempt, code, step, node and resource, on both databases.

The launches are driven by hand and the clock is moved on, so no test waits.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ec2.asking import hand_runner
from plane import LAUNCH, new_database, running_plane
from sametoken.faults import Point
from sametoken.node import NAME_CHARACTERS_MAX, name_of
from sametoken.operate.story.model import Verdict
from sametoken.workflow import work
from server.telling import (
    ENDING_STEPS,
    NO_CAPACITY,
    PARTS,
    Place,
    check_by_command_and_http,
    outcomes,
    tries,
)


def test_a_boot_that_fails_for_good_at_its_third_try(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.strike("fail-step", step="boot-machine", attempt="1-2", name="twice")
    place.strike("fail-launch", step="boot-machine", attempt=3, name="third")
    id = place.launch()
    place.settle()
    story = place.story()
    assert story.verdict is Verdict.FAILED
    assert f"{id} failed at boot-machine, try 3" in story.said
    assert "Server.InternalError" in story.said and "is terminated" in story.said
    assert outcomes(story) == [("new", 200, None)]
    boots = tries(story, "launch", "boot-machine")
    assert [one.outcome for one in boots] == ["retry", "retry", "failed"]
    assert all(one.until is not None and one.until >= one.at for one in boots[:2])
    assert ["twice" in boots[0].error, "third" in boots[2].error] == [True, True]
    [launch] = story.launches
    assert [one.plan for one in launch.walks] == ["launch", "terminate"]
    unwound = launch.walks[1]
    assert "Server.InternalError" in (unwound.why or "")
    assert [one.name for one in unwound.steps] == ENDING_STEPS
    assert {one.state for one in unwound.steps} == {"done"}
    at = [one.tries[0].at for one in unwound.steps]
    assert at == sorted(at)
    nodes = {one.node for walk in launch.walks for step in walk.steps for one in step.tries}
    assert nodes == {place.plane.node.name} == {story.attempts[0].node}
    assert [one.kind for one in story.resources] == PARTS
    assert all(one.ended_at is not None for one in story.resources)
    assert "Internal error on launch" in (story.resources[0].reason or "")
    check_by_command_and_http(place, story, monkeypatch)


def test_capacity_twice_and_then_a_success_under_the_same_token(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.strike("no-capacity", action="RunInstances", times=2, name="full")
    assert [place.refused(), place.refused()] == [NO_CAPACITY] * 2
    refused = place.story()
    assert (refused.verdict, len(refused.attempts)) == (Verdict.REFUSED, 2)
    assert f"{NO_CAPACITY} 2 times" in refused.said
    id = place.launch()
    place.settle()
    story = place.story()
    assert story.verdict is Verdict.RUNNING and id in story.said
    failed = ("failed", 500, NO_CAPACITY)
    assert outcomes(story) == [failed, failed, ("new", 200, None)]
    assert [one.number for one in story.attempts] == [1, 2, 3]
    assert [one.faults for one in story.attempts] == [("full",), ("full",), ()]
    assert all(one.seconds is not None and one.seconds >= 0 for one in story.attempts)
    assert all(one.invocation and one.invocation_attempt == 1 for one in story.attempts)
    assert len({one.request_id for one in story.attempts}) == 3
    assert {step.state for step in story.launches[0].walks[0].steps} == {"done"}
    assert [(one.kind, one.state) for one in story.resources] == list(
        zip(PARTS, ["running", "in-use", "in-use", "reserved"], strict=True)
    )
    check_by_command_and_http(place, story, monkeypatch)


def test_a_controller_killed_between_two_steps(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = {"step": "make-volumes", "point": Point.STEP_RECORDED.value, "name": "killed"}
    place.strike("crash", **crash)
    id = place.launch()
    place.drive()
    held = place.story()
    assert held.verdict is Verdict.LAUNCHING and "bring-up-interfaces" in held.said
    assert held.launches[0].owner == place.plane.node.name
    place.plane.advance(work.LEASE + timedelta(seconds=1))
    successor = replace(hand_runner(place.plane), node="another:4590")
    place.settle(successor)
    story = place.story()
    assert story.verdict is Verdict.RUNNING
    taken, done = tries(story, "launch", "bring-up-interfaces")
    assert (taken.outcome, taken.left_by) == ("taken over", place.plane.node.name)
    assert (taken.node, done.node) == ("another:4590", "another:4590")
    [before] = tries(story, "launch", "make-volumes")
    assert (before.node, before.outcome) == (place.plane.node.name, "done")
    assert done.generation == taken.generation == before.generation + 1
    assert [one.kind for one in story.resources] == PARTS
    assert story.resources[0].id == id
    check_by_command_and_http(place, story, monkeypatch)


def test_two_nodes_of_one_database_tell_who_took_over(tmp_path: Any) -> None:
    database = new_database(tmp_path, "postgresql")
    with (
        running_plane(tmp_path, runners=0, dev=True, database=database) as one,
        running_plane(tmp_path, runners=0, dev=True, database=database) as other,
    ):
        assert one.node.name != other.node.name
        place = Place(one, one.account("takeover"), hand_runner(one))
        place.strike("crash", step="make-volumes", point=Point.STEP_RECORDED.value)
        place.launch()
        place.drive()
        place.plane.advance(work.LEASE + timedelta(seconds=1))
        place.settle(hand_runner(other))
        # A repeat is answered by the other node, and told by it.
        answer = other.client(keys=place.keys).run_instances(**LAUNCH, ClientToken="t")
        other.node.journal.write(other.store)
        story = place.story()
        told = {each.outcome: each for each in tries(story, "launch", "bring-up-interfaces")}
        assert told["taken over"].left_by == one.node.name
        assert told["done"].node == other.node.name
        assert [each.node for each in story.attempts] == [one.node.name, other.node.name]
        assert story.resources[0].id == answer["Instances"][0]["InstanceId"]


def test_a_node_is_named_by_its_host_and_port_or_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sametoken.node.gethostname", lambda: f"{'h' * 100}.example.com")
    host = "h" * NAME_CHARACTERS_MAX
    assert name_of("http://127.0.0.1:4590") == f"{host}:4590"
    assert name_of(None) == f"{host}/{os.getpid()}"
