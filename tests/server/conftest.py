"""Event loops, and endpoints in each way of answering: what a test of the edge is tried with."""

from __future__ import annotations

import pytest

from server.wire import ECHOES, LOOPS, Door

# Every loop with the usual way of answering, and the other ways with one loop each.
PAIRS = [
    ("uvloop", "at-once"),
    ("asyncio", "at-once"),
    ("uvloop", "by-a-task"),
    ("asyncio", "asgi"),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    match ("loop_factory" in metafunc.fixturenames, "echo" in metafunc.fixturenames):
        case (True, True):
            pairs = [(LOOPS[loop], ECHOES[way]) for loop, way in PAIRS]
            metafunc.parametrize(("loop_factory", "echo"), pairs, ids=["-".join(p) for p in PAIRS])
        case (True, False):
            metafunc.parametrize("loop_factory", LOOPS.values(), ids=LOOPS.keys())


@pytest.fixture(params=[False, True], ids=["by-a-task", "asgi"])
def door(request: pytest.FixtureRequest) -> Door:
    return Door(is_asgi=request.param)
