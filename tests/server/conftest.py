"""Event loops, and endpoints in each way of answering: what a test of the edge is tried with."""

from __future__ import annotations

import pytest

from sametoken.server.turns import Endpoint
from server.running import LoopFactory
from server.wire import ECHOES, LOOPS, Door


@pytest.fixture(params=LOOPS)
def loop_factory(request: pytest.FixtureRequest) -> LoopFactory:
    factory: LoopFactory = request.param
    return factory


@pytest.fixture(params=ECHOES)
def echo(request: pytest.FixtureRequest) -> Endpoint:
    endpoint: Endpoint = request.param
    return endpoint


@pytest.fixture(params=[False, True], ids=["by-a-task", "asgi"])
def door(request: pytest.FixtureRequest) -> Door:
    return Door(is_asgi=request.param)
