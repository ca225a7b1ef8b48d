"""The ledger: the tables that hold the entries, and their SQL.

It works in the transaction of the `tx` it is given, on SQLite and on PostgreSQL. Every decision,
replay and sweep locks the entry's row first; the other tables are used only under that lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from sametoken.idempotency.fingerprint import Fingerprint
from sametoken.idempotency.ledger import (
    Attempt,
    Entry,
    Outcome,
    OutcomeState,
    Scope,
    expires_at,
)
from sametoken.store.columns import Moment
from sametoken.store.dialects import BIG, insert_or_ignore, upsert
from sametoken.store.port import Tx

metadata = sa.MetaData()

# ENTRY has a row for each claimed token. `expires_at` is NULL while a resource of the entry lives.
# The sweep uses its index, so it costs as much as has expired, however much is kept.
ENTRY = sa.Table(
    "idempotency_entry",
    metadata,
    sa.Column("id", BIG, primary_key=True),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("region", sa.String(64), nullable=False),
    sa.Column("action", sa.String(128), nullable=False),
    sa.Column("client_token", sa.String(255), nullable=False),
    sa.Column("claimed_at", Moment, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("expires_at", Moment),
    # The token comes first, because `tokens explain` looks for a token in all scopes.
    sa.UniqueConstraint("client_token", "account", "region", "action", name="one_claim"),
    sa.Index(
        "idempotency_entry_expiry",
        "expires_at",
        sqlite_where=sa.text("expires_at IS NOT NULL"),
        postgresql_where=sa.text("expires_at IS NOT NULL"),
    ),
)

# OUTCOME has a row for each entry and zone. `identities` is NOT NULL exactly when
# state = 'settled'.
OUTCOME = sa.Table(
    "idempotency_outcome",
    metadata,
    sa.Column("entry_id", BIG, sa.ForeignKey("idempotency_entry.id"), primary_key=True),
    sa.Column("zone", sa.String(64), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("rules_version", sa.Integer, nullable=False),
    sa.Column("digests", sa.JSON, nullable=False),
    sa.Column("plain", sa.JSON, nullable=False),
    sa.Column("identities", sa.JSON(none_as_null=True)),
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Column("recorded_at", Moment, nullable=False),
    sa.CheckConstraint("(state = 'settled') = (identities IS NOT NULL)", name="settled_has_result"),
)

# RETAINED has the resources that an entry must outlive. `ended_at` is NULL while the resource
# lives. The row stays as long as the entry: a tombstone is not removed while a row here names it.
RETAINED = sa.Table(
    "idempotency_resource",
    metadata,
    sa.Column("resource_id", sa.String(128), primary_key=True),
    sa.Column("entry_id", BIG, sa.ForeignKey("idempotency_entry.id"), primary_key=True),
    sa.Column("ended_at", Moment),
    sa.Index("idempotency_resource_entry", "entry_id"),
    # The row is hardly more than its key: without a rowid, SQLite keeps both in one tree.
    sqlite_with_rowid=False,
)

# ATTEMPT has the last ATTEMPTS_KEPT repeats of each token, in a ring, for people. The first attempt
# is in the outcome.
ATTEMPT = sa.Table(
    "idempotency_attempt",
    metadata,
    sa.Column("entry_id", BIG, sa.ForeignKey("idempotency_entry.id"), primary_key=True),
    sa.Column("slot", sa.Integer, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("made_at", Moment, nullable=False),
    sa.Column("attempt", sa.String(16), nullable=False),
    sa.Column("fields", sa.JSON, nullable=False),
    sa.Column("request_id", sa.String(64), nullable=False),
)

# Enough to see the shape of a retry storm. Bounded, because a caller may repeat for ever.
ATTEMPTS_KEPT = 16
# A mismatch may differ in hundreds of paths; this many are enough to explain it.
FIELDS_NOTED_MAX = 32

_KEY = ("account", "region", "action", "client_token")
_BY_KEY = sa.and_(*(ENTRY.c[name] == sa.bindparam(f"k_{name}") for name in _KEY))
_FIND = sa.select(ENTRY.c.id, ENTRY.c.attempts).where(_BY_KEY)
_LOCK = _FIND.with_for_update()
_OUTCOMES = (
    sa.select(OUTCOME).where(OUTCOME.c.entry_id == sa.bindparam("entry")).order_by(OUTCOME.c.zone)
)
_CLAIM = insert_or_ignore(ENTRY, returning=ENTRY.c.id)
_RECORD = upsert(OUTCOME)
_NOTE = upsert(ATTEMPT)
_KEEP = sa.insert(RETAINED)
_SET_EXPIRY = (
    sa.update(ENTRY)
    .where(ENTRY.c.id == sa.bindparam("entry"))
    .values(expires_at=sa.bindparam("expiry"))
)
_COUNT_ATTEMPT = (
    sa.update(ENTRY)
    .where(ENTRY.c.id == sa.bindparam("entry"))
    .values(attempts=ENTRY.c.attempts + 1)
)
_HOLDERS = (
    sa.select(RETAINED.c.entry_id)
    .distinct()
    .where(RETAINED.c.resource_id.in_(sa.bindparam("gone", expanding=True)))
    # If an end is reported twice, the retention must not start again.
    .where(RETAINED.c.ended_at.is_(None))
    .order_by(RETAINED.c.entry_id)
)
_LOCK_ENTRIES = (
    sa.select(ENTRY.c.id)
    .where(ENTRY.c.id.in_(sa.bindparam("entries", expanding=True)))
    .order_by(ENTRY.c.id)
    .with_for_update()
)
_END = (
    sa.update(RETAINED)
    .where(RETAINED.c.resource_id.in_(sa.bindparam("gone", expanding=True)))
    .where(RETAINED.c.ended_at.is_(None))
    .values(ended_at=sa.bindparam("moment"))
)
_STILL_HELD = (
    sa.select(RETAINED.c.entry_id)
    .where(RETAINED.c.entry_id.in_(sa.bindparam("entries", expanding=True)))
    .where(RETAINED.c.ended_at.is_(None))
)
_EXPIRED = (
    sa.select(ENTRY.c.id)
    .where(ENTRY.c.expires_at <= sa.bindparam("now"))
    .order_by(ENTRY.c.expires_at)
    .limit(sa.bindparam("limit"))
    .with_for_update(skip_locked=True)
)
# Ordered by foreign keys: the entries themselves come last.
_FORGET = [
    sa.delete(table).where(column.in_(sa.bindparam("entries", expanding=True)))
    for table, column in (
        (ATTEMPT, ATTEMPT.c.entry_id),
        (OUTCOME, OUTCOME.c.entry_id),
        (RETAINED, RETAINED.c.entry_id),
        (ENTRY, ENTRY.c.id),
    )
]
_ATTEMPTS = (
    sa.select(ATTEMPT).where(ATTEMPT.c.entry_id == sa.bindparam("entry")).order_by(ATTEMPT.c.number)
)
_OF_TOKEN = (
    sa.select(ENTRY)
    .where(ENTRY.c.client_token == sa.bindparam("client_token"))
    .order_by(ENTRY.c.id)
)
_NEWEST = sa.select(ENTRY).order_by(ENTRY.c.id.desc()).limit(sa.bindparam("limit"))
_NEWEST_OF = _NEWEST.where(ENTRY.c.account == sa.bindparam("account"))
_NEWEST_BUT = _NEWEST.where(ENTRY.c.account != sa.bindparam("hidden"))


class Ledger:
    """Stores entries in the four tables above. Every method acts in the caller's transaction."""

    def claim(self, tx: Tx, scope: Scope, client_token: str) -> Entry:
        """Insert the entry, or lock the existing one. Waits for a concurrent claim."""
        row = {
            "account": scope.account,
            "region": scope.region,
            "action": scope.action,
            "client_token": client_token,
            "claimed_at": tx.now,
            "attempts": 1,
            # Until it is settled, the entry has no resource to keep it alive.
            "expires_at": expires_at(tx.now),
        }
        while True:
            claimed = tx.execute(_CLAIM, row).first()
            if claimed is not None:
                return Entry(claimed.id, scope, client_token, fresh=True)
            entry = self._load(tx, _LOCK, scope, client_token)
            if entry is not None:
                return entry
            # A sweep committed between the insert and the lock, so the token is free: try again.

    def find(self, tx: Tx, scope: Scope, client_token: str) -> Entry | None:
        """Find the entry without a lock; None if the token is not retained."""
        return self._load(tx, _FIND, scope, client_token)

    def _load(
        self, tx: Tx, statement: sa.Executable, scope: Scope, client_token: str
    ) -> Entry | None:
        key = {"account": scope.account, "region": scope.region, "action": scope.action}
        parameters = {f"k_{name}": value for name, value in key.items()}
        found = tx.execute(statement, parameters | {"k_client_token": client_token}).first()
        if found is None:
            return None
        rows = tx.execute(_OUTCOMES, {"entry": found.id})
        outcomes = tuple(_outcome(row) for row in rows)
        return Entry(found.id, scope, client_token, False, outcomes, found.attempts)

    def settle(self, tx: Tx, entry: Entry, outcome: Outcome, resources: Sequence[str]) -> None:
        """Record a settled outcome. `resources` are the ids that the entry must outlive."""
        assert outcome.state is OutcomeState.SETTLED, "fail() records failures"
        self._record(tx, entry, outcome)
        if resources:
            rows = [{"resource_id": name, "entry_id": entry.id} for name in resources]
            tx.execute(_KEEP, rows)
            tx.execute(_SET_EXPIRY, {"entry": entry.id, "expiry": None})
        elif not entry.fresh:
            self._expire_unless_held(tx, [entry.id])

    def fail(self, tx: Tx, entry: Entry, outcome: Outcome) -> None:
        """Bind the token to the outcome's parameters, although no resource was made."""
        assert outcome.state is OutcomeState.FAILED, "settle() records successes"
        self._record(tx, entry, outcome)
        if not entry.fresh:
            self._expire_unless_held(tx, [entry.id])

    def _record(self, tx: Tx, entry: Entry, outcome: Outcome) -> None:
        kept = outcome.fingerprint
        tx.execute(
            _RECORD,
            {
                "entry_id": entry.id,
                "zone": outcome.zone,
                "state": outcome.state.value,
                "rules_version": kept.rules_version,
                "digests": dict(kept.digests),
                "plain": dict(kept.plain),
                "identities": outcome.identities,
                "request_id": outcome.request_id,
                "recorded_at": tx.now,
            },
        )

    def note(
        self, tx: Tx, entry: Entry, request_id: str, attempt: Attempt, fields: Sequence[str] = ()
    ) -> None:
        """Write a repeat down, for `tokens explain`. Repeats of a token queue for its row here."""
        tx.execute(_COUNT_ATTEMPT, {"entry": entry.id})
        tx.execute(
            _NOTE,
            {
                "entry_id": entry.id,
                "slot": entry.attempts % ATTEMPTS_KEPT,
                "number": entry.attempts + 1,
                "made_at": tx.now,
                "attempt": attempt.value,
                "fields": list(fields[:FIELDS_NOTED_MAX]),
                "request_id": request_id,
            },
        )

    def ended(self, tx: Tx, resources: Sequence[str]) -> None:
        """Note that `resources` have ended. An entry's retention starts when its last one ends."""
        holders = [row.entry_id for row in tx.execute(_HOLDERS, {"gone": list(resources)})]
        if not holders:
            return
        tx.lock(_LOCK_ENTRIES, {"entries": holders})
        tx.execute(_END, {"gone": list(resources), "moment": tx.now})
        self._expire_unless_held(tx, holders)

    def _expire_unless_held(self, tx: Tx, entries: Sequence[int]) -> None:
        held = {row[0] for row in tx.execute(_STILL_HELD, {"entries": list(entries)})}
        for entry in entries:
            if entry not in held:
                tx.execute(_SET_EXPIRY, {"entry": entry, "expiry": expires_at(tx.now)})

    def sweep(self, tx: Tx, limit: int) -> int:
        """Remove at most `limit` entries whose retention is over; returns how many."""
        expired = [row[0] for row in tx.execute(_EXPIRED, {"now": tx.now, "limit": limit})]
        if expired:
            for forget in _FORGET:
                tx.execute(forget, {"entries": expired})
        return len(expired)


def _outcome(row: Any) -> Outcome:
    """Make an outcome of its row, and check again that the row is complete."""
    state = OutcomeState(row.state)
    assert (state is OutcomeState.SETTLED) == (row.identities is not None), "half an outcome"
    kept = Fingerprint(row.rules_version, row.digests, row.plain)
    return Outcome(row.zone, state, kept, row.identities, row.request_id, row.recorded_at)


def read_attempts(tx: Tx, entry: Entry) -> list[Any]:
    """Return the repeats that are still kept, oldest first, as rows of `ATTEMPT`."""
    return list(tx.execute(_ATTEMPTS, {"entry": entry.id}))


def find_everywhere(tx: Tx, client_token: str) -> list[Entry]:
    """Find the entries of a token in all scopes, including those of the services."""
    ledger = Ledger()
    rows = tx.execute(_OF_TOKEN, {"client_token": client_token})
    scopes = [Scope(row.account, row.region, row.action) for row in rows]
    found = (ledger.find(tx, scope, client_token) for scope in scopes)
    return [entry for entry in found if entry is not None]


def list_entries(tx: Tx, *, account: str | None, hidden: str, limit: int) -> list[Any]:
    """List the newest entries as rows of `ENTRY`: of `account`, or of all accounts but `hidden`."""
    values = {"account": account, "hidden": hidden, "limit": limit}
    return list(tx.execute(_NEWEST_BUT if account is None else _NEWEST_OF, values))
