"""Endpoints in each way of answering, with which a test of the edge is tried."""

from __future__ import annotations

import pytest

from sametoken.server.turns import Endpoint
from server.wire import ECHOES, Door


@pytest.fixture(params=ECHOES.values(), ids=list(ECHOES))
def echo(request: pytest.FixtureRequest) -> Endpoint:
    endpoint: Endpoint = request.param
    return endpoint


@pytest.fixture(params=[False, True], ids=["by-a-task", "asgi"])
def door(request: pytest.FixtureRequest) -> Door:
    return Door(is_asgi=request.param)
