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
from clients.process import (
    Server,
    SharedDatabase,
    closing_server,
    identity,
    launch,
    new_shared_database,
    until,
)
from sametoken.faults import STOP_VARIABLE, Point

# LEASE is longer than a lease.
LEASE = {"minutes": 2}
# Remains of a launch that has ended: tombstones, and the entries of its requests.
_REMAINS = {
    "instance terminated", "volume deleted", "network-interface deleted", "placement deleted",
    "machine absent", "entries", "launch steps taken", "boots",
}  # fmt: skip

# Refusals of a former owner, by a service and by a driver.
_TOO_LATE = re.compile("is too late|the driver has seen generation")

# BEFORE: moments before each service's create, the launch's steps being placement, volumes,
# networks and machines; and for machines also the moment before its driver is asked.
BEFORE = {
    "placement": f"{Point.WORK_LEASED}:1",
    "volumes": f"{Point.STEP_RECORDED}:1",
    "networks": f"{Point.STEP_RECORDED}:2",
    "machines": f"{Point.STEP_RECORDED}:3",
    "the machines' driver": f"{Point.MACHINES_TAKEN}:1",
}
# INSIDE: moments in the create's own transaction, which the server ends after a while, so that it
# does not wait for ever.
INSIDE = {
    "placement": f"{Point.PLACEMENT_CALLED}:1",
    "volumes": f"{Point.VOLUMES_CALLED}:1",
    "networks": f"{Point.NETWORKS_CALLED}:1",
    "machines": f"{Point.MACHINES_CALLED}:1",
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


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("paused")
    shared = new_shared_database(folder)
    successor = Server.on_postgresql(shared, folder / "successor")
    with closing_server(successor):
        successor.start()
        yield Stage(shared, successor, folder)


@dataclass
class Paused:
    """A node that has stopped itself in the midst of a launch."""

    node: Server
    instance: str
    answer: Any

    def resume(self) -> None:
        """Resume the node, and wait until it has noticed that it is too late."""
        self.node.process.send_signal(signal.SIGCONT)
        until(lambda: _TOO_LATE.search(self.node.log.read_text()), "it is told that it is too late")


@contextmanager
def paused_owner(stage: Stage, at: str, token: str) -> Iterator[Paused]:
    """Launch at a node that stops itself at the point; the successor goes on afterwards."""
    node = Server(
        stage.folder / token, stage.shared.keys, postgresql=stage.shared.url,
        settings={**stage.shared.settings, STOP_VARIABLE: at},
    )  # fmt: skip
    node.database.parent.mkdir()
    with closing_server(node), ThreadPoolExecutor(1) as thread:
        stage.successor.process.send_signal(signal.SIGSTOP)
        try:
            # It may have been stopped in the midst of a heartbeat, for whose row others would wait.
            stage.end_open_transactions()
            node.start()
            answer = thread.submit(launch, node.client(), token)
            until(lambda: has_stopped(node), f"it stops at {at}")
        finally:
            stage.successor.process.send_signal(signal.SIGCONT)
        sql = "SELECT id FROM resource WHERE client_token = ? AND kind = 'instance'"
        ((instance,),) = stage.successor.rows(sql, token)
        try:
            yield Paused(node, instance, answer)
        finally:
            node.process.send_signal(signal.SIGCONT)


def has_stopped(node: Server) -> bool:
    assert node.process.poll() is None, "it ended instead"
    return node.process.is_stopped


def everything(stage: Stage) -> list[Any]:
    """Each resource and each machine, with its state."""
    return sorted(
        stage.successor.rows(
            "SELECT id, state FROM resource UNION ALL "
            "SELECT instance, state || ', boots: ' || boots FROM simulated_machine"
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
    paused.resume()
    stage.successor.settle()
    assert everything(stage) == before
    assert set(held(stage.successor)) <= _REMAINS
    # The owner's client, kept waiting all the while, hears of the one launch there was.
    assert identity(paused.answer.result()) == identity(launch(ec2, token))


@pytest.mark.parametrize("service", BEFORE)
def test_an_owner_stopped_before_a_create_makes_nothing_once_its_successor_has_unwound(
    stage: Stage, service: str
) -> None:
    token = f"before-{service.replace(' ', '-')}"
    with paused_owner(stage, BEFORE[service], token) as paused:
        check_unwound(stage, paused, token)


@pytest.mark.parametrize("service", INSIDE)
def test_an_owner_stopped_inside_a_create_makes_nothing_once_its_successor_has_unwound(
    stage: Stage, service: str
) -> None:
    token = f"inside-{service}"
    with paused_owner(stage, INSIDE[service], token) as paused:
        stage.end_open_transactions()
        check_unwound(stage, paused, token)


@pytest.mark.parametrize("service", ["volumes", "the machines' driver"])
def test_an_owner_stopped_before_a_create_boots_nothing_twice_once_its_successor_has_launched(
    stage: Stage, service: str
) -> None:
    token = f"launched-{service.replace(' ', '-')}"
    with paused_owner(stage, BEFORE[service], token) as paused:
        stage.successor.advance(**LEASE)
        until(lambda: stage.is_in(paused.instance, "running"), "the successor launches")
        stage.successor.settle()
        before = everything(stage)
        assert (paused.instance, "running, boots: 1") in before
        paused.resume()
        stage.successor.settle()
        assert everything(stage) == before
        ec2 = stage.successor.client()
        assert identity(paused.answer.result()) == identity(launch(ec2, token))
        ec2.terminate_instances(InstanceIds=[paused.instance])
        stage.successor.settle()
        assert set(held(stage.successor)) <= _REMAINS
