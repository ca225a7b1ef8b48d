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
from sametoken.store.dialects import ByDialect, upsert
from sametoken.store.port import Tx
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
    """Remember a generation, unless a higher one was seen; and that the instance was closed."""

    def allowed(given: Any) -> sa.ColumnElement[bool]:
        newest = FENCE.c.generation <= given.generation
        return newest if through_closed else sa.and_(newest, sa.not_(FENCE.c.closed))

    return upsert(
        FENCE,
        lambda given: {
            "generation": given.generation,
            "closed": sa.or_(FENCE.c.closed, given.closed),
        },
        where=allowed,
        returning=[FENCE.c.generation],
    )


_PASS = _pass(through_closed=False)
_PASS_CLOSED = _pass(through_closed=True)
_FORGET = sa.delete(FENCE).where(FENCE.c.instance.in_(sa.bindparam("instances", expanding=True)))


def pass_fence(tx: Tx, service: str, verb: Verb, call: StepCall) -> None:
    """Let `call` act on its instance, or raise `StaleOwner`. Remembers its generation.

    A closed instance lets only close and release through, and an instance that is swept nothing:
    its fence went with it.
    """
    statement = _PASS_CLOSED if verb in (Verb.CLOSE, Verb.RELEASE) else _PASS
    values = {
        "instance": call.instance,
        "service": service,
        "generation": call.generation,
        "closed": verb is Verb.CLOSE,
    }
    if tx.execute(statement, values).first() is None:
        raise StaleOwner(f"{service}: {verb} by generation {call.generation} is too late")
    if not rows.exists(tx, call.instance):
        raise StaleOwner(f"{service}: {call.instance} is gone for good")


def forget(tx: Tx, instances: Sequence[str]) -> None:
    """Remove the fences of instances whose tombstones are swept."""
    if instances:
        tx.execute(_FORGET, {"instances": list(instances)})
