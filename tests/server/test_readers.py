"""Reads of accounts that share a process's readers: turns, deadlines, callers that go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import pytest

from sametoken import patience
from sametoken.ec2.kit.filters import compile_filters, tags_of_document
from sametoken.errors import ServiceError, Transient
from sametoken.patience import Patience, limited
from sametoken.server import pools, readers
from sametoken.server.pools import Pools
from sametoken.server.readers import ACCOUNT_READS_MAX, ACCOUNT_WAITING_MAX, READ_THREADS, Readers
from sametoken.world import RealWorld
from store.stores import HANG_SECONDS

WORLD = RealWorld()


def patient() -> Patience:
    return Patience(WORLD, WORLD.monotonic() + HANG_SECONDS)


class Held:
    """Reads that stand until they are let go."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()

    def read(self) -> str:
        self.begun.release()
        assert self.go.wait(HANG_SECONDS)
        return "held"

    def await_begun(self, count: int) -> None:
        for _ in range(count):
            assert self.begun.acquire(timeout=HANG_SECONDS)


@pytest.fixture
def held() -> Iterator[Held]:
    one = Held()
    yield one
    one.go.set()


@pytest.fixture
def shared(held: Held) -> Iterator[Readers]:
    made = Readers()
    yield made
    held.go.set()
    made.close()


def test_an_account_never_has_all_readers(shared: Readers, held: Held) -> None:
    reads = [shared.submit("hostile", held.read, patient()) for _ in range(3 * READ_THREADS)]
    held.await_begun(ACCOUNT_READS_MAX)
    assert shared.submit("other", lambda: "read", patient()).result(HANG_SECONDS) == "read"
    assert not held.begun.acquire(blocking=False)
    held.go.set()
    assert [one.result(HANG_SECONDS) for one in reads] == ["held"] * len(reads)


def test_accounts_that_wait_are_read_for_in_turns(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "READ_THREADS", 1)
    monkeypatch.setattr(readers, "ACCOUNT_READS_MAX", 1)
    shared, told = Readers(), list[str]()
    shared.submit("first", held.read, patient())
    held.await_begun(1)
    waiting = [
        shared.submit(account, partial(told.append, f"{account}{number}"), patient())
        for account in "ab"
        for number in range(2)
    ]
    held.go.set()
    for one in waiting:
        one.result(HANG_SECONDS)
    shared.close()
    assert told == ["a0", "b0", "a1", "b1"]


def test_one_read_too_many_of_an_account_is_refused(shared: Readers, held: Held) -> None:
    for _ in range(ACCOUNT_READS_MAX):
        shared.submit("hostile", held.read, patient())
    held.await_begun(ACCOUNT_READS_MAX)
    for _ in range(ACCOUNT_WAITING_MAX):
        shared.submit("hostile", held.read, patient())
    with pytest.raises(ServiceError, match="RequestLimitExceeded") as refused:
        shared.submit("hostile", held.read, patient())
    assert refused.value.http_status == 503
    assert shared.submit("other", lambda: "read", patient()).result(HANG_SECONDS) == "read"


def test_a_read_whose_time_is_over_is_not_begun(shared: Readers) -> None:
    late = Patience(WORLD, WORLD.monotonic() - 1)
    with pytest.raises(Transient) as over:
        shared.submit("a", lambda: pytest.fail("it ran"), late).result(HANG_SECONDS)
    assert not over.value.ran


def go_on_for_ever() -> None:
    while True:
        patience.check()


def test_a_read_is_cut_at_its_deadline_and_its_thread_reads_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pools, "READ_SECONDS_MAX", 0.05)

    async def run() -> str:
        made = Pools(WORLD)
        try:
            for _ in range(2 * READ_THREADS):
                with pytest.raises(Transient) as cut:
                    await made.read("hostile", go_on_for_ever)
                assert not cut.value.ran
            monkeypatch.setattr(pools, "READ_SECONDS_MAX", HANG_SECONDS)
            return await made.read("other", lambda: "read")
        finally:
            made.close()

    assert asyncio.run(run()) == "read"


def test_a_read_ends_when_its_caller_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "READ_SECONDS_MAX", HANG_SECONDS)
    begun = threading.Event()

    def read() -> None:
        begun.set()
        go_on_for_ever()

    async def run() -> None:
        made = Pools(WORLD)
        reading = asyncio.create_task(made.read("gone", read))
        assert await asyncio.to_thread(begun.wait, HANG_SECONDS)
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        # Closing waits for the read.
        made.close()

    asyncio.run(run())


def test_keys_are_looked_up_while_all_readers_are_busy(held: Held) -> None:
    async def run() -> str:
        made = Pools(WORLD)
        reading = [asyncio.create_task(made.read(account, held.read)) for account in "abc"]
        await asyncio.to_thread(held.await_begun, READ_THREADS)
        found = await made.look_up(lambda: "a key")
        held.go.set()
        await asyncio.gather(*reading)
        made.close()
        return found

    assert asyncio.run(run()) == "a key"


def test_filters_over_a_long_listing_ask_for_patience() -> None:
    values = [f"*{number}*x*y*" for number in range(200)]
    tagged = {"Tags": [{"Key": str(number), "Value": "z" * 200} for number in range(50)]}
    passes = compile_filters(
        [{"Name": "tag-value", "Values": values}],
        {"tag-value": lambda item: tags_of_document(item).values()},
    )
    assert not passes(tagged)
    gone = Patience(WORLD, WORLD.monotonic() + HANG_SECONDS, gone=True)
    with limited(gone), pytest.raises(Transient):
        passes(tagged)
