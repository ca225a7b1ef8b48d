"""A create call for tests: it writes a note, and its answer shows the note as it is now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sametoken.errors import ServiceError
from sametoken.idempotency import (
    Answer,
    Call,
    Engine,
    Entry,
    Identities,
    Made,
    Operation,
    Rules,
    Scope,
    sql_engine,
)
from sametoken.idempotency.tables import ATTEMPT, ENTRY, OTHER_ZONE, RETAINED
from sametoken.resources.kit.ids import mint
from sametoken.store.port import Store, Tx
from store.stores import NOTE, notes

SCOPE = Scope("000000000001", "us-east-1", "CreateNote")
ENGINE = sql_engine(b"key", records_attempts=True)

QUOTA = ServiceError("NoteLimitExceeded", "too many notes")
CAPACITY = ServiceError("InsufficientCapacity", "full", http_status=500, binds_token=True)


def call(
    token: str | None = "token",
    *,
    scope: Scope = SCOPE,
    rules: tuple[Rules, ...] = (Rules(),),
    zone: str = "",
    request_id: str = "",
    **parameters: Any,
) -> Call:
    return Call(scope, token, parameters, rules, zone, request_id)


def _perform(tx: Tx) -> Made:
    id = mint(tx, "note")
    tx.execute(sa.insert(NOTE), {"name": id, "body": "as made"})
    return Made({"id": id}, [id])


def _without_resources(tx: Tx) -> Made:
    return Made(_perform(tx).identities)


def _view(tx: Tx, identities: Identities) -> dict[str, str]:
    id: str = identities["id"]
    body = tx.execute(sa.select(NOTE.c.body).where(NOTE.c.name == id)).scalar_one()
    return {"id": id, "body": body}


CREATE = Operation(_perform, _view)
CREATE_NOTHING_KEPT = Operation(_without_resources, _view)


def refusing(refusal: Exception) -> Operation[dict[str, str]]:
    """Make an operation like `CREATE`, which is refused after its effects were made."""

    def perform(tx: Tx) -> Made:
        _perform(tx)
        raise refusal

    return Operation(perform, _view)


@dataclass(frozen=True, slots=True)
class Caller:
    """A client that creates notes through a store."""

    store: Store
    engine: Engine = ENGINE

    def ask(
        self, asked: Call, operation: Operation[dict[str, str]] = CREATE
    ) -> Answer[dict[str, str]]:
        """Execute the call; return its answer once its transaction has committed."""
        return self.store.run(lambda tx: self.engine.execute_once(tx, asked, operation))

    def create(self, asked: Call, operation: Operation[dict[str, str]] = CREATE) -> str:
        """Return the id of the note that the call made, now or before."""
        return self.ask(asked, operation).get()["id"]

    def end(self, *ids: str) -> None:
        self.store.run(lambda tx: self.engine.ledger.ended(tx, ids))

    def sweep(self, limit: int = 100) -> int:
        return self.store.run(lambda tx: self.engine.ledger.sweep(tx, limit))

    def find(self, token: str = "token", scope: Scope = SCOPE) -> Entry | None:
        return self.store.read(lambda tx: self.engine.ledger.find(tx, scope, token))

    def notes(self) -> list[str]:
        return self.store.read(notes)

    def rows_kept(self) -> dict[str, int]:
        """Count the rows of each table of the ledger."""

        def count(table: sa.Table) -> Callable[[Tx], int]:
            return lambda tx: tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()

        return {t.name: self.store.read(count(t)) for t in (ENTRY, OTHER_ZONE, RETAINED, ATTEMPT)}
