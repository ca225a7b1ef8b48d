"""Two and three sessions on the real PostgreSQL, in every order of claim, record, sweep and commit.

The judge looks at the notes, which are the effects of `store.creating`, and at the result of each
session.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
import sqlalchemy as sa

from sametoken.errors import IdempotentParameterMismatch
from sametoken.idempotency import Answer, Attempt, Call, Engine, Together, statements
from sametoken.idempotency.entries import Ledger
from sametoken.idempotency.ledger import RETENTION, Entry, Scope
from sametoken.resources.kit.ids import mint
from sametoken.store.dialects import Text
from sametoken.store.port import Store, Tx
from sametoken.store.postgresql import PostgresqlStore
from store.barriers import Order, Session, SteppedLedger, Watch, orders, run
from store.creating import CAPACITY, CREATE, ENGINE, QUOTA, Caller, call, refusing
from store.servers import drop_database
from store.stores import NOTE, migrated_database
from store.worlds import SetWorld

Record = Callable[[str, object], None]
# Sessions may stand still for as long as a slow machine needs; deadlocks are detected at once.
_PATIENT = "".join(
    f"%20-c%20{name}%3D{value}"
    for name, value in {
        "lock_timeout": "60s",
        "statement_timeout": "60s",
        "idle_in_transaction_session_timeout": "60s",
        "deadlock_timeout": "20ms",
    }.items()
)
_TABLES = ("idempotency_attempt", "idempotency_other_zone", "idempotency_resource")
_WIPE = "; ".join(f"DELETE FROM {name}" for name in (*_TABLES, "idempotency_entry", "test_note"))


def _asks(operation: Any = CREATE, **parameters: Any) -> Callable[[Session, Tx], Any]:
    def act(session: Session, tx: Tx) -> Any:
        engine = Engine(SteppedLedger(session), ENGINE.key)
        return engine.execute_once(tx, call(**parameters), operation)

    return act


def _asks_together(session: Session, tx: Tx) -> Any:
    """Ask as one of a batch, in which another token comes first."""
    ids = {"a first one": mint(tx, "note"), "token": mint(tx, "note")}

    def perform(tx: Tx, calls: Sequence[Call]) -> None:
        mine = [one for one in calls if one.client_token == "token"]
        if mine:
            tx.execute(sa.insert(NOTE), {"name": ids["token"], "body": "as made"})

    together: Together[dict[str, str]] = Together(
        lambda call: {"id": ids[str(call.client_token)]}, perform, lambda tx, made: dict(made)
    )
    engine = Engine(SteppedLedger(session), ENGINE.key)
    return engine.execute_many(tx, [call(), call("a first one")], together)[0]


def _sweeps(session: Session, tx: Tx) -> int:
    return SteppedLedger(session).sweep(tx, 100)


CREATES = _asks()
OTHERS = _asks(size=2)
FAILS = _asks(refusing(CAPACITY))
IS_REFUSED = _asks(refusing(QUOTA))


# -- states of the token before a case ----------------------------------------------------------


def _nothing(caller: Caller, world: SetWorld) -> None:
    """Leave the token unused."""


def _failed(caller: Caller, world: SetWorld) -> None:
    assert caller.ask(call(), refusing(CAPACITY)).error is CAPACITY


def _made(caller: Caller, world: SetWorld) -> None:
    caller.create(call())


def _expired(caller: Caller, world: SetWorld) -> None:
    caller.end(caller.create(call()))
    world.pass_time(RETENTION + timedelta(seconds=1))


def _failed_and_expired(caller: Caller, world: SetWorld) -> None:
    _failed(caller, world)
    world.pass_time(RETENTION + timedelta(seconds=1))


@dataclass(frozen=True, slots=True)
class Case:
    before: Callable[[Caller, SetWorld], None]
    acts: Sequence[Callable[[Session, Tx], Any]]


CASES: Mapping[str, Case] = {
    "two creates": Case(_nothing, [CREATES, CREATES]),
    "three creates": Case(_nothing, [CREATES, CREATES, CREATES]),
    "two intents": Case(_nothing, [CREATES, OTHERS]),
    "a create beside one that fails": Case(_nothing, [CREATES, FAILS]),
    "a create beside one that is rolled back": Case(_nothing, [CREATES, IS_REFUSED]),
    "a failed token: two creates": Case(_failed, [CREATES, CREATES]),
    "a failed token: create and other intent": Case(_failed, [CREATES, OTHERS]),
    "a failed token: create and failure": Case(_failed, [CREATES, FAILS]),
    "a failed token: two failures": Case(_failed, [FAILS, FAILS]),
    "a failed token: three creates": Case(_failed, [CREATES, CREATES, CREATES]),
    "replays of a made token": Case(_made, [CREATES, CREATES, CREATES]),
    "two batches": Case(_nothing, [_asks_together, _asks_together]),
    "a batch beside a create": Case(_nothing, [_asks_together, CREATES]),
    "a failed token: a batch and a create": Case(_failed, [_asks_together, CREATES]),
    "an expired token: a batch and sweep": Case(_expired, [_asks_together, _sweeps]),
    "an expired token: replay and sweep": Case(_expired, [CREATES, _sweeps]),
    "an expired token: two replays and sweep": Case(_expired, [CREATES, CREATES, _sweeps]),
    "an expired token: replay and two sweeps": Case(_expired, [CREATES, _sweeps, _sweeps]),
    "an expired failure: two creates and sweep": Case(
        _failed_and_expired, [CREATES, CREATES, _sweeps]
    ),
}


class Bench:
    """Runs a case in every order, on a database of its own with a watch on it."""

    def __init__(self, store: Store, world: SetWorld, raw: psycopg.Connection[Any]) -> None:
        self._caller = Caller(store)
        self._world = world
        self._raw = raw
        self._watch = Watch(raw)

    def try_all(self, case: Case, *, settles: bool = True) -> str:
        tried = list(orders(lambda order: self._try(case, order, settles=settles)))
        turns, waits = (sum(len(one.taken) for one in tried), sum(one.waits for one in tried))
        assert waits, "whoever comes second must wait in some order"
        return f"{len(tried)} orders, {turns} steps, {waits} waits for a lock"

    def _try(self, case: Case, order: Order, *, settles: bool) -> None:
        self._raw.execute(_WIPE)
        case.before(self._caller, self._world)
        made = self._caller.notes() if case.before in (_made, _expired) else []
        is_over = case.before in (_expired, _failed_and_expired)
        book = _Book(next(iter(made), None), case.before is not _nothing, is_over, set(made))
        sessions = [
            Session(name, act, settles=settles) for name, act in zip("ABC", case.acts, strict=False)
        ]
        run(self._caller.store, sessions, order, self._watch)
        _judge(order, book, self._caller)


@dataclass(slots=True)
class _Book:
    """The state of the token, from the sessions' results in the order in which they ended.

    `current` is the note that every answer must name until the entry is swept; `bound` is whether
    there is an entry; `may_go` is whether a sweep may take it.
    """

    current: str | None
    bound: bool
    may_go: bool
    made: set[str]

    def add(self, told: Any) -> None:
        """Add a result. Raises AssertionError if it contradicts the results before it."""
        if isinstance(told, int):
            assert told in (0, 1), "there is one entry"
            assert self.may_go or not told, f"{self} was swept"
            if told:
                self.current, self.bound, self.may_go = None, False, False
            return
        answer = told if isinstance(told, Answer) else Answer(Attempt.NEW, error=told)
        if answer.error is None:
            self._hears(answer.get()["id"])
        elif answer.error is CAPACITY:
            assert self.current is None, f"a failure after {self.current} was made"
            self.bound, self.may_go = True, False
        elif isinstance(answer.error, IdempotentParameterMismatch):
            assert self.bound, "a mismatch with nothing"
        else:
            assert answer.error is QUOTA, f"{answer.error!r}"

    def _hears(self, id: str) -> None:
        if id == self.current:
            return
        assert self.current is None, f"{id} is told, not {self.current}"
        assert id not in self.made, f"{id} was forgotten, and is told again"
        self.made.add(id)
        self.current, self.bound, self.may_go = id, True, False


def _judge(order: Order, book: _Book, caller: Caller) -> None:
    for session in order.ended:
        try:
            book.add(session.result)
        except AssertionError as why:
            raise AssertionError(f"{session.name}: {why}: {order}") from why
    notes = set(caller.notes())
    assert notes == book.made, f"there are {notes}, and {book.made} were told: {order}"
    entry = caller.find()
    assert (entry is not None) == book.bound, f"{entry} is left: {order}"
    if entry is not None:
        assert len(entry.outcomes) == 1, f"half an entry: {entry}: {order}"
        wanted = None if book.current is None else {"id": book.current}
        assert entry.outcomes[0].identities == wanted, f"{entry}: {order}"


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    url = migrated_database()
    world = SetWorld()
    store = PostgresqlStore(f"{url}?options={_PATIENT}", world, host=world)
    try:
        with psycopg.connect(url, autocommit=True) as raw:
            yield Bench(store, world, raw)
    finally:
        store.close()
        drop_database(url)


@pytest.mark.parametrize("when", ["at once", "late"])
@pytest.mark.parametrize("name", CASES)
def test_in_every_order_a_token_has_one_effect_and_all_hear_of_it(
    bench: Bench, name: str, when: str, record_property: Record
) -> None:
    count = bench.try_all(CASES[name], settles=when == "at once")
    record_property("counted", f"PostgreSQL, statements carried out {when}, {name}: {count}")
    sys.stdout.write(f"{name}: {count}\n")


# -- bugs on purpose ----------------------------------------------------------------------------


@contextmanager
def _claim_without_the_lock() -> Iterator[None]:
    """Have a claim wait for a session that inserts the entry, but not for one that changes it."""
    with patch.object(statements, "LOCK", statements.FIND):
        yield


@contextmanager
def _batch_without_the_lock() -> Iterator[None]:
    """Have a batch read the entries of its tokens without locking them."""
    locking = statements.LOCK_MANY.for_driver["postgresql"].replace("%s", "?")
    unlocked = Text(locking.replace(" FOR UPDATE OF idempotency_entry", ""))
    assert unlocked.for_driver != statements.LOCK_MANY.for_driver
    with patch.object(statements, "LOCK_MANY", unlocked):
        yield


@contextmanager
def _claim_without_waiting() -> Iterator[None]:
    """Have a claim only look for the entry, which is inserted after the effect was made."""
    claim = Ledger.claim

    def mutated(self: Ledger, tx: Tx, scope: Scope, client_token: str) -> Entry:
        found = self.find(tx, scope, client_token)
        return Entry(0, scope, client_token, fresh=True) if found is None else found

    def settle(self: Ledger, tx: Tx, entry: Entry, *recorded: Any) -> None:
        written = claim(self, tx, entry.scope, entry.client_token)
        real(self, tx, written, *recorded)

    real = Ledger.settle
    with patch.object(Ledger, "claim", mutated), patch.object(Ledger, "settle", settle):
        yield


@contextmanager
def _sweep_without_a_lock() -> Iterator[None]:
    unlocked = Text("SELECT id FROM idempotency_entry WHERE expires_at <= ? LIMIT ?")
    with patch.object(statements, "EXPIRED", unlocked):
        yield


# Mutants by name: the function that plants it, the case that shows it, and the judge's message.
MUTANTS: Mapping[str, tuple[Callable[[], AbstractContextManager[None]], str, str]] = {
    "claim without the lock": (
        _claim_without_the_lock,
        "a failed token: two creates",
        "note-.* is told, not note-",
    ),
    "a batch without the lock": (
        _batch_without_the_lock,
        "a failed token: a batch and a create",
        "note-.* is told, not note-",
    ),
    "claim without waiting": (_claim_without_waiting, "two creates", "note-.* is told, not note-"),
    # The sweep is held up by the foreign key, in the middle of its work.
    "sweep without a lock": (
        _sweep_without_a_lock,
        "an expired failure: two creates and sweep",
        "C: IntegrityError",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_some_order_shows_the_mutant(bench: Bench, name: str) -> None:
    plant, case, said = MUTANTS[name]
    with plant(), pytest.raises(AssertionError, match=said) as caught:
        bench.try_all(CASES[case])
    sys.stdout.write(f"{name}: {caught.value}\n")
