"""The ledger's cost: statements sent, and pages written, by a create and by its repeats."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sametoken.idempotency import Answer, Call, Made, Operation, Together, create_tables, join
from sametoken.idempotency import sql_engine as library
from sametoken.store.dialects import Text
from sametoken.store.gathering import Gathering
from sametoken.store.port import Store, Tx
from sametoken.store.sqlite import SqliteStore
from sametoken.store.statements import Straight
from store.creating import CAPACITY, CREATE, ENGINE, Caller, call, refusing
from store.stores import notes
from store.worlds import SetWorld

# An engine as an application makes it, which writes no repeats down.
LIBRARY = library(b"key")
NOTHING: Operation[str] = Operation(lambda tx: Made({"id": "n"}), lambda tx, made: str(made["id"]))
FAILING: Operation[str] = Operation(refusing(CAPACITY).perform, lambda tx, made: "")
SEVERAL: Together[str] = Together(
    lambda call: {"id": call.client_token}, lambda tx, calls: None, lambda tx, made: made["id"]
)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """List the first words of each statement that is sent, but not of savepoints and the clock."""
    found: list[str] = []

    def noted(statement: str) -> None:
        if "store_clock" not in statement and not statement.startswith(
            ("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT")
        ):
            found.append(" ".join(statement.split()[:3]))

    doors = ("execute", "send", "look", "write", "exec_driver_sql")
    for owner, name in itertools.product((Straight, Gathering), doors):
        door = vars(owner).get(name)

        def through(self: Any, statement: Any, *rest: Any, _door: Any = door, **more: Any) -> Any:
            noted(str(statement))
            return _door(self, statement, *rest, **more)

        if door is not None:
            monkeypatch.setattr(owner, name, through)
    return found


def ask(store: Store, engine: Any, asked: Call, operation: Operation[str] = NOTHING) -> Answer[str]:
    answer: Answer[str] = store.run(lambda tx: engine.execute_once(tx, asked, operation))
    return answer


def making(made: Made) -> Operation[str]:
    return replace(NOTHING, perform=lambda tx: made)


CLAIM, RECORD = "INSERT INTO idempotency_entry", "UPDATE idempotency_entry SET"
LOOK, NOTE = "SELECT id, has_other_zones,", "INSERT INTO idempotency_attempt"
KEEP = "INSERT INTO idempotency_resource"


@dataclass(frozen=True, slots=True)
class Costs:
    """Statements of the first request with a token, before its effects and after, and of others.

    `together` are those of many first requests that are executed at once.

    Where a transaction alone writes, it looks first, and inserts the entry with its outcome.
    """

    first: Sequence[str]
    settled: Sequence[str]
    repeated: Sequence[str]
    together: Sequence[str]


@pytest.fixture
def costs(store: Store) -> Costs:
    if isinstance(store, SqliteStore):
        number = "SELECT coalesce(max(id), 0)"
        together = ["SELECT client_token, account,", number, CLAIM]
        return Costs([LOOK, number], [CLAIM], [LOOK], together)
    return Costs([CLAIM], [RECORD], [CLAIM, LOOK], [CLAIM])


def test_a_create_costs_two_statements_and_a_replay_or_a_mismatch_two(
    store: Store, sent: list[str], costs: Costs
) -> None:
    ask(store, LIBRARY, call(P=1))
    assert sent == [*costs.first, *costs.settled]
    for asked in (call(P=1), call(P=2)):
        sent.clear()
        ask(store, LIBRARY, asked)
        assert sent == costs.repeated


def test_creates_of_one_commit_count_their_entries_by_themselves(
    store: Store, sent: list[str]
) -> None:
    store.run(lambda tx: [LIBRARY.execute_once(tx, call(f"t{n}"), NOTHING) for n in range(8)])
    assert sum(one.startswith("SELECT coalesce(max") for one in sent) <= 1
    assert len(sent) <= 17


def test_a_resource_to_outlive_costs_one_more_however_many_there_are(
    store: Store, sent: list[str], costs: Costs
) -> None:
    for number, count in enumerate((1, 3)):
        sent.clear()
        made = Made({"id": "n"}, [f"r-{number}-{one}" for one in range(count)])
        ask(store, LIBRARY, call(f"t{number}"), making(made))
        assert sent == [*costs.first, *costs.settled, KEEP]


def test_to_write_a_repeat_down_costs_one_more(store: Store, sent: list[str], costs: Costs) -> None:
    ask(store, ENGINE, call(P=1))
    for asked in (call(P=1), call(P=2)):
        sent.clear()
        ask(store, ENGINE, asked)
        assert sent == [*costs.repeated, NOTE]


def test_a_failure_costs_two_and_its_retry_no_more_than_look_and_record(
    store: Store, sent: list[str], costs: Costs
) -> None:
    ask(store, LIBRARY, call(P=1), FAILING)
    assert sent == [*costs.first, "INSERT INTO test_note", *costs.settled]
    sent.clear()
    ask(store, LIBRARY, call(P=1))
    assert sent == [*costs.repeated, RECORD]


def test_only_tokens_with_other_zones_look_for_them(
    store: Store, sent: list[str], costs: Costs
) -> None:
    ask(store, LIBRARY, call(zone="a", Zone="a"))
    sent.clear()
    ask(store, LIBRARY, call(zone="b", Zone="b"))
    other = "INSERT INTO idempotency_other_zone"
    assert sent == [*costs.repeated, other, RECORD]
    sent.clear()
    ask(store, LIBRARY, call(zone="b", Zone="b"))
    assert sent == [*costs.repeated, "SELECT zone, state,"]


@pytest.mark.parametrize("count", [1, 64])
def test_many_creates_known_beforehand_cost_as_many_statements_as_one(
    store: Store, sent: list[str], costs: Costs, count: int
) -> None:
    asked = [call(f"t{number}", P=number) for number in range(count)]
    store.run(lambda tx: LIBRARY.execute_many(tx, asked, SEVERAL))
    assert sent == costs.together


# -- pages --------------------------------------------------------------------------------------


@pytest.fixture
def application(tmp_path: Path) -> Iterator[sa.Engine]:
    path = tmp_path / "app.db"
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA journal_mode=WAL")
    raw.close()
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        create_tables(connection)
    yield engine
    engine.dispose()


@contextmanager
def log_bytes(folder: Path) -> Iterator[list[int]]:
    """Yield a list that is told by how much the log has grown at the block's end."""
    log, grown = folder / "app.db-wal", list[int]()
    before = log.stat().st_size
    yield grown
    grown.append(log.stat().st_size - before)


def test_a_replay_writes_no_page(application: sa.Engine, tmp_path: Path) -> None:
    def ask(asked: Call) -> None:
        with application.begin() as connection:
            LIBRARY.execute_once(join(connection, world=SetWorld()), asked, NOTHING)

    with application.connect():
        with log_bytes(tmp_path) as created:
            ask(call(P=1))
        with log_bytes(tmp_path) as repeated:
            ask(call(P=1))
            ask(call(P=2))
    assert created[0] > 0
    assert repeated == [0]


# -- the door for statements written by hand ----------------------------------------------------


def test_a_statement_by_hand_works_on_the_stores_and_on_an_applications_connection(
    store: Store, application: sa.Engine
) -> None:
    remainder = Text("SELECT CAST(? AS integer) % 7, 'ü' WHERE ? = 'x'")

    def by_hand(tx: Tx) -> None:
        assert list(tx.send(remainder, (10, "x"))) == [(3, "ü")]
        assert not tx.send(remainder, (10, "y"))

    store.run(by_hand)
    store.read(by_hand)
    with application.connect() as connection:
        by_hand(join(connection, world=SetWorld()))


def test_a_listener_sees_statements_by_hand_too(store: Store) -> None:
    seen: list[str] = []

    def run(tx: Tx) -> int:
        sa.event.listen(tx.connection, "before_cursor_execute", lambda *told: seen.append(told[2]))
        ENGINE.execute_once(tx, call(P=1), CREATE)
        return len(notes(tx))

    assert store.run(run) == 1
    assert any("idempotency_entry" in one for one in seen)
    assert Caller(store).ask(call(P=1)).attempt == "replay"
