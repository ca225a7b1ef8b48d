"""Refusals of callers who have proven nothing: their moments, and what they hold meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sametoken.ec2.protocol.wire import WireRequest
from sametoken.server.asgi import Application
from sametoken.server.connection import Connection
from sametoken.server.connections import Connections
from sametoken.server.replies import Answer
from sametoken.server.tally import alone
from sametoken.server.unproven import BYTES_PER_SECOND, REQUEST_BYTES, SECONDS_MAX, Spacing
from sametoken.world import RealWorld
from server.test_turns import Recorded
from server.wire import GET, UNHURRIED
from store.worlds import SetWorld

LARGE = 99_000


def test_the_first_refusal_waits_for_nothing_and_the_next_for_the_one_before() -> None:
    spacing = Spacing(SetWorld())
    one = (REQUEST_BYTES + LARGE) / BYTES_PER_SECOND
    assert [spacing.delay(LARGE) for _ in range(3)] == pytest.approx([0.0, one, 2 * one])


def test_nobody_waits_longer_than_the_bound_and_time_makes_room() -> None:
    world = SetWorld()
    spacing = Spacing(world)
    assert max(spacing.delay(LARGE) for _ in range(1_000)) == pytest.approx(SECONDS_MAX)
    world.pass_time(timedelta(seconds=2 * SECONDS_MAX))
    assert spacing.delay(LARGE) == 0.0


class Refusing:
    """An endpoint whose answers wait."""

    def __init__(self, after: float) -> None:
        self.after = after

    def route(self, path: str) -> Application | None:
        return None

    def answer(
        self, request: WireRequest, reply: Callable[[Answer], None]
    ) -> asyncio.Task[Any] | None:
        reply(Answer(400, b"", b"no", self.after))
        return None


@pytest.mark.parametrize("leaves", [False, True])
def test_an_answer_that_waits_is_sent_in_its_turn_unless_its_caller_goes(leaves: bool) -> None:
    transport = Recorded()

    async def receive() -> None:
        loop = asyncio.get_running_loop()
        connection = Connection(Connections(Refusing(0.001), UNHURRIED, RealWorld(), alone()))
        connection.connection_made(transport)
        connection.data_received(GET)
        assert transport.pieces == []
        if leaves:
            connection.connection_lost(None)
        after = loop.create_future()
        loop.call_later(0.002, after.set_result, None)
        await after
        if not leaves:
            connection.connection_lost(None)

    asyncio.run(receive())
    assert len(transport.pieces) == (0 if leaves else 1)
