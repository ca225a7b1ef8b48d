"""The engine in an application's own transaction: its connection, its commit, its rollback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from sametoken.errors import ServiceError
from sametoken.idempotency import Answer, Attempt, Operation, create_tables, join
from store.creating import CAPACITY, CREATE, ENGINE, QUOTA, call, refusing
from store.stores import NOTE, metadata
from store.worlds import START, SetWorld

WORLD = SetWorld()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    """Make an engine as an application does: the driver begins transactions by itself."""
    made = sa.create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    with made.begin() as connection:
        create_tables(connection)
        metadata.create_all(connection)
    yield made
    made.dispose()


def ask(
    connection: sa.Connection, operation: Operation[dict[str, str]] = CREATE
) -> Answer[dict[str, str]]:
    return ENGINE.execute_once(join(connection, world=WORLD), call(P=1), operation)


def notes(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(NOTE.c.name).order_by(NOTE.c.name)).scalars())


def test_the_tables_may_be_made_again(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        create_tables(connection)


def test_the_moment_is_the_worlds(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert join(connection, world=WORLD).now == START


def test_what_the_application_commits_is_replayed(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        first = ask(connection)
    with engine.begin() as connection:
        second = ask(connection)
    assert (first.attempt, second.attempt) == (Attempt.NEW, Attempt.REPLAY)
    assert notes(engine) == [first.get()["id"]] == [second.get()["id"]]


def test_what_the_application_rolls_back_never_happened(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        ask(connection)
        connection.rollback()
    assert notes(engine) == []
    with engine.begin() as connection:
        assert ask(connection).attempt is Attempt.NEW


def test_a_refusal_rolls_back_with_the_applications_transaction(engine: sa.Engine) -> None:
    with pytest.raises(ServiceError), engine.begin() as connection:
        ask(connection, refusing(QUOTA))
    with engine.begin() as connection:
        assert ask(connection).attempt is Attempt.NEW
    assert len(notes(engine)) == 1


def test_a_failure_that_binds_undoes_its_effects_and_keeps_the_applications(
    engine: sa.Engine,
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.insert(NOTE), {"name": "the application's", "body": ""})
        assert ask(connection, refusing(CAPACITY)).attempt is Attempt.FAILED
    assert notes(engine) == ["the application's"]


def test_a_savepoint_never_outlives_the_applications_rollback(engine: sa.Engine) -> None:
    """With the driver's own transaction handling, it could: only writes begin a transaction."""
    for operation in (CREATE, refusing(CAPACITY)):
        with engine.connect() as connection:
            ask(connection, operation)
            connection.rollback()
        assert notes(engine) == []
        with engine.begin() as connection:
            assert ENGINE.ledger.find(join(connection, world=WORLD), call().scope, "token") is None
