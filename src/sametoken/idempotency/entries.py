"""The ledger: entries, read and written in the transaction of the `tx` that each call is given.

A new create costs two statements: the claim and the record of its outcome. A repeat costs two as
well: the claim that fails and the look at the row. Where a transaction is the only one that writes,
its lock is all that a claim needs: both look first, and a create then inserts the whole entry.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sametoken.idempotency import statements
from sametoken.idempotency.fingerprint import Fingerprint
from sametoken.idempotency.ledger import (
    RETENTION,
    Attempt,
    Call,
    Entry,
    Identities,
    Outcome,
    OutcomeState,
    Scope,
)
from sametoken.idempotency.tables import ENTRY, FIELDS_NOTED_MAX
from sametoken.store.codec import dumps, loads, loads_document
from sametoken.store.columns import from_microseconds, to_microseconds
from sametoken.store.dialects import Text
from sametoken.store.port import Tx

_SECOND = timedelta(seconds=1)
_US = 1_000_000
# The key of `Tx.known` for the number that the next entry has.
_NEXT_ID = f"{ENTRY.name}.id"


@dataclass(frozen=True, slots=True)
class Known:
    """A call that makes no resource of its own, and whose identities are known beforehand."""

    call: Call
    fingerprint: Fingerprint
    identities: Identities


class Ledger:
    """Stores entries in the tables of `idempotency.tables`.

    `records_attempts` has every repeat written down, for `tokens explain`; without it, a replay
    writes nothing. `retention` is how long the entries that it claims are kept after the last of
    their resources has ended, in whole seconds.
    """

    def __init__(self, *, records_attempts: bool = False, retention: timedelta = RETENTION) -> None:
        assert retention > timedelta(0), "an entry is kept at all"
        assert not retention % _SECOND, "a retention is whole seconds"
        self._records_attempts = records_attempts
        self._retention_us = retention // _SECOND * _US
        # NULL for the usual retention: most rows are shorter by it.
        self._retention_seconds = None if retention == RETENTION else retention // _SECOND

    def claim(self, tx: Tx, scope: Scope, client_token: str) -> Entry:
        """Insert the entry, or lock the existing one. Waits for a concurrent claim."""
        key = _key(scope, client_token)
        if tx.only_writer:
            found = tx.look(statements.FIND, key, (ENTRY.name, *key))
            if found:
                return _entry(tx, scope, client_token, found[0])
            return Entry(_next_id(tx), scope, client_token, fresh=True)
        row = (*key, to_microseconds(tx.now), self._retention_seconds)
        while True:
            claimed = tx.send(statements.CLAIM, row)
            if claimed:
                return Entry(claimed[0][0], scope, client_token, fresh=True)
            entry = self._load(tx, statements.LOCK, scope, client_token)
            if entry is not None:
                return entry
            # A sweep committed between the insert and the lock, so the token is free: try again.

    def claim_settled(self, tx: Tx, asked: Sequence[Known]) -> set[tuple[Scope, str]]:
        """Claim and settle those tokens that are new, in one statement; returns which these are.

        Waits for concurrent claims. The tokens of `asked` must differ from each other.
        """
        if tx.only_writer:
            return self._enter_settled(tx, asked)
        rows = sorted(_known_row(one) for one in asked)
        now_us = to_microseconds(tx.now)
        times = (now_us, now_us, self._retention_seconds, now_us + self._retention_us)
        claimed = tx.send(statements.CLAIM_SETTLED, (*times, dumps(rows)))
        tx.known.pop(_NEXT_ID, None)
        return {(Scope(*scope), client_token) for client_token, *scope in claimed}

    def _enter_settled(self, tx: Tx, asked: Sequence[Known]) -> set[tuple[Scope, str]]:
        """Look which tokens are taken, and insert the entries of the others."""
        keys = [_key(one.call.scope, one.call.client_token or "") for one in asked]
        taken = set(tx.send(statements.TAKEN, (dumps(keys),)))
        new = [(one, key) for one, key in zip(asked, keys, strict=True) if key not in taken]
        now_us = to_microseconds(tx.now)
        rows = []
        for one, key in new:
            call = one.call
            outcome = Outcome(
                call.zone, OutcomeState.SETTLED, one.fingerprint, one.identities, call.request_id,
                call.origin,
            )  # fmt: skip
            rows.append(
                (
                    _next_id(tx), *key, now_us, self._retention_seconds,
                    *_outcome_row(outcome, now_us), now_us + self._retention_us,
                )
            )  # fmt: skip
        tx.write(statements.ENTER, rows, [(ENTRY.name, *key) for _, key in new])
        return {(one.call.scope, one.call.client_token or "") for one, _ in new}

    def lock_many(
        self, tx: Tx, keys: Sequence[tuple[Scope, str]]
    ) -> dict[tuple[Scope, str], Entry]:
        """Lock the entries that exist, in the order of their tokens; return them by their keys."""
        asked = [[token, one.account, one.region, one.action] for one, token in keys]
        found: dict[tuple[Scope, str], Entry] = {}
        for client_token, account, region, action, *row in tx.send(
            statements.LOCK_MANY, (dumps(asked),)
        ):
            scope = Scope(account, region, action)
            found[scope, client_token] = _entry(tx, scope, client_token, row)
        return found

    def find(self, tx: Tx, scope: Scope, client_token: str) -> Entry | None:
        """Find the entry without a lock; None if the token is not retained."""
        return self._load(tx, statements.FIND, scope, client_token)

    def _load(self, tx: Tx, statement: Text, scope: Scope, client_token: str) -> Entry | None:
        found = tx.send(statement, (client_token, scope.account, scope.region, scope.action))
        return _entry(tx, scope, client_token, found[0]) if found else None

    def settle(self, tx: Tx, entry: Entry, outcome: Outcome, resources: Sequence[str]) -> None:
        """Record a settled outcome. `resources` are the ids that the entry must outlive."""
        assert outcome.state is OutcomeState.SETTLED, "fail() records failures"
        kept = [(resource, entry.id) for resource in resources]
        if entry.fresh:
            self._record_first(tx, entry, outcome, is_held=bool(kept))
            tx.write(statements.KEEP, kept)
        else:
            # The end of the retention is told by what is kept.
            tx.write(statements.KEEP, kept)
            self._record_later(tx, entry, outcome)

    def fail(self, tx: Tx, entry: Entry, outcome: Outcome) -> None:
        """Bind the token to the outcome's parameters, although no resource was made."""
        assert outcome.state is OutcomeState.FAILED, "settle() records successes"
        if entry.fresh:
            self._record_first(tx, entry, outcome, is_held=False)
        else:
            self._record_later(tx, entry, outcome)

    def _record_first(self, tx: Tx, entry: Entry, outcome: Outcome, *, is_held: bool) -> None:
        """Write the first outcome of an entry. `is_held`: a resource holds the entry."""
        now_us = to_microseconds(tx.now)
        expires_us = None if is_held else now_us + self._retention_us
        row = _outcome_row(outcome, now_us)
        if tx.only_writer:
            key = _key(entry.scope, entry.client_token)
            whole = (entry.id, *key, now_us, self._retention_seconds, *row, expires_us)
            tx.write(statements.ENTER, [whole], [(ENTRY.name, *key)])
        else:
            recorded = tx.send(statements.RECORD_FIRST, (*row, expires_us, entry.id))
            tx.expect(recorded, 1, _claim_is_lost)

    def _record_later(self, tx: Tx, entry: Entry, outcome: Outcome) -> None:
        """Write an outcome beside others, or in place of a failure."""
        now_us = to_microseconds(tx.now)
        row = _outcome_row(outcome, now_us)
        if entry.first_zone in (None, outcome.zone):
            recorded = tx.send(statements.RECORD, (*row, now_us, entry.id))
        else:
            tx.send(statements.RECORD_OTHER, (*row, entry.id))
            recorded = tx.send(statements.EXPIRE_WITH_OTHER, (now_us, entry.id))
        tx.expect(recorded, 1, _claim_is_lost)

    def note(
        self, tx: Tx, entry: Entry, request_id: str, attempt: Attempt, fields: Sequence[str] = ()
    ) -> None:
        """Write a repeat down, if the ledger does so. The entry's row must be locked."""
        if self._records_attempts:
            told = dumps(list(fields[:FIELDS_NOTED_MAX]))
            now_us = to_microseconds(tx.now)
            values = (now_us, attempt.value, told, request_id, entry.id, entry.id)
            tx.write(statements.NOTE, [values])

    def note_replays(self, tx: Tx, repeats: Sequence[tuple[Entry, str]]) -> None:
        """Write replays down as `note` does, each of another entry, with its request's id."""
        if self._records_attempts and repeats:
            rows = dumps([[entry.id, request_id] for entry, request_id in repeats])
            now_us = to_microseconds(tx.now)
            tx.send(statements.NOTE_MANY, (now_us, Attempt.REPLAY.value, dumps([]), rows))

    def ended(self, tx: Tx, resources: Collection[str]) -> None:
        """Note that `resources` have ended. An entry's retention starts when its last one ends."""
        gone = dumps(list(resources))
        holders = [row[0] for row in tx.send(statements.HOLDERS, (gone,))]
        if not holders:
            return
        entries, now_us = dumps(holders), to_microseconds(tx.now)
        tx.lock(statements.LOCK_ENTRIES, (entries,))
        tx.send(statements.END, (now_us, gone))
        tx.send(statements.EXPIRE, (now_us, entries))

    def sweep(self, tx: Tx, limit: int, until: datetime | None = None) -> int:
        """Remove at most `limit` entries whose retention is over; returns how many.

        It is over if it ends by `until`, which is now unless the clock may have leapt.
        """
        return len(self.forget_expired(tx, limit, until))

    def forget_expired(
        self, tx: Tx, limit: int, until: datetime | None = None
    ) -> list[tuple[Scope, str]]:
        """Like `sweep`; returns the tokens that are free again, with their scopes."""
        found = tx.send(statements.EXPIRED, (to_microseconds(until or tx.now), limit))
        expired = dumps([row[0] for row in found])
        if found:
            for forget in statements.FORGET:
                tx.send(forget, (expired,))
        return [(Scope(*scope), client_token) for _, client_token, *scope in found]


def _next_id(tx: Tx) -> int:
    """Return the number of a new entry, as SQLite would give it: nobody else gives any now."""
    id: int | None = tx.known.get(_NEXT_ID)
    if id is None:
        id = tx.send(statements.NEXT_ID)[0][0]
    tx.known[_NEXT_ID] = id + 1
    return id


def _key(scope: Scope, client_token: str) -> tuple[str, str, str, str]:
    """Return the unique key of an entry."""
    return client_token, scope.account, scope.region, scope.action


def _outcome_row(outcome: Outcome, now_us: int) -> tuple[Any, ...]:
    """Return the values of an outcome's columns."""
    kept = outcome.fingerprint
    return (
        outcome.zone, outcome.state.value, kept.rules_version, kept.key_id,
        dumps(kept.digests), dumps(kept.plain),
        None if outcome.identities is None else dumps(outcome.identities),
        outcome.request_id, outcome.origin, now_us,
    )  # fmt: skip


def _claim_is_lost() -> AssertionError:
    # A `perform` that ends the transaction loses the claim; its effects would be unprotected.
    return AssertionError("the claimed entry is gone: was the transaction ended?")


def _known_row(known: Known) -> list[Any]:
    call, kept = known.call, known.fingerprint
    scope = call.scope
    return [
        call.client_token, scope.account, scope.region, scope.action, call.zone,
        kept.rules_version, kept.key_id, dumps(kept.digests), dumps(kept.plain),
        dumps(known.identities), call.request_id,
    ]  # fmt: skip


def _entry(tx: Tx, scope: Scope, client_token: str, row: Sequence[Any]) -> Entry:
    """Make an entry of its row, and of its rows for other zones if it has any."""
    id, has_other_zones, *first = row
    # The row is without an outcome only in the transaction that claimed it.
    rows: list[Sequence[Any]] = [] if first[0] is None else [first]
    if has_other_zones:
        rows += tx.send(statements.FIND_OTHERS, (id,))
    outcomes = sorted((_outcome(*one) for one in rows), key=lambda one: one.zone)
    return Entry(id, scope, client_token, False, tuple(outcomes), first[0])


def _outcome(
    zone: str,
    state: str,
    rules_version: int,
    key_id: str | None,
    digests: str,
    plain: str,
    identities: str | None,
    request_id: str,
    origin: str | None,
    recorded_us: int,
) -> Outcome:
    """Make an outcome of its columns, and check again that they are complete."""
    found = OutcomeState(state)
    assert (found is OutcomeState.SETTLED) == (identities is not None), "half an outcome"
    kept = Fingerprint(rules_version, loads_document(digests), loads_document(plain), key_id)
    made = None if identities is None else loads(identities)
    recorded_at = from_microseconds(recorded_us)
    return Outcome(zone, found, kept, made, request_id, origin, recorded_at)


# -- for people -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Repeat:
    """A request after the first with a token, as it was written down."""

    number: int
    made_at: datetime
    attempt: str
    fields: Sequence[str]
    request_id: str


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry in a list. `state` is that of its first outcome."""

    claimed_at: datetime
    account: str
    region: str
    action: str
    client_token: str
    state: str
    expires_at: datetime | None


def read_attempts(tx: Tx, entry: Entry) -> list[Repeat]:
    """Return the repeats that are still kept, oldest first."""
    return [
        Repeat(number, from_microseconds(made_us), attempt, loads(fields), request_id)
        for number, made_us, attempt, fields, request_id in tx.send(
            statements.ATTEMPTS, (entry.id,)
        )
    ]


def holding(tx: Tx, entry: Entry) -> tuple[datetime, datetime | None, list[str]]:
    """Return when the token was claimed, until when it is kept, and what the entry outlives.

    It is kept until None while a resource holds it. Resources are ids, living or ended.
    """
    found = tx.send(statements.HOLDING, (entry.id,))
    claimed_us, expires_us, _ = found[0]
    kept_until = None if expires_us is None else from_microseconds(expires_us)
    ids = sorted(row[2] for row in found if row[2] is not None)
    return from_microseconds(claimed_us), kept_until, ids


def of_resource(tx: Tx, resource: str) -> list[tuple[Scope, str]]:
    """List the tokens whose entries outlive the resource, with their scopes."""
    found = tx.send(statements.OF_RESOURCE, (resource,))
    return [(Scope(*scope), token) for token, *scope in found]


def of_request(tx: Tx, request_id: str) -> list[tuple[Scope, str]]:
    """List the tokens that the request with this id bound. Looks at every entry."""
    found = tx.send(statements.OF_REQUEST, (request_id, request_id))
    return [(Scope(*scope), token) for token, *scope in found]


def find_everywhere(tx: Tx, client_token: str) -> list[Entry]:
    """Find the entries of a token in all scopes, including those of the services."""
    return [
        _entry(tx, Scope(account, region, action), client_token, row)
        for account, region, action, *row in tx.send(statements.OF_TOKEN, (client_token,))
    ]


def list_entries(tx: Tx, *, account: str | None, hidden: str, limit: int) -> list[Listed]:
    """List the newest entries: of `account`, or of all accounts but `hidden`."""
    statement = statements.NEWEST_BUT if account is None else statements.NEWEST_OF
    return [
        Listed(
            from_microseconds(claimed_us), account, region, action, client_token, state,
            None if expires_us is None else from_microseconds(expires_us),
        )
        for claimed_us, account, region, action, client_token, state, expires_us in tx.send(
            statement, (hidden if account is None else account, limit)
        )
    ]  # fmt: skip
