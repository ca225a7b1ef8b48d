"""Statements sent straight to the driver have the rows, counts and errors of SQLAlchemy's way."""

from __future__ import annotations

import gc
import logging
import sqlite3
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sametoken.store import pgconnect, sqlite
from sametoken.store.codec import Encoded
from sametoken.store.columns import Moment
from sametoken.store.dialects import BIG, insert_or_ignore, upsert
from sametoken.store.engines import POSTGRESQL, SQLITE, engine_for
from sametoken.store.pgpipe import Piped
from sametoken.store.port import Tx
from sametoken.store.statements import LENGTHS_MAX, MET_MAX, Constants, Prepared, Straight
from store import servers
from store.worlds import SetWorld

MOMENT = datetime(2031, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
metadata = sa.MetaData()
THING = sa.Table(
    "thing",
    metadata,
    sa.Column("id", sa.String(8), primary_key=True),
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("doc", sa.JSON, nullable=False),
    sa.Column("perhaps", sa.JSON(none_as_null=True)),
    sa.Column("is_old", sa.Boolean, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
)
COUNTED = sa.Table(
    "counted", metadata, sa.Column("id", BIG, primary_key=True), sa.Column("of", sa.String(8))
)

INSERT = sa.insert(THING)
IGNORE = insert_or_ignore(THING, returning=THING.c.id)
UPSERT = upsert(
    THING,
    lambda given: {"size": THING.c.size + given.size},
    where=lambda given: THING.c.size + given.size <= sa.bindparam("most"),
    returning=[THING.c.size],
)
REPLACE = upsert(THING)
FIND = sa.select(THING).where(THING.c.id.in_(sa.bindparam("ids", expanding=True)))
FIRST = sa.select(THING.c.id).order_by(THING.c.id).limit(1)
TOTAL = sa.select(sa.func.count(), sa.func.sum(THING.c.size).label("total"))
CHANGE = sa.update(THING).where(THING.c.id == sa.bindparam("one")).values(doc=sa.bindparam("to"))
SOME_COLUMNS = sa.update(THING).where(THING.c.id == sa.bindparam("one"))
REMOVE = sa.delete(THING).where(THING.c.id.in_(sa.bindparam("ids", expanding=True)))
CLEAR = sa.delete(THING)
COUNT_UP = sa.insert(COUNTED)
COUNT_UP_UNASKED = sa.insert(COUNTED).inline()
LOOK = sa.text("SELECT count(*) AS many FROM thing")


def thing(id: str, **other: Any) -> dict[str, Any]:
    usual = {"doc": {"list": [1, "2"]}, "perhaps": None, "is_old": False, "size": 2**40}
    return {"id": id, "made_at": MOMENT, **usual, **other}


class Ordinary(sa.Connection):
    """SQLAlchemy's own connection, with the constructor of `Straight`."""

    def __init__(self, engine: sa.Engine, *, check: Callable[[Any], None] | None = None) -> None:
        super().__init__(engine)
        if check is not None:
            raw = self.connection.dbapi_connection
            sa.event.listen(self, "before_cursor_execute", lambda *_: check(raw))


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    if request.param == SQLITE:
        made = engine_for(SQLITE, lambda: sqlite.connect(tmp_path / "things.db"))
    else:
        url = servers.new_database()
        made = engine_for(POSTGRESQL, lambda: pgconnect.connect(url))
    with made.connect() as connection:
        metadata.create_all(connection)
    yield made
    if request.param == POSTGRESQL:
        servers.drop_database(url)


@pytest.fixture
def straight(engine: sa.Engine) -> Iterator[Straight]:
    piped = engine.dialect.name == "postgresql"
    connection = Piped(engine) if piped else Straight(engine)
    yield connection
    connection.close()


@pytest.fixture
def ordinary(engine: sa.Engine) -> Iterator[sa.Connection]:
    with Ordinary(engine) as connection:
        yield connection


def _tx(connection: sa.Connection) -> Tx:
    return Tx(connection, MOMENT, SetWorld())


def _values(rows: Any) -> list[Any]:
    return [(tuple(row), dict(row._mapping), row.made_at, row.is_old) for row in rows]


def _refused(tx: Tx, statement: Any, parameters: Any) -> tuple[str, str]:
    tx.connection.exec_driver_sql("SAVEPOINT refused")
    with pytest.raises(sa.exc.DBAPIError) as refused:
        # On PostgreSQL, whoever looks at the count is told.
        assert tx.execute(statement, parameters).rowcount
    tx.connection.exec_driver_sql("ROLLBACK TO SAVEPOINT refused")
    assert not refused.value.connection_invalidated
    assert "MOMENT" not in str(refused.value) and "[SQL" in str(refused.value)
    # PostgreSQL repeats the text of a document, in which blanks mean nothing.
    return type(refused.value).__name__, str(refused.value.orig).replace(" ", "")


def _told(connection: sa.Connection) -> list[Any]:
    """Send a few statements of each kind, each three times; return the database's answers."""
    tx = _tx(connection)
    told: list[Any] = []
    # The first round goes through SQLAlchemy on both connections; the second prepares statements.
    for round in range(3):
        connection.exec_driver_sql("BEGIN")
        tx.execute(CLEAR)
        tx.execute(INSERT, [thing("a"), thing("b", perhaps={"x": [None]}), thing("c", doc=[])])
        tx.execute(INSERT, [thing("d", is_old=True)])
        told.append(tx.execute(IGNORE, thing("a")).first())
        told.append(tx.execute(IGNORE, thing("e")).scalar_one())
        for most in (0, 2**50):
            told.append(tx.execute(UPSERT, {**thing("a", size=1), "most": most}).first())
        tx.execute(REPLACE, thing("b", doc={"replaced": True}))
        for ids in (["a"], ["a", "b"], [], ["b", "nobody", "c"]):
            told.append(_values(tx.execute(FIND, {"ids": ids})))
        told.append(tx.execute(FIRST).all()[0].id)
        told.append([tuple(row) for row in tx.execute(TOTAL)])
        told += [tx.execute(CHANGE, {"one": one, "to": [round]}).rowcount for one in "ax"]
        told.append(tx.execute(SOME_COLUMNS, {"one": "c", "size": 7, "is_old": True}).rowcount)
        several: list[dict[str, Any]] = [{"one": one, "to": {}} for one in ("a", "b", "x")]
        told.append(tx.execute(CHANGE, several).rowcount)
        told += [_refused(tx, INSERT, values) for values in (thing("a"), thing("z", size=None))]
        told.append(_refused(tx, INSERT, [thing("f"), thing("a")])[0])
        told.append(_values(tx.execute(FIND, {"ids": list("abcdef")})))
        tx.execute(COUNT_UP, {"of": "a"})
        tx.execute(COUNT_UP_UNASKED, {"of": "b"})
        told.append(tx.execute(REMOVE, {"ids": ["a", "nobody"]}).rowcount)
        told.append(tx.execute(LOOK).one().many)
        with tx.savepoint():
            tx.execute(CLEAR)
        told.append(tx.execute(FIRST).scalar())
        connection.exec_driver_sql("ROLLBACK")
    return told


def test_rows_counts_and_errors_are_the_same(
    straight: Straight, ordinary: sa.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: set[str] = set()
    bind = Prepared.bind

    def counted(self: Prepared, parameters: Any) -> Any:
        taken.add(self.sql)
        return bind(self, parameters)

    monkeypatch.setattr(Prepared, "bind", counted)
    assert _told(straight) == _told(ordinary)
    assert len(taken) >= 12, "the short way was not taken"


def test_the_first_of_several_and_none_of_none(straight: Straight) -> None:
    tx = _tx(straight)
    for _ in range(3):
        tx.execute(CLEAR)
        assert tx.execute(FIRST).first() is None
        assert tx.execute(FIRST).scalar() is None
        assert list(tx.execute(FIRST)) == list(tx.execute(FIRST).all()) == []
        with pytest.raises(sa.exc.NoResultFound):
            tx.execute(FIRST).one()
        tx.execute(INSERT, [thing("a"), thing("b")])
        with pytest.raises(sa.exc.MultipleResultsFound):
            tx.execute(FIND, {"ids": ["a", "b"]}).scalar_one()


def test_a_value_that_nobody_gives_is_refused_and_not_null(straight: Straight) -> None:
    for _ in range(3):
        with pytest.raises(sa.exc.StatementError):
            straight.execute(CHANGE, {"one": "a"})


def test_whoever_listens_hears_of_every_statement(straight: Straight) -> None:
    heard: list[str] = []
    for _ in range(2):
        straight.execute(FIRST)
    sa.event.listen(
        straight, "before_cursor_execute", lambda _c, _cursor, sql, *_rest: heard.append(sql)
    )
    straight.execute(FIRST)
    straight.exec_driver_sql("BEGIN")
    with _tx(straight).savepoint():
        pass
    assert len(heard) == 4


def test_a_log_of_statements_has_every_one(
    engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sqlalchemy.engine")
    with Straight(engine) as connection:
        for _ in range(3):
            connection.execute(FIRST)
    assert caplog.text.count("ORDER BY thing.id") == 3


def test_the_check_comes_before_each_statement_whichever_way_it_takes(tmp_path: Path) -> None:
    def refuse(raw: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("gone")

    engine = engine_for(SQLITE, lambda: sqlite.connect(tmp_path / "things.db"))
    with engine.connect() as connection:
        metadata.create_all(connection)
    with Straight(engine) as connection:
        for _ in range(2):
            connection.execute(FIRST)
    with Straight(engine, check=refuse) as connection:
        for statement in (FIRST, LOOK):
            with pytest.raises(sqlite3.OperationalError):
                connection.execute(statement)
        with pytest.raises(sqlite3.OperationalError):
            connection.exec_driver_sql("SAVEPOINT effects")


def test_a_broken_connection_says_so(engine: sa.Engine) -> None:
    with Straight(engine) as connection:
        for _ in range(2):
            connection.execute(FIRST)
        raw: Any = connection.connection.dbapi_connection
        raw.close()
        with pytest.raises(sa.exc.DBAPIError) as refused:
            connection.execute(FIRST)
        assert refused.value.connection_invalidated
        connection.invalidate()


def test_statements_that_are_built_each_time_are_let_go(straight: Straight) -> None:
    met = []
    for number in range(2 * MET_MAX):
        built = sa.select(THING.c.id).where(THING.c.size == number)
        assert straight.execute(built).first() is None
        met.append(weakref.ref(built))
    gc.collect()
    # SQLAlchemy's own cache keeps a few.
    assert sum(one() is not None for one in met) < MET_MAX + 10
    for _ in range(3):
        assert straight.execute(FIRST).first() is None


def test_a_list_of_any_length_is_found(straight: Straight) -> None:
    straight.execute(INSERT, [thing("a")])
    for length in [*range(1, LENGTHS_MAX + 20), 1, 2]:
        ids = ["a", *map(str, range(length - 1))]
        assert [row.id for row in straight.execute(FIND, {"ids": ids})] == ["a"]


def test_no_more_lengths_of_a_list_are_kept_than_there_may_be() -> None:
    dialect, constants = engine_for(SQLITE, lambda: None).dialect, Constants()
    assert constants.find(FIND, ("ids",), dialect) is None, "it is met for the first time"
    constant = constants.find(FIND, ("ids",), dialect)
    assert constant is not None
    forms = []
    for length in range(1, 2 * LENGTHS_MAX):
        form = constant.prepared({"ids": ["a"] * length})
        assert form is not None and form.sql.count("?") == length
        forms.append(weakref.ref(form))
    del form
    gc.collect()
    assert sum(one() is not None for one in forms) <= LENGTHS_MAX


def test_many_threads_meet_statements_at_once_and_forget_others() -> None:
    dialect = engine_for(SQLITE, lambda: None).dialect
    constants = Constants()
    known = [sa.select(THING.c.id) for _ in range(8)]
    failures: list[BaseException] = []

    def run() -> None:
        try:
            for number in range(3 * MET_MAX):
                assert constants.find(sa.select(THING.c.id), (), dialect) is None
                constants.find(known[number % len(known)], (), dialect)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=run) for _ in range(4)]
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(usual)
    assert not failures
    assert all(constants.find(statement, (), dialect) is not None for statement in known)


def test_an_encoded_document_is_stored_as_it_was_encoded(straight: Straight) -> None:
    document = Encoded({"pair": (1, 2), 3: "three"})  # type: ignore[dict-item]  # what JSON loses
    assert document == {"pair": [1, 2], "3": "three"}
    for id in "abc":
        straight.execute(INSERT, thing(id, doc=document))
    found = straight.execute(FIND, {"ids": list("abc")})
    assert [row.doc for row in found] == [document] * 3
    assert all(type(row.doc) is dict for row in found)


def test_a_lock_is_sent_only_where_it_locks(straight: Straight) -> None:
    sent: list[str] = []
    sa.event.listen(
        straight, "before_cursor_execute", lambda _c, _cursor, sql, *_rest: sent.append(sql)
    )
    _tx(straight).lock(FIRST.with_for_update())
    assert len(sent) == (straight.dialect.name == "postgresql")


def test_a_statement_of_no_dialect_of_ours_is_refused() -> None:
    with pytest.raises(KeyError):
        upsert(THING).written_for("mysql")
