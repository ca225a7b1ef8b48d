"""Attempts: requests under a token that no other row tells of, kept for people.

A request that makes something is told by its entry. All others (refused ones, repeats, those that a
fault struck) are written down some time after they were answered, many together: a row for each
token, with its first and its last attempts, and a count of those between.

A row goes with the entry of its token. If the token was never bound, it is kept for as long as an
entry would be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from sametoken.idempotency.ledger import RETENTION
from sametoken.idempotency.ledger import Attempt as Outcome
from sametoken.idempotency.tables import ENTRY
from sametoken.store.codec import dumps, loads
from sametoken.store.columns import Moment
from sametoken.store.dialects import IndexWhere, given, insert_many_or_ignore, of_many
from sametoken.store.port import Tx

metadata = sa.MetaData()

# The first ones show how a caller began, the last ones how it goes on; a storm is between.
FIRST_KEPT, LAST_KEPT = 8, 8

# Matches an id as this program mints it.
_REQUEST_ID = re.compile(r"[0-9a-f-]{36}\Z")

# `told` is what `packed` writes. `repeats` counts attempts that made nothing. `kept_until` is NULL
# once an entry was seen with which the row goes. The empty token, which no request can have, counts
# attempts of an account that there was no room for.
ATTEMPTS = sa.Table(
    "attempt",
    metadata,
    sa.Column("client_token", sa.String(255), primary_key=True),
    sa.Column("account", sa.String(12), primary_key=True),
    sa.Column("region", sa.String(32), primary_key=True),
    sa.Column("action", sa.String(128), primary_key=True),
    sa.Column("told", sa.Text, nullable=False),
    sa.Column("repeats", sa.Integer, nullable=False),
    sa.Column("kept_until", Moment),
    IndexWhere("attempt_kept", "kept_until", where="kept_until IS NOT NULL"),
    # Found by its key alone: without a rowid, SQLite keeps both in one tree.
    sqlite_with_rowid=False,
)


class TokenKey(NamedTuple):
    """A token in its scope, in the order in which rows are locked."""

    client_token: str
    account: str
    region: str
    action: str


def missed(account: str) -> TokenKey:
    """Return the key under which attempts of an account are counted that were not kept."""
    return TokenKey("", account, "", "")


class Attempt(NamedTuple):
    """An attempt as it is kept. `received_us` is microseconds since 1970, by the store's clock.

    `took_us` is None of one whose caller has gone. `heard` is False if no whole reply left.
    `faults` are the names of the rules that struck it. `sent` has the values of the parameters that
    differed, by path: "" where none was sent, None where it is not for people.
    """

    received_us: int
    request_id: str
    outcome: str
    status: int
    code: str
    took_us: int | None
    node: str
    invocation: str | None = None
    number: int | None = None
    heard: bool = True
    faults: Sequence[str] = ()
    sent: Mapping[str, str | None] = {}


@dataclass(frozen=True, slots=True)
class Kept:
    """The attempts of a token: the first, the last, and how many were left out between."""

    first: tuple[Attempt, ...] = ()
    last: tuple[Attempt, ...] = ()
    left_out: int = 0
    repeats: int = 0

    def and_then(self, other: Kept) -> Kept:
        """Return both together. Nodes write in turns, so their attempts may be interleaved.

        An attempt that is in both is told once: it was written again, because nobody knew whether
        it had been.
        """
        left_out = self.left_out + other.left_out
        told = (*self.first, *self.last, *other.first, *other.last)
        once = {one.request_id: one for one in told}.values()
        again = sum(map(_is_repeat, told)) - sum(map(_is_repeat, once))
        repeats = self.repeats + other.repeats - again
        every = sorted(once, key=lambda one: (one.received_us, one.request_id))
        if not left_out and len(every) <= FIRST_KEPT:
            return Kept(tuple(every), (), 0, repeats)
        first, rest = every[:FIRST_KEPT], every[FIRST_KEPT:]
        last = rest[-LAST_KEPT:]
        return Kept(tuple(first), tuple(last), left_out + len(rest) - len(last), repeats)


def _is_repeat(attempt: Attempt) -> bool:
    return attempt.outcome != Outcome.NEW


def of_one(attempt: Attempt, *, made: bool) -> Kept:
    """Return what is kept of a single attempt. `made`: its entry counts it as well."""
    return Kept((attempt,), (), 0, 0 if made else 1)


def packed(kept: Kept) -> str:
    return dumps([kept.left_out, [*map(_packed, kept.first)], [*map(_packed, kept.last)]])


def _packed(one: Attempt) -> list[Any]:
    return [*one[:-2], list(one.faults), dict(one.sent)]


def unpacked(told: str, repeats: int) -> Kept:
    left_out, first, last = loads(told)
    return Kept(
        tuple(Attempt(*one) for one in first),
        tuple(Attempt(*one) for one in last),
        left_out,
        repeats,
    )


_KEY = dict.fromkeys(TokenKey._fields, sa.String)
_NAMED = [ATTEMPTS.c[name] == sa.bindparam(f"a_{name}") for name in TokenKey._fields]
_ADD = insert_many_or_ignore(ATTEMPTS)
_LOCKED = of_many(
    _KEY,
    lambda dialect, one: (
        sa.select(ATTEMPTS)
        .join_from(one.client_token.table, ATTEMPTS, sa.and_(
            *(ATTEMPTS.c[name] == one[name] for name in _KEY)
        ))
        .order_by(*ATTEMPTS.primary_key)
        .with_for_update(of=ATTEMPTS)
    ),
)  # fmt: skip
_CHANGE = (
    sa.update(ATTEMPTS)
    .where(*_NAMED)
    .values(
        told=sa.bindparam("a_told"),
        repeats=sa.bindparam("a_repeats"),
        kept_until=sa.case(
            (ATTEMPTS.c.kept_until.is_(None), None), else_=sa.bindparam("a_until", type_=Moment)
        ),
    )
)
_OF_KEYS = of_many(
    _KEY,
    lambda dialect, one: sa.select(ATTEMPTS).join_from(
        one.client_token.table,
        ATTEMPTS,
        sa.and_(*(ATTEMPTS.c[name] == one[name] for name in _KEY)),
    ),
)
_OF_TOKEN = sa.select(ATTEMPTS).where(ATTEMPTS.c.client_token.in_([sa.bindparam("token"), ""]))
_TELLING = sa.select(ATTEMPTS).where(ATTEMPTS.c.told.like(sa.bindparam("pattern"))).limit(1)
_FORGET = sa.delete(ATTEMPTS).where(*_NAMED)
_IS_BOUND = sa.exists().where(*(ENTRY.c[name] == ATTEMPTS.c[name] for name in TokenKey._fields))
_DUE = (
    sa.select(*(ATTEMPTS.c[name] for name in TokenKey._fields), _IS_BOUND.label("is_bound"))
    .where(ATTEMPTS.c.kept_until <= sa.bindparam("before"))
    .order_by(ATTEMPTS.c.kept_until)
    .limit(sa.bindparam("limit"))
)
_KEEP = sa.update(ATTEMPTS).where(*_NAMED).values(kept_until=None)


def write(tx: Tx, found: Mapping[TokenKey, Kept]) -> None:
    """Write attempts down, beside those that are there."""
    until = tx.now + RETENTION
    rows = [(*key, packed(found[key]), found[key].repeats, until) for key in sorted(found)]
    added = {_key(row) for row in tx.execute(_ADD, given(rows))}
    rest = sorted(found.keys() - added)
    if not rest:
        return
    changed = []
    for row in tx.execute(_LOCKED, given(rest)):
        kept = unpacked(row.told, row.repeats).and_then(found[_key(row)])
        values = {"a_told": packed(kept), "a_repeats": kept.repeats, "a_until": until}
        changed.append({**_named(_key(row)), **values})
    if changed:
        tx.execute(_CHANGE, changed)


def of(tx: Tx, keys: Sequence[TokenKey]) -> dict[TokenKey, Kept]:
    """Return the attempts of the tokens that have any."""
    if not keys:
        return {}
    found = tx.execute(_OF_KEYS, given(keys))
    return {_key(row): unpacked(row.told, row.repeats) for row in found}


def of_token(tx: Tx, client_token: str) -> dict[TokenKey, Kept]:
    """Return the attempts with a token, in each scope, and those that accounts have `missed`."""
    found = tx.execute(_OF_TOKEN, {"token": client_token})
    return {_key(row): unpacked(row.told, row.repeats) for row in found}


def of_request(tx: Tx, request_id: str) -> TokenKey | None:
    """Find the token of an attempt by its request's id. Looks at every row: for people alone."""
    if _REQUEST_ID.match(request_id) is None:
        return None
    row = tx.execute(_TELLING, {"pattern": f'%"{request_id}"%'}).first()
    return None if row is None else _key(row)


def forget(tx: Tx, keys: Iterable[TokenKey]) -> None:
    """Remove what is kept of tokens whose entries are swept."""
    gone = [_named(key) for key in sorted(keys)]
    if gone:
        tx.execute(_FORGET, gone)


def sweep(tx: Tx, limit: int, until: datetime) -> int:
    """Remove at most `limit` rows whose tokens were never bound, and whose time ended by `until`.

    Rows whose tokens are bound by now go with their entries; they are looked at once.
    """
    due = tx.execute(_DUE, {"before": until, "limit": limit}).all()
    forget(tx, (_key(row) for row in due if not row.is_bound))
    bound = [_named(_key(row)) for row in due if row.is_bound]
    if bound:
        tx.execute(_KEEP, bound)
    return len(due)


def _key(row: Any) -> TokenKey:
    return TokenKey(*row[:4])


def _named(key: TokenKey) -> dict[str, str]:
    return {f"a_{name}": value for name, value in zip(TokenKey._fields, key, strict=True)}
