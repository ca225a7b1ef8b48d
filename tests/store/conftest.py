"""Fixtures of the store suite: each test has a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sametoken.store.port import Store
from store.batches import Bench
from store.stores import DATABASES, Database
from store.worlds import SetWorld


@pytest.fixture
def world() -> SetWorld:
    return SetWorld()


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    kind: str = request.param
    made = DATABASES[kind](tmp_path)
    yield made
    made.end()


@pytest.fixture
def store(database: Database, world: SetWorld) -> Iterator[Store]:
    with database.open(world) as opened:
        yield opened


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.session.reopen()
