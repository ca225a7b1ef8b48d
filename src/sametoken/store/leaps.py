"""Leaps of the store's clock: time that it moved on by and that nobody saw pass.

A host's clock may be ahead for a moment, and a node may stand still for days. Tokens, which are
kept for a while, must not expire by that. So a sweep asks here until when time counts as `over`: it
takes back from the clock all leaps of the last retention. A leap that is older has no more to do
with it: of what was kept before it, the whole retention has passed since; what was kept after it
never saw it.

The clock tells each transaction how much it has leapt in all (`Tx.leapt`). A sweep notes how much
of it is new, so a leap is noted before it can make anything expire.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from sametoken.store.clock import CLOCK
from sametoken.store.columns import to_microseconds
from sametoken.store.dialects import upsert
from sametoken.store.port import Stale, Tx

metadata = sa.MetaData()

# A row for each leap of the last retention: what the clock would have been without any leap, and
# by how much it leapt.
LEAP = sa.Table(
    "clock_leap",
    metadata,
    sa.Column("passed_us", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("by_us", sa.BigInteger, nullable=False),
)

# Shorter leaps are noted once they add up to this: clocks that are steered make them all the time.
NOTED_MIN = timedelta(seconds=1)

_KNOWN = sa.select(CLOCK.c.leapt_us)
_KNOW = (
    sa.update(CLOCK)
    .values(leapt_us=sa.bindparam("leapt"))
    .where(CLOCK.c.leapt_us == sa.bindparam("known"))
)
# Two leaps in no time are one.
_NOTE = upsert(LEAP, lambda given: {"by_us": LEAP.c.by_us + given.by_us})
_FORGET = sa.delete(LEAP).where(LEAP.c.passed_us <= sa.bindparam("before"))
_ALL = sa.select(sa.func.coalesce(sa.func.sum(LEAP.c.by_us), 0))
_MICROSECOND = timedelta(microseconds=1)


def over(tx: Tx, retention: timedelta) -> datetime:
    """Return the moment until which what ended had its retention, if that was over by then.

    It is `tx.now`, less the leaps of the last `retention`. Notes those that nobody has noted yet.
    """
    passed_us = to_microseconds(tx.now - tx.leapt)
    leapt_us = tx.leapt // _MICROSECOND
    known_us: int = tx.execute(_KNOWN).scalar_one()
    if not known_us <= leapt_us < known_us + NOTED_MIN // _MICROSECOND:
        # Another process may have seen more time pass: then less was leapt than was noted.
        known = tx.execute(_KNOW, {"leapt": leapt_us, "known": known_us})
        tx.expect(known, 1, _another_noted)
        if leapt_us > known_us:
            tx.execute(_NOTE, {"passed_us": passed_us, "by_us": leapt_us - known_us})
        known_us = leapt_us
    tx.execute(_FORGET, {"before": passed_us - retention // _MICROSECOND})
    return tx.now - held_back(tx) - timedelta(microseconds=leapt_us - known_us)


def held_back(tx: Tx) -> timedelta:
    """Return how much longer is kept what was there before all leaps of the last retention."""
    return timedelta(microseconds=int(tx.execute(_ALL).scalar_one()))


def _another_noted() -> Stale:
    return Stale("another node has noted the clock's leaps meanwhile")
