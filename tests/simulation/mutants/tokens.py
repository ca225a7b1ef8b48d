"""Bugs of the token: its claim, its scope, the comparison of parameters, failures, retention."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

from sametoken.errors import ServiceError
from sametoken.idempotency import Engine, Made, Operation, engine, ledger, tables
from sametoken.idempotency.entries import Ledger
from sametoken.idempotency.ledger import Call, Entry, Outcome, OutcomeState, Scope
from sametoken.server import execution
from sametoken.store.port import Tx


def claim_in_its_own_transaction() -> Iterator[None]:
    """Commit the claim first, so that a crash leaves a claimed token without a resource."""
    claim = Ledger.claim

    def mutated(self: Ledger, tx: Tx, scope: Scope, client_token: str) -> Entry:
        entry = claim(self, tx, scope, client_token)
        if not entry.fresh:
            return entry
        claimed = {"client_token": client_token, **asdict(scope), "claimed_at": tx.now}
        tx.execute(sa.insert(tables.ENTRY), {"id": entry.id, **claimed})
        for command in ("RELEASE member", "COMMIT", "BEGIN IMMEDIATE", "SAVEPOINT member"):
            tx.connection.connection.cursor().execute(command)
        return replace(entry, fresh=False)

    with patch.object(Ledger, "claim", mutated):
        yield


def parameters_not_compared() -> Iterator[None]:
    with patch.object(ledger, "differences", lambda call, outcome, key: ()):
        yield


def failure_binds_nothing() -> Iterator[None]:
    """Leave no entry of a capacity failure, so that another intent can take the token."""

    def mutated(self: Ledger, tx: Tx, entry: Entry, outcome: Outcome) -> None:
        if entry.fresh:
            tx.execute(sa.delete(tables.ENTRY).where(tables.ENTRY.c.id == entry.id))

    with patch.object(Ledger, "fail", mutated):
        yield


def failure_binds_no_parameters() -> Iterator[None]:
    decide = ledger.decide

    def mutated(call: Call, entry: Entry, key: bytes) -> Any:
        settled = tuple(one for one in entry.outcomes if one.state is OutcomeState.SETTLED)
        return decide(call, replace(entry, outcomes=settled), key)

    with patch.object(engine, "decide", mutated):
        yield


def retention_from_the_request() -> Iterator[None]:
    settle = Ledger.settle

    def mutated(
        self: Ledger, tx: Tx, entry: Entry, outcome: Outcome, resources: Sequence[str]
    ) -> None:
        settle(self, tx, entry, outcome, resources)
        late = sa.update(tables.ENTRY).where(tables.ENTRY.c.id == entry.id)
        tx.execute(late.values(expires_at=tx.now + timedelta(hours=24)))

    with patch.object(Ledger, "settle", mutated):
        yield


def settled_without_an_end() -> Iterator[None]:
    """Settle without the end of the retention: entries without a resource stay for ever."""
    settle = Ledger.settle

    def mutated(
        self: Ledger, tx: Tx, entry: Entry, outcome: Outcome, resources: Sequence[str]
    ) -> None:
        settle(self, tx, entry, outcome, resources)
        endless = sa.update(tables.ENTRY).where(tables.ENTRY.c.id == entry.id)
        tx.execute(endless.values(expires_at=None))

    with patch.object(Ledger, "settle", mutated):
        yield


def other_zone_overwrites_the_first() -> Iterator[None]:
    """Write every outcome into the entry's row, so that a second zone's replaces the first's."""
    settle = Ledger.settle

    def mutated(
        self: Ledger, tx: Tx, entry: Entry, outcome: Outcome, resources: Sequence[str]
    ) -> None:
        settle(self, tx, replace(entry, first_zone=None), outcome, resources)

    with patch.object(Ledger, "settle", mutated):
        yield


def other_zones_not_looked_for() -> Iterator[None]:
    """Read the entry's row alone, so that a repeat in its second zone is performed again."""
    claim = Ledger.claim

    def mutated(self: Ledger, tx: Tx, scope: Scope, client_token: str) -> Entry:
        entry = claim(self, tx, scope, client_token)
        first = tuple(one for one in entry.outcomes if one.zone == entry.first_zone)
        return replace(entry, outcomes=first)

    with patch.object(Ledger, "claim", mutated):
        yield


def token_case_ignored() -> Iterator[None]:
    claim = Ledger.claim

    def mutated(self: Ledger, tx: Tx, scope: Scope, client_token: str) -> Entry:
        entry = claim(self, tx, scope, client_token.lower())
        return replace(entry, client_token=client_token)

    with patch.object(Ledger, "claim", mutated):
        yield


def _call_mutant(change: Callable[[Call], Call]) -> Iterator[None]:
    def mutated(*parts: Any) -> Call:
        return change(Call(*parts))

    with patch.object(execution, "Call", mutated):
        yield


def zone_ignored() -> Iterator[None]:
    yield from _call_mutant(lambda call: replace(call, zone=""))


def account_ignored() -> Iterator[None]:
    yield from _call_mutant(lambda call: replace(call, scope=replace(call.scope, account="all")))


def refusal_keeps_the_claim() -> Iterator[None]:
    """Bind a token by a request that was refused."""
    execute_once = engine.Engine.execute_once

    def mutated(self: Engine, tx: Tx, call: Call, operation: Operation[Any]) -> Any:
        def binding(tx: Tx) -> Made:
            try:
                return operation.perform(tx)
            except ServiceError as refusal:
                refusal.binds_token = True
                raise

        return execute_once(self, tx, call, replace(operation, perform=binding))

    with patch.object(engine.Engine, "execute_once", mutated):
        yield
