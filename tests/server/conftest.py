"""Endpoints in each way of answering, with which a test of the edge is tried."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ec2.asking import hand_runner
from plane import Plane, new_database, running_plane
from sametoken.server.turns import Endpoint
from server.telling import Place
from server.wire import ECHOES, Door


@pytest.fixture(params=ECHOES.values(), ids=list(ECHOES))
def echo(request: pytest.FixtureRequest) -> Endpoint:
    endpoint: Endpoint = request.param
    return endpoint


@pytest.fixture(params=[False, True], ids=["by-a-task", "asgi"])
def door(request: pytest.FixtureRequest) -> Door:
    return Door(is_asgi=request.param)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def told_plane(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plane]:
    """A plane without runners, on each database."""
    folder = tmp_path_factory.mktemp("stories")
    database = new_database(folder, request.param)
    with running_plane(folder, runners=0, dev=True, database=database) as running:
        yield running


@pytest.fixture
def place(told_plane: Plane, request: pytest.FixtureRequest) -> Iterator[Place]:
    """An account of the test's own there, whose stories are told."""
    keys = told_plane.account(request.node.name[:60])
    yield Place(told_plane, keys, hand_runner(told_plane))
    told_plane.node.faults.clear()
