"""An owner stopped just before a create: its successor ends the launch; resumed, it makes nothing.

Real processes on PostgreSQL. The owner stops itself (SIGSTOP) at the point; another node, which was
stopped until then so that it could not take the work, goes on instead. The lease runs out by the
store's clock, which is moved, so no test waits for it.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from clients.holdings import held
from clients.nursery import CALLING_VARIABLE, STOPPING_VARIABLE
from clients.process import (
    Server,
    SharedDatabase,
    closing_server,
    has_stopped,
    identity,
    launch,
    new_shared_database,
    until,
)
from sametoken.faults import Point

# LEASE is longer than a lease.
LEASE = {"minutes": 2}
# Remains of a launch that has ended: tombstones, and the entries of its requests.
_REMAINS = {
    "instance terminated", "volume deleted", "network-interface deleted", "placement deleted",
    "machine absent", "entries", "launch steps taken", "boots",
}  # fmt: skip

# Refusals of a former owner, by a service and by a driver.
_TOO_LATE = re.compile("is too late|the driver has seen generation")


@dataclass(frozen=True)
class Stop:
    """A moment to stop at; `called`: at an owner that calls for its steps one by one."""

    at: str
    called: bool = False


# BEFORE: moments before a create. The launch's steps are placement, volumes, networks and machines,
# all of them one stretch; called for, each has a moment before it. After either there is one before
# the driver is asked. The last record of a stretch is told what the driver said.
BEFORE = {
    "the stretch": Stop(f"{Point.WORK_LEASED}:1"),
    "the driver": Stop(f"{Point.MACHINES_TAKEN}:1"),
    "the record": Stop(f"{Point.STEP_ANSWERED}:1"),
    "called placement": Stop(f"{Point.WORK_LEASED}:1", called=True),
    "called volumes": Stop(f"{Point.STEP_RECORDED}:1", called=True),
    "called networks": Stop(f"{Point.STEP_RECORDED}:2", called=True),
    "called machines": Stop(f"{Point.STEP_RECORDED}:3", called=True),
    "called driver": Stop(f"{Point.MACHINES_TAKEN}:1", called=True),
}
# INSIDE: moments in a transaction that creates, which the server ends after a while, so that it
# does not wait for ever: the stretch's one, or a step's own.
INSIDE = {
    "placement": Stop(f"{Point.PLACEMENT_CALLED}:1"),
    "volumes": Stop(f"{Point.VOLUMES_CALLED}:1"),
    "networks": Stop(f"{Point.NETWORKS_CALLED}:1"),
    "machines": Stop(f"{Point.MACHINES_CALLED}:1"),
    "record": Stop(f"{Point.STEP_RECORDING}:1"),
    "called placement": Stop(f"{Point.PLACEMENT_CALLED}:1", called=True),
    "called volumes": Stop(f"{Point.VOLUMES_CALLED}:1", called=True),
    "called networks": Stop(f"{Point.NETWORKS_CALLED}:1", called=True),
    "called machines": Stop(f"{Point.MACHINES_CALLED}:1", called=True),
}


@dataclass
class Stage:
    """A database and the node that takes over; the other nodes come and go."""

    shared: SharedDatabase
    successor: Server
    folder: Path

    def instances(self) -> list[Any]:
        reservations = self.successor.client().describe_instances()["Reservations"]
        return [instance for each in reservations for instance in each["Instances"]]

    def is_in(self, instance: str, state: str) -> bool:
        sql = "SELECT 1 FROM resource WHERE id = ? AND state = ?"
        return bool(self.successor.rows(sql, instance, state))

    def end_open_transactions(self) -> None:
        """End them as the server does of its own accord once their time is over."""
        with psycopg.connect(self.shared.url, autocommit=True) as session:
            session.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND state = 'idle in transaction'"
            )


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    shared = new_shared_database(tmp_path)
    successor = Server.on_postgresql(shared, tmp_path / "successor")
    with closing_server(successor):
        successor.start()
        yield Stage(shared, successor, tmp_path)


@dataclass
class Paused:
    """A node that has stopped itself in the midst of a launch."""

    node: Server
    instance: str
    answer: Any

    def resume(self) -> Any:
        """Resume the node, wait until it has noticed that it is too late, and end it.

        Returns its answer. A node that has ended does nothing more: all that it makes is there.
        """
        self.node.process.send_signal(signal.SIGCONT)
        until(lambda: _TOO_LATE.search(self.node.log.read_text()), "it is told that it is too late")
        answer = self.answer.result()
        self.node.stop()
        return answer


@contextmanager
def paused_owner(stage: Stage, stop: Stop, token: str) -> Iterator[Paused]:
    """Launch at a node that stops itself at the point; the successor goes on afterwards."""
    settings = {**stage.shared.settings, STOPPING_VARIABLE: stop.at}
    if stop.called:
        settings[CALLING_VARIABLE] = "yes"
    node = Server(
        stage.folder / token, stage.shared.keys, postgresql=stage.shared.url, settings=settings
    )
    node.database.parent.mkdir()
    with closing_server(node), ThreadPoolExecutor(1) as thread:
        stage.successor.process.send_signal(signal.SIGSTOP)
        try:
            # It may have been stopped in the midst of a heartbeat, for whose row others would wait.
            stage.end_open_transactions()
            node.start()
            answer = thread.submit(launch, node.client(), token)
            until(lambda: has_stopped(node), f"it stops at {stop.at}")
        finally:
            stage.successor.process.send_signal(signal.SIGCONT)
        sql = "SELECT id FROM resource WHERE client_token = ? AND kind = 'instance'"
        ((instance,),) = stage.successor.rows(sql, token)
        process = node.process
        try:
            yield Paused(node, instance, answer)
        finally:
            process.send_signal(signal.SIGCONT)


def everything(stage: Stage) -> list[Any]:
    """Each resource and each machine, with its state; and how many steps were taken."""
    return sorted(
        stage.successor.rows(
            "SELECT id, state FROM resource UNION ALL "
            "SELECT instance, state || ', boots: ' || boots FROM simulated_machine UNION ALL "
            "SELECT action, count(*)::text FROM idempotency_entry GROUP BY action"
        )
    )


def check_unwound(stage: Stage, paused: Paused, token: str) -> None:
    """Terminate at the successor while the owner is stopped; then resume the owner."""
    ec2 = stage.successor.client()
    ec2.terminate_instances(InstanceIds=[paused.instance])
    stage.successor.advance(**LEASE)
    until(lambda: stage.is_in(paused.instance, "terminated"), "the successor unwinds")
    stage.successor.settle()
    before = everything(stage)
    answer = paused.resume()
    stage.successor.settle()
    assert everything(stage) == before
    assert set(held(stage.successor)) <= _REMAINS
    # The owner's client, kept waiting all the while, hears of the one launch there was.
    assert identity(answer) == identity(launch(ec2, token))


@pytest.mark.parametrize("what", BEFORE)
def test_an_owner_stopped_before_a_create_makes_nothing_once_its_successor_has_unwound(
    stage: Stage, what: str
) -> None:
    token = f"before-{what.replace(' ', '-')}"
    with paused_owner(stage, BEFORE[what], token) as paused:
        check_unwound(stage, paused, token)


@pytest.mark.parametrize("what", INSIDE)
def test_an_owner_stopped_inside_a_create_makes_nothing_once_its_successor_has_unwound(
    stage: Stage, what: str
) -> None:
    token = f"inside-{what.replace(' ', '-')}"
    with paused_owner(stage, INSIDE[what], token) as paused:
        stage.end_open_transactions()
        check_unwound(stage, paused, token)


@pytest.mark.parametrize("what", ["the stretch", "the driver", "called volumes", "called driver"])
def test_an_owner_stopped_before_a_create_boots_nothing_twice_once_its_successor_has_launched(
    stage: Stage, what: str
) -> None:
    token = f"launched-{what.replace(' ', '-')}"
    with paused_owner(stage, BEFORE[what], token) as paused:
        stage.successor.advance(**LEASE)
        until(lambda: stage.is_in(paused.instance, "running"), "the successor launches")
        stage.successor.settle()
        before = everything(stage)
        assert (paused.instance, "running, boots: 1") in before
        answer = paused.resume()
        stage.successor.settle()
        assert everything(stage) == before
        ec2 = stage.successor.client()
        assert identity(answer) == identity(launch(ec2, token))
        ec2.terminate_instances(InstanceIds=[paused.instance])
        stage.successor.settle()
        assert set(held(stage.successor)) <= _REMAINS
