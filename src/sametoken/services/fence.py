"""The fence: what keeps a former owner of an instance from making anything.

Each service remembers, for each instance, the highest generation that has called it, and whether
the instance was closed. It is asked in the transaction that claims the step's token. The history
it prevents: an owner is paused just before a create; its lease runs out; its successor unwinds
the launch; the first owner resumes, creates, and nobody will ever release it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from sametoken.resources.kit import rows
from sametoken.store.dialects import ByDialect, given, upsert_many
from sametoken.store.port import Tx
from sametoken.workflow.plans import SERVICES
from sametoken.workflow.ports import StaleOwner, StepCall, Verb

metadata = sa.MetaData()

FENCE = sa.Table(
    "service_fence",
    metadata,
    sa.Column("instance", sa.String(64), primary_key=True),
    sa.Column("service", sa.String(32), primary_key=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("closed", sa.Boolean, nullable=False),
    # Hardly more than its key: on SQLite one tree holds both.
    sqlite_with_rowid=False,
)


def _pass(*, through_closed: bool) -> ByDialect:
    """Remember generations, unless higher ones were seen; and that instances were closed."""

    def allowed(given: Any) -> sa.ColumnElement[bool]:
        newest = FENCE.c.generation <= given.generation
        return newest if through_closed else sa.and_(newest, sa.not_(FENCE.c.closed))

    return upsert_many(
        FENCE,
        lambda given: {
            "generation": given.generation,
            "closed": sa.or_(FENCE.c.closed, given.closed),
        },
        where=allowed,
    )


_PASS = _pass(through_closed=False)
_PASS_CLOSED = _pass(through_closed=True)
_FORGET = sa.delete(FENCE).where(FENCE.c.instance.in_(sa.bindparam("instances", expanding=True)))


def pass_fence(
    tx: Tx, service: str, verb: Verb, calls: Sequence[StepCall]
) -> dict[str, StaleOwner]:
    """Let `calls` act on their instances, and remember their generations.

    Returns an error, by instance, for each that may not. A closed instance lets only close and
    release through, and an instance that is swept nothing: its fence went with it.
    """
    statement = _PASS_CLOSED if verb in (Verb.CLOSE, Verb.RELEASE) else _PASS
    closes = verb is Verb.CLOSE
    asking = given((call.instance, service, call.generation, closes) for call in calls)
    told = tx.execute(statement, asking)
    # Look after passing: a sweep that was under way has then removed the rows.
    living = _living(tx, [call.instance for call in calls])
    passed = {row.instance for row in told}
    forget(tx, sorted(passed - living))
    refused = {}
    for call in calls:
        if call.instance not in passed:
            refused[call.instance] = StaleOwner(
                f"{service}: {verb} by generation {call.generation} is too late"
            )
        elif call.instance not in living:
            refused[call.instance] = StaleOwner(f"{service}: {call.instance} is gone for good")
    return refused


def _living(tx: Tx, instances: Sequence[str]) -> set[str]:
    """Return those of the instances that are not swept; one that lives is looked for once.

    Where others write too, each service looks for itself: it may have waited for a sweep.
    """
    if not tx.only_writer:
        return rows.existing(tx, instances)
    living: set[str] = tx.written.setdefault(FENCE.name, set())
    living |= rows.existing(tx, [id for id in instances if id not in living])
    return living


def succeed(tx: Tx, instances: Sequence[str], generation: int) -> None:
    """Have every service remember that generation of the instances, closed or not."""
    told = [(id, service, generation, False) for id in instances for service in SERVICES]
    if told:
        tx.execute(_PASS_CLOSED, given(told)).all()


def forget(tx: Tx, instances: Sequence[str]) -> None:
    """Remove the fences of instances whose tombstones are swept."""
    if instances:
        tx.execute(_FORGET, {"instances": list(instances)})
