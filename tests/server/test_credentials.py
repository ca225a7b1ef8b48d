"""Access keys are remembered for a moment, and only so many of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from sametoken.operate.accounts import add_key
from sametoken.operate.opening import open_store
from sametoken.server import credentials
from sametoken.server.credentials import Credentials
from sametoken.server.sealing import Sealer, new_key
from sametoken.settings import database_of
from sametoken.store.port import Store
from store.worlds import SetWorld

SEALER = Sealer([new_key()])


@pytest.fixture
def world() -> SetWorld:
    return SetWorld()


@pytest.fixture
def store(tmp_path: Path, world: SetWorld) -> Iterator[Store]:
    with open_store(database_of(tmp_path / "keys.db"), world) as opened:
        yield opened


def added(store: Store, name: str) -> str:
    """The id of a new access key."""
    return store.run(lambda tx: add_key(tx, SEALER, name, access="full"))[1]


def test_a_key_is_remembered_for_two_seconds(store: Store, world: SetWorld) -> None:
    known = Credentials(store, lambda: SEALER, world)
    id = added(store, "one")
    assert known.remembered(id) is None
    assert known.look_up(id) is not None
    world.pass_time(timedelta(seconds=credentials.REMEMBERED_SECONDS))
    assert known.remembered(id) is not None
    world.pass_time(timedelta(seconds=0.1))
    assert known.remembered(id) is None


def test_no_more_keys_are_remembered_than_there_may_be(
    store: Store, world: SetWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "REMEMBERED_MAX", 3)
    known = Credentials(store, lambda: SEALER, world)
    ids = [added(store, "many") for _ in range(8)]
    for count, id in enumerate(ids, start=1):
        assert known.look_up(id) is not None
        kept = [one for one in ids[:count] if known.remembered(one)]
        assert id in kept
        assert len(kept) <= 3


def test_a_key_nobody_has_is_not_remembered(store: Store, world: SetWorld) -> None:
    known = Credentials(store, lambda: SEALER, world)
    assert known.look_up("AKIAUNKNOWN") is None
    assert known.remembered("AKIAUNKNOWN") is None
