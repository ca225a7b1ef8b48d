"""Probes in JSON: a node that can serve tells how it is, and one that cannot tells why."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from plane import LAUNCH, Plane, running_plane
from sametoken import condition
from sametoken.errors import Misconfigured, Transient
from sametoken.migrations.upgrade import head
from sametoken.store import clock
from sametoken.store.port import Broken


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with running_plane(tmp_path_factory.mktemp("probed"), runners=0) as running:
        yield running


def probed(plane: Plane, path: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(f"{plane.url}{path}", timeout=30) as answer:
            assert answer.headers["content-type"] == "application/json"
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def test_a_node_that_can_serve_tells_its_backlog_and_its_clock(plane: Plane) -> None:
    plane.client().run_instances(**LAUNCH, ClientToken="waits")
    plane.advance(timedelta(seconds=5))
    status, ready = probed(plane, "/ready")
    assert (status, ready["status"], ready["role"]) == (200, "ready", "node")
    assert (ready["schema"], ready["node"]) == (head(), plane.node.name)
    assert ready["backlog"]["due"] == 1
    assert 5 <= ready["backlog"]["oldest_seconds"] < 500
    assert 4 < ready["clock"]["offset_seconds"] < 500
    status, health = probed(plane, "/health")
    assert (status, health["status"]) == (200, "alive")
    assert {**ready, **health} == {**ready, "status": "alive"}


def refuse(error: Exception) -> Callable[..., None]:
    def act(*words: object) -> None:
        raise error

    return act


def test_a_node_that_cannot_serve_says_why(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    ways: list[tuple[object, str, Any, str]] = [
        (plane.store, "check", refuse(Broken("a part of this process has died")), "has died"),
        (plane.store, "read", refuse(Transient("it is locked", ran=False)), "it is locked"),
        (condition, "check", refuse(Misconfigured("use the newer version")), "newer version"),
        (clock, "host_offset", lambda tx: timedelta(seconds=400), "400 s behind"),
        (clock, "host_offset", lambda tx: timedelta(seconds=-400), "400 s ahead of"),
        (plane.node.app.probes, "is_ready", False, "draining"),
    ]
    for place, name, act, why in ways:
        with monkeypatch.context() as patch:
            patch.setattr(place, name, act)
            status, said = probed(plane, "/ready")
            assert (status, said["status"], said["node"]) == (503, "not ready", plane.node.name)
            assert why in said["reason"]
            assert probed(plane, "/health")[0] == 200
        assert probed(plane, "/ready")[0] == 200, name
