"""Several real nodes on one PostgreSQL database: the same answer from each."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from clients.holdings import held, whole
from clients.process import (
    Server,
    SharedDatabase,
    closing_server,
    command,
    identity,
    launch,
    new_shared_database,
    run,
    until,
)
from sametoken.server.sealing import new_key


@pytest.fixture
def shared(tmp_path: Path) -> SharedDatabase:
    return new_shared_database(tmp_path)


@pytest.fixture
def nodes(shared: SharedDatabase, tmp_path: Path) -> Iterator[Sequence[Server]]:
    """Start two nodes, serving."""
    with ExitStack() as stack:
        made = [
            stack.enter_context(closing_server(Server.on_postgresql(shared, tmp_path / name)))
            for name in ("one", "two")
        ]
        for node in made:
            node.start()
        yield made


def at_once(nodes: Sequence[Server], asked: Sequence[dict[str, Any]]) -> list[Any]:
    """Send every launch at the same moment, in turn to each node; answers or error codes."""
    clients = [node.client(max_pool_connections=32) for node in nodes]

    def send(number: int) -> Any:
        try:
            return launch(clients[number % len(clients)], **asked[number])
        except ClientError as refused:
            return refused.response["Error"]["Code"]

    with ThreadPoolExecutor(len(asked)) as pool:
        return list(pool.map(send, range(len(asked))))


def outcomes(nodes: Sequence[Server]) -> Counter[str]:
    """Outcomes of launches in the nodes' logs."""
    words = [line for node in nodes for line in node.log_lines() if "action=RunInstances" in line]
    return Counter(line.partition("outcome=")[2].split()[0] for line in words)


def test_32_identical_launches_over_two_nodes_make_one_instance(nodes: Sequence[Server]) -> None:
    answers = at_once(nodes, [{"token": "together"}] * 32)
    assert len({identity(answer) for answer in answers}) == 1
    assert outcomes(nodes) == {"new": 1, "replay": 31}
    nodes[0].settle()
    assert held(nodes[0]) == whole(running=1)


def test_two_intents_under_one_token_over_two_nodes_are_never_mixed(
    nodes: Sequence[Server],
) -> None:
    types = [{"token": "mixed", "InstanceType": f"t3.{size}"} for size in ("micro", "small")]
    # Both nodes are asked for both types.
    answers = at_once(nodes, [types[number // 2 % 2] for number in range(32)])
    refused = [answer for answer in answers if isinstance(answer, str)]
    assert refused == ["IdempotentParameterMismatch"] * 16
    assert len({identity(one) for one in answers if not isinstance(one, str)}) == 1
    assert outcomes(nodes) == {"new": 1, "replay": 15, "mismatch": 16}


def test_what_one_node_launched_another_tells_and_replays_when_the_first_is_gone(
    nodes: Sequence[Server],
) -> None:
    first, second = nodes
    answers = [launch(first.client(), f"lost-{number}") for number in range(6)]
    first.kill()
    for number, answer in enumerate(answers):
        assert identity(launch(second.client(), f"lost-{number}")) == identity(answer)
    # Move the clock: steps that the dead node had claimed are free once their leases have run out.
    second.advance(minutes=2)
    second.settle()
    assert held(second) == whole(running=6)


def test_a_worker_drives_what_servers_were_asked_for(
    shared: SharedDatabase, tmp_path: Path
) -> None:
    node = Server.on_postgresql(shared, tmp_path / "one")
    with closing_server(node), closing_server(node.as_worker(tmp_path / "worker")) as worker:
        node.start()
        worker.start()
        launch(node.client(), "driven")
        node.kill()
        node.advance(minutes=2)
        node.settle()
        assert held(node) == whole(running=1)
        worker.stop()


def probe(node: Server, path: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(f"{node.url}{path}", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def test_a_node_tells_its_health_and_drains_before_it_ends(
    shared: SharedDatabase, tmp_path: Path
) -> None:
    node = Server.on_postgresql(shared, tmp_path / "one", options=("--drain-seconds", "600"))
    with closing_server(node):
        node.start()
        status, health = probe(node, "/health")
        assert (status, health["status"]) == (200, "alive")
        assert health["node"].endswith(f":{node.port}")
        status, ready = probe(node, "/ready")
        assert (status, ready["status"], ready["store"]) == (200, "ready", "postgresql")
        assert ready["backlog"] == {"due": 0, "leased": 0, "oldest_seconds": 0.0}
        node.process.terminate()
        until(lambda: probe(node, "/ready")[0] == 503, "it says that it stops")
        assert "draining" in probe(node, "/ready")[1]["reason"]
        assert probe(node, "/health")[0] == 200
        assert launch(node.client(), "in-time")["Instances"], "it answers on while it drains"


def test_env_names_a_node_that_lives(nodes: Sequence[Server], shared: SharedDatabase) -> None:
    said = run(command("env", "--database", shared.url, "--account", "clients"), **shared.settings)
    assert said.returncode == 0, said.stderr
    assert any(f"AWS_ENDPOINT_URL_EC2={node.url}" in said.stdout for node in nodes)


def test_a_node_without_the_shared_key_does_not_start(
    shared: SharedDatabase, tmp_path: Path
) -> None:
    serve = command("serve", "--port", "0", "--database", shared.url)
    none = run(serve)
    assert none.returncode == 1
    assert "SAMETOKEN_KEY" in none.stderr
    missing = run(serve, SAMETOKEN_KEY_FILE=str(tmp_path / "other.key"))
    assert missing.returncode == 1
    assert "other.key is missing" in missing.stderr
    wrong = run(serve, SAMETOKEN_KEY=new_key())
    assert wrong.returncode == 1
    assert "sealed with key" in wrong.stderr
    assert "Traceback" not in none.stderr + missing.stderr + wrong.stderr


def test_workers_are_for_databases_that_nodes_share(tmp_path: Path) -> None:
    refused = run(command("worker", "--database", f"sqlite:///{tmp_path}/plane.db"))
    assert (refused.returncode, "PostgreSQL" in refused.stderr) == (1, True)
