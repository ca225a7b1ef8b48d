"""The short way to the database is the ordinary one: same rows, same counts, same errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from sametoken.store.columns import Moment
from sametoken.store.engines import SQLITE, engine_for
from simulation import simulator
from simulation.database import Database
from simulation.straight import Prepared, Straight

MOMENT = datetime(2031, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
metadata = sa.MetaData()
THING = sa.Table(
    "thing",
    metadata,
    sa.Column("id", sa.String(8), primary_key=True),
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("doc", sa.JSON, nullable=False),
)

INSERT = sa.insert(THING)
UPSERT = insert(THING).on_conflict_do_nothing().returning(THING.c.id)
FIND = sa.select(THING).where(THING.c.id.in_(sa.bindparam("ids", expanding=True)))
CHANGE = sa.update(THING).where(THING.c.id == sa.bindparam("one")).values(doc=sa.bindparam("to"))
A, B = ({"id": id, "made_at": MOMENT, "doc": {"list": [1, "2"]}} for id in "ab")


def _told(connection: sa.Connection) -> list[Any]:
    told: list[Any] = []
    # Three times each: the first is the ordinary way for both, the second prepares.
    for round in range(3):
        connection.execute(sa.delete(THING))
        connection.execute(INSERT, [A])
        told.append(connection.execute(UPSERT, A).first())
        told.append(connection.execute(UPSERT, B).scalar_one())
        for ids in (["a"], ["a", "b"], [], ["b", "nobody"]):
            rows = list(connection.execute(FIND, {"ids": ids}))
            told += [(tuple(row), dict(row._mapping), row.made_at) for row in rows]
        told += [
            connection.execute(CHANGE, {"one": one, "to": [round]}).rowcount for one in ("a", "x")
        ]
        with pytest.raises(sa.exc.IntegrityError) as refused:
            connection.execute(INSERT, A)
        told.append(str(refused.value.orig))
    return told


@pytest.fixture
def short() -> Iterator[sa.Connection]:
    engine = engine_for(SQLITE, lambda: sqlite3.connect(":memory:", isolation_level=None))
    engine._connection_cls = Straight
    with engine.connect() as connection:
        metadata.create_all(connection)
        yield connection


@pytest.fixture
def ordinary() -> Iterator[sa.Connection]:
    engine = engine_for(SQLITE, lambda: sqlite3.connect(":memory:", isolation_level=None))
    with engine.connect() as connection:
        metadata.create_all(connection)
        yield connection


def test_rows_counts_and_errors_are_the_same(
    short: sa.Connection, ordinary: sa.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    bind = Prepared.bind

    def counted(self: Prepared, parameters: Any) -> list[Any]:
        taken.append(self.sql)
        return bind(self, parameters)

    monkeypatch.setattr(Prepared, "bind", counted)
    assert _told(short) == _told(ordinary)
    assert len(set(taken)) >= 5, "the short way was not taken"


def test_a_schedule_is_the_same_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = range(21, 25)
    first = [simulator.simulate(seed).trace for seed in seeds]
    usual = Database()
    usual.engine._connection_cls = sa.Connection
    monkeypatch.setattr(usual, "_reader", usual.engine.connect())
    monkeypatch.setattr(simulator, "database", lambda: usual)
    assert [simulator.simulate(seed).trace for seed in seeds] == first
