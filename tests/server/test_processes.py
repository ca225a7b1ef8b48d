"""`sametoken serve --processes N`: edges and a writer keep each promise as one process does."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # it has no stubs of its own
import pytest
import sqlalchemy as sa

from clients.nursery import STOPPING_VARIABLE
from clients.process import (
    PATIENCE_SECONDS,
    Server,
    closing_server,
    has_stopped,
    identity,
    launch,
    new_shared_database,
    prepare,
    until,
)
from sametoken.errors import Misconfigured
from sametoken.faults import Point
from sametoken.operate.forking import check_can_fork, usual_edges
from sametoken.operate.opening import writing
from sametoken.resources.account.accounts import ACCESS_KEY
from sametoken.server.bounds import Bounds
from sametoken.server.connections import Connections
from sametoken.server.tally import Tally
from sametoken.settings import database_of
from sametoken.store.gate import Gate
from sametoken.world import RealWorld
from sdk import Keys
from server import hostile
from server.wire import Direct, say_what_came

EDGES = 2


@dataclass
class Serving:
    """A prepared database, to be copied for each test's server."""

    template: Path
    keys: Keys

    @contextmanager
    def at(self, folder: Path, *options: str, **settings: str) -> Iterator[Server]:
        """Give the block a server with edges, not started yet."""
        words = ("--processes", str(EDGES), *options)
        made = Server.copied(self.template, self.keys, folder, options=words, settings=settings)
        with closing_server(made) as server:
            yield server


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Serving:
    template = tmp_path_factory.mktemp("template") / "served.db"
    return Serving(template, prepare(template))


@pytest.fixture
def server(serving: Serving, tmp_path: Path) -> Iterator[Server]:
    with serving.at(tmp_path) as made:
        yield made


def edges(server: Server) -> list[psutil.Process]:
    return list(psutil.Process(server.process.pid).children())


def edge_of(server: Server, port: int) -> psutil.Process | None:
    """The edge that has the connection from our `port`; None while it waits to be taken."""
    for edge in edges(server):
        if any(one.raddr and one.raddr.port == port for one in edge.net_connections("tcp")):
            return edge
    return None


@contextmanager
def callers_of_each(server: Server) -> Iterator[list[tuple[psutil.Process, socket.socket]]]:
    """Connect until each edge has a caller; yields a socket to each."""
    found: dict[int, tuple[psutil.Process, socket.socket]] = {}
    with ExitStack() as stack:
        while len(found) < len(edges(server)):
            caller = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            caller.settimeout(PATIENCE_SECONDS)
            port = caller.getsockname()[1]
            until(partial(edge_of, server, port), "an edge has it")
            edge = edge_of(server, port)
            assert edge is not None
            if edge.pid not in found:
                found[edge.pid] = edge, caller
                # From now on the edge knows the key, and passes a launch on at once.
                caller.sendall(hostile.describe(server.keys, host(server)).as_bytes())
                assert b"200 OK" in heard(caller, b"</DescribeRegionsResponse>")
        yield list(found.values())


def ask(server: Server, caller: socket.socket) -> None:
    """Send a launch with the token `plain`; its answer is not read."""
    caller.sendall(hostile.launch(server.keys, host(server)).as_bytes())


def host(server: Server) -> str:
    return f"127.0.0.1:{server.port}"


def heard(caller: socket.socket, end: bytes = b"</RunInstancesResponse>") -> bytes:
    """Read one answer to its end, or a refusal; nothing if the connection is cut."""
    try:
        found = b""
        while end not in found and b"</Response>" not in found:
            part = caller.recv(65536)
            if not part:
                break
            found += part
        return found
    except ConnectionResetError:
        return b""


def launched(server: Server) -> int:
    sql = "SELECT count(*) FROM resource WHERE kind = 'instance'"
    return int(server.rows(sql)[0][0])


@contextmanager
def gate_held(server: Server) -> Iterator[None]:
    """Keep the writer from beginning anything."""
    gate = Gate(server.database)
    try:
        with gate.turn():
            yield
    finally:
        gate.close()


def await_queued(server: Server, edge: psutil.Process) -> None:
    """Return once the writer has heard of all that the edge was sent: a line keeps the order."""
    while True:
        with socket.create_connection(("127.0.0.1", server.port)) as caller:
            caller.settimeout(PATIENCE_SECONDS)
            port = caller.getsockname()[1]
            until(partial(edge_of, server, port), "an edge has it")
            if edge_of(server, port) != edge:
                continue
            caller.sendall(b"GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert b"200 OK" in caller.recv(4096)
            return


def test_an_edge_that_dies_before_the_work_begins_leaves_nothing(server: Server) -> None:
    server.start()
    with callers_of_each(server) as ((edge, caller), (_, other)):
        with gate_held(server):
            ask(server, caller)
            await_queued(server, edge)
            edge.kill()
            assert heard(caller) == b"", "its connections are cut"
            until(lambda: "an edge has died" in server.log.read_text(), "the writer has noticed")
        assert launched(server) == 0
        ask(server, other)
        assert b"200 OK" in heard(other)
    assert launched(server) == 1
    server.stop()


def test_an_edge_that_dies_before_it_answers_has_launched_once(
    serving: Serving, tmp_path: Path
) -> None:
    """Both edges stand still at their second reply, after the COMMIT of what they were asked."""
    stop = {STOPPING_VARIABLE: f"{Point.REPLY_READY}:2"}
    with serving.at(tmp_path, **stop) as server:
        server.start()
        with callers_of_each(server) as ((edge, caller), (other, again)):
            ask(server, caller)
            until(lambda: edge.status() == psutil.STATUS_STOPPED, "it stands before its reply")
            assert launched(server) == 1
            edge.kill()
            assert heard(caller) == b""
            ask(server, again)
            until(lambda: other.status() == psutil.STATUS_STOPPED, "the other has its reply")
            other.resume()
            assert b"200 OK" in heard(again)
        assert launched(server) == 1
        server.stop()
        lines = [one for one in server.log_lines() if "action=RunInstances" in one]
        assert ["outcome=new" in lines[0], "outcome=replay" in lines[1]] == [True, True], lines


def gone(processes: list[psutil.Process]) -> bool:
    return not any(one.is_running() and one.status() != "zombie" for one in processes)


def test_a_writer_that_dies_ends_all_and_who_waits_hears_a_503(server: Server) -> None:
    server.start()
    family, port = edges(server), server.port
    with callers_of_each(server) as callers, gate_held(server):
        for edge, caller in callers:
            ask(server, caller)
            await_queued(server, edge)
        server.kill()
        for _, caller in callers:
            answer = heard(caller)
            assert b"HTTP/1.1 503" in answer and b"Unavailable" in answer
    # At once, and on its port, of which the edges let go.
    server.start(port=port)
    until(lambda: gone(family), "no edge outlives the writer")
    assert launched(server) == 0
    assert len(identity(launch(server.client(), "again"))) == 2
    server.stop()


@pytest.mark.parametrize("point", [Point.STORE_BEFORE_COMMIT, Point.STORE_COMMITTED])
def test_a_writer_killed_at_a_commit_has_answered_nothing_that_is_not_kept(
    serving: Serving, tmp_path: Path, point: Point
) -> None:
    # A start commits twice: for leases that a crash left, for its digest key.
    with serving.at(tmp_path, **{STOPPING_VARIABLE: f"{point}:3"}) as server:
        server.start()
        family = edges(server)
        with callers_of_each(server) as ((_, caller), _):
            ask(server, caller)
            until(lambda: has_stopped(server), "the writer stands at its commit")
            server.kill()
            answer = heard(caller)
        assert b"200 OK" not in answer, "it is answered after the commit alone"
        assert not answer or b"HTTP/1.1 503" in answer
        until(lambda: gone(family), "no edge outlives the writer")
        assert launched(server) == (point is Point.STORE_COMMITTED)
        server.settings.clear()
        server.start()
        with callers_of_each(server) as ((_, caller), _):
            ask(server, caller)
            assert b"200 OK" in heard(caller)
        assert launched(server) == 1
        server.stop()


def test_a_node_without_edges_ends_and_says_so(server: Server) -> None:
    server.start()
    for edge in edges(server):
        edge.kill()
    server.wait_ended(1)
    assert "every edge of this node has died" in server.log.read_text()


def test_a_signal_to_every_process_is_a_clean_end(server: Server) -> None:
    """Service managers and terminals signal them all; requests in flight are still answered."""
    server.start()
    family = edges(server)
    with callers_of_each(server) as callers:
        with gate_held(server):
            for edge, caller in callers:
                ask(server, caller)
                await_queued(server, edge)
            for one in (*family, psutil.Process(server.process.pid)):
                one.send_signal(signal.SIGTERM)
                one.send_signal(signal.SIGINT)
            until(lambda: not answers(server), "no new connection is taken")
        for _, caller in callers:
            assert b"200 OK" in heard(caller)
    server.stop()
    assert gone(family)
    assert launched(server) == 1


def answers(server: Server) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", server.port)) == 0


def test_a_request_whose_caller_has_gone_is_taken_back_from_the_writer(server: Server) -> None:
    server.start()
    with callers_of_each(server) as ((edge, caller), _), gate_held(server):
        ask(server, caller)
        await_queued(server, edge)
        caller.close()
        until(lambda: "outcome=gone" in server.log.read_text(), "the edge has noticed")
        await_queued(server, edge)
    server.stop()
    assert launched(server) == 0


def test_all_edges_share_one_rate(serving: Serving, tmp_path: Path) -> None:
    with serving.at(tmp_path, "--throttle", "RunInstances=0.0001:3") as server:
        server.start()
        answers = []
        with callers_of_each(server) as callers:
            for _ in range(3):
                for _, caller in callers:
                    ask(server, caller)
                    answers.append(b"200 OK" in heard(caller))
        assert answers == [True, True, True, False, False, False]
        server.stop()


def revoke(server: Server) -> None:
    """Delete the key, as another process."""
    gone = sa.delete(ACCESS_KEY).where(ACCESS_KEY.c.id == server.keys.access_key_id)
    with writing(database_of(server.database), RealWorld()) as here:
        here.store.run(lambda tx: tx.execute(gone))


def test_a_revoked_key_is_refused_by_every_edge(server: Server) -> None:
    """An edge may remember a key for two seconds, as a process that serves alone does."""
    server.start()
    with callers_of_each(server) as callers:
        for _, caller in callers:
            ask(server, caller)
            assert b"200 OK" in heard(caller)
        revoke(server)
        for _, caller in callers:

            def refused(caller: socket.socket = caller) -> bool:
                ask(server, caller)
                return b"AuthFailure" in heard(caller)

            until(refused, "the edge refuses it")
    server.stop()


def test_edges_in_front_of_postgresql(tmp_path: Path) -> None:
    shared = new_shared_database(tmp_path)
    options = ("--processes", str(EDGES))
    with closing_server(Server.on_postgresql(shared, tmp_path / "node", options=options)) as server:
        server.start()
        with callers_of_each(server) as callers:
            for _, caller in callers:
                ask(server, caller)
                assert b"200 OK" in heard(caller)
        [reservation] = server.client().describe_instances()["Reservations"]
        assert len(reservation["Instances"]) == 1
        server.stop()


def test_a_connection_counts_at_whichever_edge_it_is() -> None:
    counts = [0, 0]
    bounds = Bounds(connections_max=2)
    ends = [
        Connections(Direct(say_what_came), bounds, RealWorld(), Tally(counts, place))
        for place in range(2)
    ]
    members: list[Any] = [object() for _ in range(3)]
    assert ends[0].add(members[0]) and ends[1].add(members[1])
    assert not ends[1].add(members[2]), "one too many for both together"
    ends[1].discard(members[2])
    ends[0].discard(members[0])
    assert ends[1].add(members[2])


def test_a_node_has_an_edge_a_core_unless_told_otherwise() -> None:
    assert [usual_edges("linux", cores) for cores in (1, 2, 4, 64)] == [0, 2, 4, 4]
    assert usual_edges("darwin", 8) == 0


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_edges_are_refused_where_a_fork_is_not_sound(platform: str) -> None:
    with pytest.raises(Misconfigured, match="--processes 0"):
        check_can_fork(platform)
