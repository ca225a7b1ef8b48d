"""Faults of launches, with boto3: whatever strikes, an instance ends in a known good state.

The plane answers; its launches are driven by hand, and its clock is moved on, so no test waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from clients.holdings import held, whole
from ec2.asking import hand_runner
from plane import LAUNCH, Plane, running_plane
from sametoken.faults.kinds import CRASH_POINTS, Kind
from sametoken.faults.points import Point
from sametoken.faults.rules import Rule
from sametoken.operate.settling import pass_time
from sametoken.testing import running
from sametoken.workflow import turns, work
from sametoken.workflow.plans import LAUNCH_DEADLINE, PLANS
from sametoken.workflow.runner import Runner
from sametoken.workflow.work import Work

TOKEN = "struck"
# Rounds of waiting in which anything is done that is ever done.
ROUNDS_MAX = 300
STEPS = [step.name for step in PLANS["launch"].steps]
ENDING_STEPS = [step.name for step in PLANS["terminate"].steps]


@dataclass(frozen=True)
class Stage:
    """A plane without runners, a client of it, and a runner that the test drives by hand."""

    plane: Plane
    ec2: Any
    runner: Runner

    def rows(self, sql: str, *parameters: object) -> list[Any]:
        assert not parameters, "none is needed here"
        return self.plane.run(lambda tx: list(tx.execute(sa.text(sql))))

    def strike(self, *rules: Rule) -> None:
        self.plane.node.faults.set(rules)

    def launch(self, token: str = TOKEN, **more: Any) -> str:
        answer = self.ec2.run_instances(**LAUNCH, ClientToken=token, **more)
        [instance] = answer["Instances"]
        return str(instance["InstanceId"])

    def described(self, id: str) -> Any:
        found = self.ec2.describe_instances(InstanceIds=[id])
        return found["Reservations"][0]["Instances"][0]

    def state(self, id: str) -> str:
        return str(self.described(id)["State"]["Name"])

    def work(self, id: str) -> Work:
        found = self.plane.run(lambda tx: work.find(tx, id))
        assert found is not None
        return found

    def drive(self, runner: Runner | None = None) -> None:
        """Do all work that is due now."""
        while (runner or self.runner).run_once():
            pass

    def settle(self, runner: Runner | None = None) -> None:
        """Do all work, and let all time pass that it waits for."""
        for _ in range(ROUNDS_MAX):
            self.drive(runner)
            now, due_at = self.plane.store.read(lambda tx: (tx.now, turns.next_due(tx)))
            if due_at is None:
                return
            self.plane.advance(max(due_at - now, timedelta()) + timedelta(milliseconds=1))
        raise AssertionError("the work never ends")

    def fired(self) -> dict[str, int]:
        return {one.rule.name: one.fired for one in self.plane.node.faults.standing()}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with running_plane(tmp_path, runners=0, dev=True) as plane:
        yield Stage(plane, plane.client(), hand_runner(plane))


def check_running(stage: Stage, id: str) -> None:
    """A repeat names the same instance, which runs, and there is nothing else."""
    assert stage.launch() == id
    assert stage.state(id) == "running"
    assert held(stage) == whole(running=1)


def check_unwound(stage: Stage, id: str, code: str) -> None:
    """The launch has left a terminated instance that says why, and nothing else."""
    assert stage.launch() == id
    shown = stage.described(id)
    assert (shown["State"]["Name"], shown["StateReason"]["Code"]) == ("terminated", code)
    left = held(stage)
    steps, boots = left.pop("launch steps taken", 0), left.pop("boots", 0)
    assert 0 <= steps <= len(STEPS) and boots <= 1
    traces = {"volume deleted", "network-interface deleted", "placement deleted", "machine absent"}
    assert {name: left[name] for name in left if name not in traces} == {
        "instance terminated": 1, "entries": 1,
    }  # fmt: skip


# Crashes of the controller: (point, step, try). A boot is asked about until it is over, so its
# second call finds the machine up.
CRASHES = [
    *((point, step, 1) for step in STEPS for point in CRASH_POINTS),
    *((point, "boot-machine", 2) for point in CRASH_POINTS),
]


def _can_be(point: Point, step: str) -> bool:
    return point is not Point.MACHINES_TAKEN or step in ("boot-machine", "close", "remove-machine")


@pytest.mark.parametrize(("point", "step", "attempt"), [c for c in CRASHES if _can_be(*c[:2])])
def test_a_controller_that_crashes_in_a_step_is_succeeded_once_its_lease_is_over(
    stage: Stage, point: Point, step: str, attempt: int
) -> None:
    stage.strike(Rule(Kind.CRASH, "it", step=(step,), point=point, attempt=(attempt, attempt)))
    id = stage.launch()
    stage.drive()
    while not stage.fired()["it"]:
        stage.plane.advance(timedelta(seconds=1))
        stage.drive()
    before = stage.work(id)
    arrived = before.due_at is None or (step == "boot-machine" and attempt == 1)
    successor = hand_runner(stage.plane)
    if not (arrived and point is Point.STEP_RECORDED):
        assert not successor.run_once(), "the lease is the dead controller's still"
        assert stage.work(id) == before
        assert stage.state(id) == "pending"
        stage.plane.advance(work.LEASE)
        assert successor.run_once()
        assert stage.work(id).generation == before.generation + 1
    stage.settle(successor)
    assert stage.fired() == {"it": 1}
    check_running(stage, id)


@pytest.mark.parametrize(
    ("point", "step"),
    [(point, step) for step in ENDING_STEPS for point in CRASH_POINTS if _can_be(point, step)],
)
def test_a_controller_that_crashes_in_an_ending_leaves_nothing(
    stage: Stage, point: Point, step: str
) -> None:
    id = stage.launch()
    stage.settle()
    stage.strike(Rule(Kind.CRASH, "it", step=(step,), point=point))
    stage.ec2.terminate_instances(InstanceIds=[id])
    stage.settle()
    assert stage.fired() == {"it": 1}
    check_unwound(stage, id, "Client.UserInitiatedShutdown")


def test_a_crash_forgets_no_other_launch(stage: Stage) -> None:
    """Launches of others go on under the lease that they were taken with."""
    others = [stage.launch(f"other-{number}") for number in range(3)]
    id = stage.launch()
    stage.strike(Rule(Kind.CRASH, token=(TOKEN,), point=Point.STEP_ANSWERED))
    stage.drive()
    assert {stage.state(one) for one in others} == {"running"}
    assert stage.state(id) == "pending"
    stage.settle()
    assert stage.state(id) == "running"
    assert held(stage) == whole(running=4)


@pytest.mark.parametrize("step", STEPS)
def test_a_slow_step_is_taken_later_and_once(stage: Stage, step: str) -> None:
    stage.strike(Rule(Kind.SLOW_STEP, "it", step=(step,), seconds=30.0))
    id = stage.launch()
    stage.drive()
    stage.plane.advance(timedelta(seconds=29))
    stage.drive()
    assert stage.state(id) == "pending"
    stage.plane.advance(timedelta(seconds=2))
    stage.settle()
    assert stage.fired() == {"it": 1}
    check_running(stage, id)


@pytest.mark.parametrize("point", ["", Point.STEP_ANSWERED], ids=["before it acts", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_twice_succeeds_at_its_third_try(
    stage: Stage, step: str, point: str
) -> None:
    stage.strike(Rule(Kind.FAIL_STEP, "it", step=(step,), attempt=(1, 2), point=point))
    id = stage.launch()
    stage.settle()
    assert stage.fired() == {"it": 2}
    check_running(stage, id)


def test_a_step_that_never_succeeds_is_given_up_at_the_deadline(stage: Stage) -> None:
    stage.strike(Rule(Kind.FAIL_STEP, step=("bring-up-interfaces",)))
    began = stage.plane.store.read(lambda tx: tx.now)
    id = stage.launch()
    stage.settle()
    assert stage.plane.store.read(lambda tx: tx.now) - began >= LAUNCH_DEADLINE
    check_unwound(stage, id, "Server.InternalError")


@pytest.mark.parametrize("point", ["", Point.STEP_ANSWERED], ids=["before it acts", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_launch_that_fails_for_good_is_unwound_and_says_why(
    stage: Stage, step: str, point: str
) -> None:
    code = "Client.VolumeLimitExceeded"
    stage.strike(Rule(Kind.FAIL_LAUNCH, "it", step=(step,), code=code, point=point))
    id = stage.launch()
    stage.settle()
    assert stage.fired() == {"it": 1}
    assert stage.described(id)["StateReason"]["Message"] == f"{code}: Volume limit exceeded"
    check_unwound(stage, id, code)


def test_a_way_back_fails_for_good_for_nobody(stage: Stage) -> None:
    """Steps that give back are repeated: giving up would leave something behind."""
    id = stage.launch()
    stage.settle()
    stage.strike(
        Rule(Kind.FAIL_LAUNCH, "for good"), Rule(Kind.FAIL_STEP, "for a while", attempt=(1, 2))
    )
    stage.ec2.terminate_instances(InstanceIds=[id])
    stage.settle()
    assert stage.fired() == {"for good": 0, "for a while": 2 * len(ENDING_STEPS)}
    check_unwound(stage, id, "Client.UserInitiatedShutdown")


def test_boots_that_fail_come_to_nothing_after_their_time(stage: Stage) -> None:
    stage.strike(Rule(Kind.BOOT_FAILS, "it", times=1))
    id = stage.launch()
    stage.settle()
    check_unwound(stage, id, "Server.InternalError")
    other = stage.launch("another")
    stage.settle()
    assert stage.state(other) == "running", "it strikes once"


def test_a_start_that_fails_ends_stopped(stage: Stage) -> None:
    id = stage.launch()
    stage.settle()
    stage.ec2.stop_instances(InstanceIds=[id])
    stage.settle()
    stage.strike(Rule(Kind.BOOT_FAILS))
    stage.ec2.start_instances(InstanceIds=[id])
    stage.settle()
    assert stage.state(id) == "stopped"


DEATHS = {"": ("stopped", "Server.ScheduledStop"), "Server.InternalError": ("terminated",) * 2}


@pytest.mark.parametrize("code", DEATHS)
def test_a_machine_dies_after_its_time_and_leaves_what_a_stopped_or_an_ended_one_does(
    stage: Stage, code: str
) -> None:
    stage.strike(Rule(Kind.MACHINE_DIES, "it", seconds=60.0, code=code, times=1))
    id = stage.launch()
    stage.drive()
    check_running(stage, id)
    stage.plane.advance(timedelta(seconds=59))
    stage.drive()
    check_running(stage, id)
    stage.plane.advance(timedelta(seconds=2))
    stage.settle()
    if code:
        check_unwound(stage, id, code)
        return
    shown = stage.described(id)
    assert shown["State"]["Name"] == "stopped"
    assert shown["StateReason"] == {
        "Code": "Server.ScheduledStop",
        "Message": "Server.ScheduledStop: Stopped due to scheduled retirement",
    }
    stage.ec2.start_instances(InstanceIds=[id])
    stage.settle()
    assert stage.state(id) == "running", "it starts elsewhere"


def test_a_death_that_is_ahead_is_no_unfinished_work() -> None:
    with running() as plane:
        account = plane.account()
        with account.faults() as faults:
            faults.add("machine-dies", seconds=3600)
            account.client().run_instances(**LAUNCH, ClientToken=TOKEN)
            account.assert_one_set()


@pytest.mark.parametrize("change", ["stop_instances", "terminate_instances"])
def test_a_machine_that_was_stopped_or_ended_dies_no_more(stage: Stage, change: str) -> None:
    stage.strike(Rule(Kind.MACHINE_DIES, seconds=60.0, code="Server.InternalError", times=1))
    id = stage.launch()
    stage.drive()
    getattr(stage.ec2, change)(InstanceIds=[id])
    stage.drive()
    stage.plane.advance(timedelta(minutes=2))
    stage.settle()
    assert stage.described(id)["StateReason"]["Code"] == "Client.UserInitiatedShutdown"


AIMS: dict[str, Callable[[Stage], Rule]] = {
    "account": lambda stage: Rule(Kind.BOOT_FAILS, account=("999999999999",)),
    "zone": lambda stage: Rule(Kind.BOOT_FAILS, zone=("us-east-1b",)),
    "type": lambda stage: Rule(Kind.BOOT_FAILS, instance_type=("m5.*",)),
    "token": lambda stage: Rule(Kind.BOOT_FAILS, token=("nobody's",)),
    "odds": lambda stage: Rule(Kind.BOOT_FAILS, odds=0.0),
    "skip": lambda stage: Rule(Kind.BOOT_FAILS, skip=1),
    "after": lambda stage: Rule(Kind.BOOT_FAILS, after=3600.0),
    "step": lambda stage: Rule(Kind.FAIL_LAUNCH, step=("halt-machine",)),
    "attempt": lambda stage: Rule(Kind.FAIL_LAUNCH, attempt=(5, 6)),
}


@pytest.mark.parametrize("aim", AIMS)
def test_what_a_rule_is_not_for_is_not_struck(stage: Stage, aim: str) -> None:
    stage.strike(AIMS[aim](stage))
    id = stage.launch(Placement={"AvailabilityZone": "us-east-1a"})
    stage.settle()
    assert stage.state(id) == "running"


def test_a_rule_that_has_done_its_share_lets_launches_go_together_again(stage: Stage) -> None:
    stage.strike(Rule(Kind.SLOW_STEP, "it", times=2))
    for number in range(2):
        stage.launch(f"slow-{number}")
    stage.settle()
    assert stage.fired() == {"it": 2}
    mishaps = stage.runner.mishaps
    assert mishaps is not None
    stage.launch()
    leased = stage.plane.run(stage.runner.lease)[1]
    assert mishaps.marked(stage.plane.store, leased) == {}


def test_launches_of_one_request_are_struck_each_by_itself(stage: Stage) -> None:
    stage.strike(Rule(Kind.FAIL_LAUNCH, "it", step=("make-volumes",), skip=1, times=1))
    answer = stage.ec2.run_instances(**{**LAUNCH, "MinCount": 3, "MaxCount": 3})
    stage.settle()
    states = sorted(stage.state(one["InstanceId"]) for one in answer["Instances"])
    assert states == ["running", "running", "terminated"]
    left = held(stage)
    assert (left["boots"], left["volume in-use"], left["capacity"]) == (2, 2, 2)


def test_two_nodes_in_one_process_have_rules_of_their_own(stage: Stage, tmp_path: Path) -> None:
    stage.strike(Rule(Kind.BOOT_FAILS))
    folder = tmp_path / "other"
    folder.mkdir()
    with running_plane(folder, runners=0) as other:
        elsewhere = Stage(other, other.client(), hand_runner(other))
        id = elsewhere.launch()
        elsewhere.settle()
        check_running(elsewhere, id)


def test_time_that_is_moved_on_goes_past_the_lease_of_a_crashed_controller(
    tmp_path: Path,
) -> None:
    """The node's own threads drive: nobody waits for an owner that does nothing any more."""
    with running_plane(tmp_path, dev=True) as plane:
        stage = Stage(plane, plane.client(), hand_runner(plane))
        stage.strike(Rule(Kind.CRASH, "it", point=Point.STEP_ANSWERED, times=3))
        id = stage.launch()
        ended = threading.Event()
        pass_time(plane.store, plane.node.engine, plane.node.world, timedelta(minutes=10), ended)
        assert stage.fired() == {"it": 3}
        check_running(stage, id)
