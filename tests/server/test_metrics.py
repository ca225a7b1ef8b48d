"""Metrics of a node: what a scrape tells, where it is answered, and from how many processes."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # it has no stubs of its own
import pytest
from botocore.exceptions import ClientError
from prometheus_client.parser import text_string_to_metric_families

from clients.process import Server, closing_server, launch, prepare, until
from control import call
from ec2.asking import hand_runner
from plane import LAUNCH, Plane, running_plane
from sametoken.counts import Type
from sametoken.errors import Transient
from sametoken.node import Node
from sametoken.operate.opening import open_store
from sametoken.operate.preparing import prepared
from sametoken.operate.serving import in_thread
from sametoken.readings import FAMILIES
from sametoken.server.edge import Listener, bind
from sametoken.server.exposition import written
from sametoken.settings import Settings, database_of
from sametoken.world import RealWorld

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with running_plane(tmp_path_factory.mktemp("metrics"), dev=True, runners=0) as running:
        yield running


def scraped(url: str) -> Samples:
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/plain; version=")
        text = answer.read().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    """Sum the samples that have these labels, whatever others they have."""
    return sum(
        number for (found, of), number in samples.items() if found == name and labels.items() <= of
    )


def change(before: Samples, after: Samples, name: str, **labels: str) -> float:
    return value(after, name, **labels) - value(before, name, **labels)


def test_a_scrape_counts_requests_attempts_and_steps(plane: Plane) -> None:
    before, ec2 = scraped(plane.url), plane.client()
    for _ in range(2):
        ec2.run_instances(**LAUNCH, ClientToken="counted")
    with pytest.raises(ClientError):
        ec2.run_instances(**LAUNCH | {"InstanceType": "t3.small"}, ClientToken="counted")
    runner = hand_runner(plane)
    plane.node.background.runners.append(runner)
    while runner.run_once():
        pass
    after = scraped(plane.url)

    def grew(name: str, **labels: str) -> float:
        return change(before, after, name, **labels)

    of_action = {"action": "RunInstances"}
    assert grew("sametoken_requests_total", **of_action) == 3
    assert grew("sametoken_requests_total", outcome="mismatch", **of_action) == 1
    assert grew("sametoken_requests_total", code="IdempotentParameterMismatch") == 1
    assert grew("sametoken_request_duration_seconds_count", **of_action) == 3
    for attempt in ("new", "replay", "mismatch"):
        assert grew("sametoken_committed_total", attempt=attempt, **of_action) == 1
    assert grew("sametoken_claims_total", **of_action) == 1
    assert grew("sametoken_launches_accepted_total") == 1
    assert grew("sametoken_steps_total", plan="launch", result="done") == 4
    assert grew("sametoken_plans_total", plan="launch", outcome="arrived") == 1
    assert grew("sametoken_launch_duration_seconds_count") == 1
    assert grew("sametoken_leases_total") >= 1
    assert grew("sametoken_commit_jobs_sum") >= 4
    assert grew("sametoken_writer_busy_seconds_total") > 0
    assert value(after, "sametoken_backlog_due") == 0
    assert value(after, "sametoken_store_readable") == 1
    assert value(after, "sametoken_build_info") == 1


def test_every_family_is_told_in_the_text_as_it_is_declared(plane: Plane) -> None:
    told = {
        one.name: {one.labels: [1.0] * (len(one.bounds) + 2 if one.type is Type.HISTOGRAM else 1)}
        for one in FAMILIES
    }
    _, text = written(FAMILIES, told)
    found = {one.name: one for one in text_string_to_metric_families(text.decode())}
    for family in FAMILIES:
        one = found[family.name.removesuffix("_total")]
        assert (one.type, one.documentation) == (str(family.type), family.says)
        assert all(set(family.labels) <= set(sample.labels) for sample in one.samples)
        if family.type is Type.HISTOGRAM:
            total = [one.value for one in one.samples if one.labels.get("le") == "+Inf"]
            assert total == [len(family.bounds) + 1]


def test_no_text_of_a_callers_becomes_a_label(plane: Plane) -> None:
    body = b"Action=Run%22Away&Version=2016-11-15"
    request = urllib.request.Request(plane.url, body)
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(request, timeout=30)
    after = scraped(plane.url)
    assert value(after, "sametoken_requests_total", action="other") >= 1
    assert not [labels for _, labels in after if any("Away" in text for _, text in labels)]


def test_a_page_of_another_place_may_not_scrape_a_developers_server(plane: Plane) -> None:
    told = call(plane.url, "GET", "/health", headers={"origin": "http://far.example"})
    assert told.status == 200
    request = urllib.request.Request(f"{plane.url}/metrics", headers={"Origin": "http://far.no"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=30)


def test_a_metrics_port_has_metrics_and_probes_and_no_api(tmp_path: Path) -> None:
    settings = Settings(database_of(tmp_path / "one.db"), port=0, runners=0)
    world = RealWorld()
    with open_store(settings.database, world) as store:
        engine = prepared(store, settings.database, world)
        face, monitor = (bind(Listener("127.0.0.1", 0)) for _ in range(2))
        node = Node(settings, store, engine, face=face, monitor=monitor)
        with in_thread(node):
            assert node.monitor_url is not None
            assert value(scraped(node.monitor_url), "sametoken_store_readable") == 1
            status, ready = probed(f"{node.monitor_url}/ready")
            assert (status, ready["status"], ready["role"]) == (200, "ready", "node")
            assert ready["schema"] is not None
            for url in (f"{node.monitor_url}/", f"{node.url}/metrics"):
                assert probed(url)[0] == 404


def probed(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, None


def test_a_database_that_cannot_be_read_leaves_the_counts(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fn: object) -> None:
        raise Transient("gone", ran=False)

    monkeypatch.setattr(plane.store, "read", refuse)
    told = asyncio.run(plane.node.readings.take())
    assert told["sametoken_store_readable"] == {(): [0]}
    assert "sametoken_backlog_due" not in told
    assert told["sametoken_requests_total"]


def test_one_scrape_is_of_all_edges_and_of_those_that_are_stopped_or_dead(tmp_path: Path) -> None:
    template = tmp_path / "template.db"
    keys = prepare(template)
    options = ("--processes", "2", "--metrics-port", "0")
    served = tmp_path / "served"
    served.mkdir()
    with closing_server(Server.copied(template, keys, served, options=options)) as server:
        server.start()
        url = server.process.stdout.readline().split()[-1].removesuffix("/metrics")
        for number in range(12):
            # Each on a connection of its own, which either edge may take.
            launch(server.client(), f"token-{number % 6}")
        told = scraped(url)
        assert value(told, "sametoken_requests_total", action="RunInstances") == 12
        assert value(told, "sametoken_committed_total", attempt="new") == 6
        assert value(told, "sametoken_committed_total", attempt="replay") == 6
        assert value(told, "sametoken_launches_accepted_total") == 6
        assert value(told, "sametoken_connections_total") >= 12
        assert probed(f"{url}/ready")[1]["role"] == "writer"
        first, *_ = psutil.Process(server.process.pid).children()
        first.suspend()
        assert value(scraped(url), "sametoken_requests_total", action="RunInstances") == 12
        first.kill()
        until(lambda: "an edge has died" in server.log.read_text(), "the writer misses it")
        again = scraped(url)
        assert value(again, "sametoken_requests_total", action="RunInstances") == 12
        launch(server.client(), "token-0")
        assert value(scraped(url), "sametoken_requests_total", action="RunInstances") == 13
