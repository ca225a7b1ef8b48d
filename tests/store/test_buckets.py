"""Buckets that nodes share: what several nodes let through together, by a simulated clock."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from sametoken.errors import ServiceError
from sametoken.server.rates import Rate
from sametoken.server.throttling import SETTLE_SECONDS, Throttle
from sametoken.store import buckets, nodes
from sametoken.store.buckets import BUCKET
from sametoken.store.nodes import BEAT_SECONDS, Heartbeat
from sametoken.store.port import Store, Tx
from store.stores import SqliteDatabase
from store.worlds import SetWorld

NAME = "RunInstances"
PLACE = ("000000000001", "us-east-1", NAME)
# Steps of a simulated second.
STEPS = 20
SECONDS = 40


@dataclass
class Judge:
    """A bucket that sees all requests at once: how deep all nodes together have drained it."""

    rate: Rate
    tokens: float = field(init=False)
    deepest: float = 0.0
    passed: int = 0

    def __post_init__(self) -> None:
        self.tokens = self.rate.burst

    def wait(self, seconds: float) -> None:
        self.tokens = min(self.rate.burst, self.tokens + seconds * self.rate.per_second)

    def see(self, count: int) -> None:
        self.passed += count
        self.tokens -= count
        self.deepest = min(self.deepest, self.tokens)

    @property
    def excess(self) -> float:
        """How many requests passed that one bucket would have refused when they came."""
        return -self.deepest


class Nodes:
    """Nodes that answer, over one store; each settles at moments of its own."""

    def __init__(self, store: Store, world: SetWorld, rate: Rate, count: int) -> None:
        self.store, self.world = store, world
        self.judge = Judge(rate)
        self.all = [Throttle({NAME: rate}, store.seconds) for _ in range(count)]
        self._beats = [Heartbeat(f"node-{n}", f"http://{n}", "1", "1") for n in range(count)]
        self._steps = 0

    def ask(self, node: int, requests: int = 1, count: int = 1) -> int:
        """Have a node asked by so many requests, for so many resources each; returns who passed."""
        passed = 0
        for _ in range(requests):
            try:
                self.all[node].spend(*PLACE, count)
            except ServiceError:
                break
            self.judge.see(count)
            passed += 1
        return passed

    def beat(self) -> None:
        for beat in self._beats:
            self.store.run(partial(nodes.beat, node=beat))

    def settle(self, node: int) -> None:
        self.all[node].settle(self.store)

    def step(self) -> None:
        """Let a step of time pass, and settle and beat where it is time."""
        seconds = SETTLE_SECONDS / STEPS
        self.world.pass_time(timedelta(seconds=seconds))
        self.judge.wait(seconds)
        self._steps += 1
        if self._steps % int(BEAT_SECONDS * STEPS) == 0:
            self.beat()
        for node in range(len(self.all)):
            if (self._steps + node * (STEPS - 1)) % STEPS == 0:
                self.settle(node)


Together = Callable[[Rate, int], Nodes]


@pytest.fixture
def together(store: Store, world: SetWorld) -> Together:
    return lambda rate, count: ready(Nodes(store, world, rate, count))


def ready(found: Nodes) -> Nodes:
    """Have the nodes know of each other."""
    found.beat()
    for node in range(len(found.all)):
        found.settle(node)
    return found


def are_bounded(found: Nodes) -> None:
    """Ask all nodes for more than there is; the rate must pass, and a bounded excess."""
    judge, count, dice = found.judge, len(found.all), random.Random(1)
    rate = judge.rate
    for _ in range(SECONDS * STEPS):
        for node in dice.sample(range(count), dice.randint(1, count)):
            found.ask(node, requests=dice.choice((0, 1, rate.burst)))
        found.step()
    sys.stdout.write(f"excess {judge.excess:.1f}, {judge.passed} passed\n")
    assert judge.excess <= (count - 1) * rate.burst + 2 * rate.per_second
    assert judge.excess <= rate.burst / 2 + 2 * count, "each request takes one token, of a share"
    through = rate.per_second * SECONDS
    assert 0.9 * through <= judge.passed <= through + rate.burst + judge.excess


@pytest.mark.parametrize(("rate", "count"), [(Rate(2, 5), 2), (Rate(5, 50), 2), (Rate(20, 100), 3)])
def test_nodes_that_are_all_asked_for_more_give_one_rate_and_a_bounded_excess(
    together: Together, rate: Rate, count: int
) -> None:
    are_bounded(together(rate, count))


Patch = pytest.MonkeyPatch
_spend = buckets.spend


def takes_itself_for_alone(patch: Patch) -> None:
    patch.setattr(nodes, "answering", lambda tx: 1)


def hears_nothing(patch: Patch) -> None:
    patch.setattr(buckets, "spend", lambda tx, spent: (_spend(tx, spent), {})[1])


def tells_nothing(patch: Patch) -> None:
    patch.setattr(buckets, "spend", lambda tx, spent: _spend(tx, dict.fromkeys(spent, 0.0)))


@pytest.mark.parametrize("plant", [takes_itself_for_alone, hears_nothing, tells_nothing])
def test_a_node_that_does_not_settle_is_caught(
    tmp_path: Path, world: SetWorld, monkeypatch: Patch, plant: Callable[[Patch], None]
) -> None:
    plant(monkeypatch)
    with SqliteDatabase(tmp_path).open(world) as store, pytest.raises(AssertionError):
        are_bounded(ready(Nodes(store, world, Rate(5, 50), 2)))


def test_a_caller_of_one_node_gets_the_whole_rate(together: Together) -> None:
    found = together(Rate(5, 50), 2)
    assert found.ask(0, requests=100) == 25, "a share of the burst at once"
    for _ in range(SECONDS * STEPS):
        found.ask(0, requests=50)
        found.step()
    assert found.judge.excess == 0
    assert found.judge.passed >= 0.95 * (5 * SECONDS + 50)


def test_a_request_for_a_whole_bucket_passes_and_is_paid_back_by_all(together: Together) -> None:
    found = together(Rate(2, 1000), 2)
    assert found.ask(0, count=1000) == found.ask(1, count=1000) == 1, "neither knows of the other"
    assert found.judge.excess == 1000, "what the other node's bucket holds"
    for node in (0, 1, 0, 1):
        found.settle(node)
    found.world.pass_time(timedelta(seconds=499))
    assert found.ask(0) == found.ask(1) == 0
    found.world.pass_time(timedelta(seconds=2))
    assert found.ask(1) == 1


def test_tokens_that_come_back_are_no_more_than_are_left(together: Together) -> None:
    found = together(Rate(0.001, 10), 2)
    assert found.ask(0, count=8) == 1
    found.settle(0)
    assert found.ask(1, count=9) == 1
    found.settle(1)
    found.settle(0)
    found.all[0].give_back(*PLACE, 8)
    assert found.ask(0, count=2) == 0, "of ten, nine are spent for good"
    assert found.ask(0, count=1) == 1


def test_what_is_not_known_to_be_told_is_told_again(
    together: Together, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = together(Rate(0.001, 10), 2)
    assert found.ask(0, requests=3) == 3
    run = found.store.run
    with monkeypatch.context() as patched:

        def fail(fn: Callable[[Tx], object]) -> object:
            run(fn)
            raise ConnectionError

        patched.setattr(found.store, "run", fail)
        with pytest.raises(ConnectionError):
            found.settle(0)
    found.settle(0)
    assert found.ask(0, requests=10) == 2, "four are left, of which two are this node's"


def test_rows_of_full_buckets_are_removed(store: Store, world: SetWorld) -> None:
    def names() -> list[str]:
        return store.run(lambda tx: [row.name for row in tx.execute(sa.select(BUCKET))])

    account, region, _ = PLACE
    spent = {(account, region, "soon"): 1.0, (account, region, "late"): 3600.0}
    full_at = store.run(lambda tx: buckets.spend(tx, spent))
    now = store.run(lambda tx: tx.now).timestamp()
    assert {key: round(moment - now) for key, moment in full_at.items()} == spent
    world.pass_time(timedelta(minutes=2))
    store.run(buckets.forget_full)
    assert names() == ["late"]
