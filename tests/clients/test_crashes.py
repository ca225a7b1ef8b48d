"""kill -9 at every fault point of the real process: one launch, finished by its successor.

A rule `kill` ends the process the n-th time it reaches a point; it flushes nothing and closes no
connection. Its successor is started on the same file without the rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clients.holdings import held, whole
from clients.process import NO_ANSWER, Server, closing_server, identity, launch
from sametoken.faults import POINTS, Point
from sdk import Keys

TOKEN = "crashed-launch"


@dataclass(frozen=True)
class Crash:
    """The time at a point to die at (`hit`), and whether the launch is committed by then."""

    hit: int
    committed: bool


# _LAUNCH_COMMIT is the first: a server whose rules are in force has made its own commits. The first
# `engine` points a launch meets are its own, the later ones its steps'.
_LAUNCH_COMMIT = 1
IN_LAUNCH: Mapping[Point, Crash] = {
    Point.ENGINE_CLAIMED: Crash(1, committed=False),
    Point.ENGINE_PERFORMED: Crash(1, committed=False),
    Point.ENGINE_VIEWED: Crash(1, committed=False),
    Point.ENGINE_RECORDED: Crash(1, committed=False),
    Point.STORE_BEFORE_COMMIT: Crash(_LAUNCH_COMMIT, committed=False),
    Point.STORE_COMMITTED: Crash(_LAUNCH_COMMIT, committed=True),
    Point.REPLY_READY: Crash(1, committed=True),
    Point.WORK_LEASED: Crash(1, committed=True),
    Point.STEP_FENCED: Crash(1, committed=True),
    Point.STEP_CLAIMED: Crash(1, committed=True),
    Point.PLACEMENT_CALLED: Crash(1, committed=True),
    Point.VOLUMES_CALLED: Crash(1, committed=True),
    Point.NETWORKS_CALLED: Crash(1, committed=True),
    Point.MACHINES_CALLED: Crash(1, committed=True),
    Point.MACHINES_TAKEN: Crash(1, committed=True),
    Point.STEP_ANSWERED: Crash(1, committed=True),
    Point.STEP_RECORDING: Crash(1, committed=True),
    Point.STEP_RECORDED: Crash(1, committed=True),
}
# IN_STEPS: the same points again, met by the steps of a launch that was answered.
IN_STEPS = (
    (Point.ENGINE_CLAIMED, 3),
    (Point.ENGINE_RECORDED, 5),
    (Point.STORE_BEFORE_COMMIT, _LAUNCH_COMMIT + 2),
    (Point.STORE_BEFORE_COMMIT, _LAUNCH_COMMIT + 8),
    (Point.WORK_LEASED, 2),
    (Point.STEP_FENCED, 3),
    (Point.STEP_CLAIMED, 4),
    (Point.STEP_RECORDING, 3),
    (Point.STEP_ANSWERED, 2),
    (Point.STEP_RECORDED, 2),
)
# IN_TERMINATION: the points of a termination, five steps, the first of which closes all four
# services.
IN_TERMINATION = (
    (Point.REPLY_READY, 1),
    (Point.STORE_COMMITTED, _LAUNCH_COMMIT),
    (Point.STORE_COMMITTED, _LAUNCH_COMMIT + 3),
    (Point.MACHINES_CALLED, 1),
    (Point.MACHINES_TAKEN, 1),
    (Point.NETWORKS_CALLED, 1),
    (Point.VOLUMES_CALLED, 1),
    (Point.PLACEMENT_CALLED, 1),
    (Point.STEP_FENCED, 4),
    (Point.STEP_FENCED, 6),
    (Point.STEP_CLAIMED, 2),
    (Point.STEP_RECORDING, 5),
    *((Point.STEP_ANSWERED, hit) for hit in (1, 2)),
    *((Point.STEP_RECORDED, hit) for hit in (2, 5)),
)


def try_launch(server: Server) -> tuple[str, ...] | None:
    """The launch's identity; None when the connection ended without an answer."""
    try:
        return identity(launch(server.client(), TOKEN))
    except NO_ANSWER:
        return None


def launch_into(server: Server, point: Point, hit: int) -> tuple[str, ...] | None:
    """Send a launch to a server that dies at the point; return its identity if acknowledged."""
    server.start(crash_at=f"{point}:{hit}")
    answered = try_launch(server)
    server.wait_killed()
    return answered


def has_committed(server: Server) -> bool:
    return bool(server.rows("SELECT 1 FROM idempotency_entry WHERE client_token = ?", TOKEN))


def states(server: Server) -> list[str]:
    found = server.client().describe_instances()
    return [one["State"]["Name"] for each in found["Reservations"] for one in each["Instances"]]


def test_every_fault_point_has_its_crash() -> None:
    assert set(IN_LAUNCH) == set(POINTS)


@pytest.mark.parametrize("point", POINTS)
def test_a_launch_whose_server_died_is_one_instance(server: Server, point: Point) -> None:
    crash = IN_LAUNCH[point]
    answered = launch_into(server, point, crash.hit)
    assert has_committed(server) == crash.committed
    assert answered is None or crash.committed, "an answer promises what is on the disk"

    server.start()
    retried = identity(launch(server.client(), TOKEN))
    assert answered in (None, retried)
    server.settle()
    assert identity(launch(server.client(), TOKEN)) == retried
    assert states(server) == ["running"]
    assert held(server) == whole(running=1)


@pytest.mark.parametrize("point", [point for point in POINTS if IN_LAUNCH[point].committed])
def test_a_launch_that_was_committed_is_finished_without_its_client(
    server: Server, point: Point
) -> None:
    answered = launch_into(server, point, IN_LAUNCH[point].hit)

    server.start()
    server.settle()
    assert states(server) == ["running"]
    assert held(server) == whole(running=1)
    assert answered in (None, identity(launch(server.client(), TOKEN)))
    assert held(server) == whole(running=1)


@pytest.mark.parametrize(("point", "hit"), IN_STEPS)
def test_a_step_whose_server_died_is_taken_once(server: Server, point: Point, hit: int) -> None:
    answered = launch_into(server, point, hit)
    assert has_committed(server)

    server.start()
    server.settle()
    assert states(server) == ["running"]
    assert answered in (None, identity(launch(server.client(), TOKEN)))
    assert held(server) == whole(running=1)


def test_servers_that_die_one_after_another_still_finish_the_launch(server: Server) -> None:
    """Let each server die one commit after those of its own start."""
    answered = launch_into(server, Point.STORE_COMMITTED, _LAUNCH_COMMIT + 1)
    for _ in range(3):
        server.start(crash_at=f"{Point.STORE_COMMITTED}:{_LAUNCH_COMMIT + 2}")
        server.wait_killed()
    server.start()
    server.settle()
    assert answered in (None, identity(launch(server.client(), TOKEN)))
    assert held(server) == whole(running=1)


@pytest.fixture(scope="module")
def launched(
    template: tuple[Path, Keys], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Keys, Any]:
    """Make a closed database with one running instance; return the launch's answer too."""
    folder = tmp_path_factory.mktemp("launched")
    with closing_server(Server.copied(*template, folder)) as server:
        server.start()
        answer = launch(server.client(), TOKEN)
        server.settle()
        server.stop()
    return server.database, server.keys, answer


@pytest.mark.parametrize(("point", "hit"), IN_TERMINATION)
def test_a_termination_whose_server_died_releases_everything(
    launched: tuple[Path, Keys, Any], tmp_path: Path, point: Point, hit: int
) -> None:
    database, keys, answer = launched
    ids = list(identity(answer)[1:])
    with closing_server(Server.copied(database, keys, tmp_path)) as server:
        server.start(crash_at=f"{point}:{hit}")
        with suppress(*NO_ANSWER):
            server.client().terminate_instances(InstanceIds=ids)
        server.wait_killed()

        server.start()
        server.client().terminate_instances(InstanceIds=ids)
        server.settle()
        assert states(server) == ["terminated"]
        assert identity(launch(server.client(), TOKEN)) == identity(answer)
        assert held(server) == whole(terminated=1)
