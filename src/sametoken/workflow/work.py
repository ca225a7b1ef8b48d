"""Work to be done for instances: a row for each, with its plan, its lease and its generation.

The row is written by the request that starts the work (in its own transaction) and by the runner
that drives it. Taking a lease raises the generation. A former owner can then neither record a step
(the row's generation differs) nor make anything (the services refuse its lower generation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from sametoken.resources.kit.rows import Row
from sametoken.store.codec import dumps
from sametoken.store.columns import Moment
from sametoken.store.dialects import IndexWhere, among, given, inserting, of_many, plain
from sametoken.store.port import Tx
from sametoken.workflow.history import What, joined, mark, milliseconds
from sametoken.workflow.plans import PLANS, Plan, Step
from sametoken.workflow.tokens import TokenForm, step_token

metadata = sa.MetaData()

# The channel that wakes runners when there is new work.
CHANNEL = "work"

# Three times the slowest service call that is worth waiting for, so that only a dead or stuck owner
# loses its work. A slow owner is still safe: every call carries its generation.
LEASE = timedelta(seconds=90)

# `epoch` counts the plans of an instance, so that each plan has step tokens of its own. `due_at` is
# NULL while there is no work to do; `lease_until` is NULL while no runner has a lease.
WORK = sa.Table(
    "work",
    metadata,
    sa.Column("instance", sa.String(64), primary_key=True),
    sa.Column("account", sa.String(12), nullable=False),
    sa.Column("region", sa.String(32), nullable=False),
    sa.Column("zone", sa.String(32), nullable=False),
    sa.Column("plan", sa.String(16), nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("due_at", Moment),
    sa.Column("lease_until", Moment),
    sa.Column("deadline_at", Moment),
    sa.Column("spec", sa.JSON, nullable=False),
    sa.Column("failure", sa.JSON(none_as_null=True)),
    # Rows that release 0.1.0 wrote have HASHED tokens until their next plan.
    sa.Column("token_form", sa.String(8), nullable=False, server_default=TokenForm.HASHED.value),
    # OWNER names the node that has the lease, or had it when it ended without a record. HISTORY has
    # marks for people (`workflow.history`); NULL in rows that nobody has written since it is there.
    sa.Column("owner", sa.String(80)),
    sa.Column("history", sa.Text),
    IndexWhere("work_due", "due_at", where="due_at IS NOT NULL"),
    IndexWhere("work_turn", "account", "due_at", where="due_at IS NOT NULL"),
)


@dataclass(frozen=True, slots=True)
class Work:
    """The work of an instance, as its owner holds it.

    `failure` is the (code, message) of the error for which the instance is unwound. `owner` and
    `history` are as in `WORK`. `left_by` is the owner whose lease ran out on it.
    """

    instance: str
    account: str
    region: str
    zone: str
    plan: str
    epoch: int
    step: int
    attempt: int
    generation: int
    due_at: datetime | None
    deadline_at: datetime | None
    spec: Mapping[str, Any]
    failure: tuple[str, str] | None
    token_form: str
    owner: str | None = None
    history: str | None = ""
    left_by: str | None = None

    def token(self, step: Step, service: str) -> str:
        """The token of the instance's step for that service, the same at each try."""
        return step_token(self.token_form, self.instance, self.epoch, step.name, service)

    def next_step(self) -> Step:
        return self.the_plan.steps[self.step]

    @property
    def the_plan(self) -> Plan:
        return PLANS[self.plan]

    @property
    def is_last_step(self) -> bool:
        return self.step + 1 == len(self.the_plan.steps)

    def at(self, step: int) -> Work:
        """Return the work once it has come to that step of its plan, not tried yet."""
        return Work(
            self.instance, self.account, self.region, self.zone, self.plan, self.epoch, step, 0,
            self.generation, self.due_at, self.deadline_at, self.spec, self.failure,
            self.token_form, self.owner, self.history,
        )  # fmt: skip

    def noting(self, *marks: str) -> Work:
        """Return the work with further marks in its history."""
        history = self.history
        if history is None:
            history = mark(What.CUT, 0, self.epoch, self.plan, self.generation, self.owner or "")
        return replace(self, history=joined(history, *marks))

    def under(self, plan: str, failure: tuple[str, str] | None = None) -> Work:
        """Return the work at the beginning of another plan, for `failure` or as it was before."""
        assert PLANS[plan].deadline is None, "what follows a plan has no deadline"
        return replace(
            self, plan=plan, epoch=self.epoch + 1, step=0, attempt=0, deadline_at=None,
            failure=failure or self.failure,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Record:
    """A change of work that `held` describes as its owner knows it.

    `due_at` None: there is nothing left to do.
    """

    held: Work
    changed: Work
    due_at: datetime | None
    keeps_lease: bool = False


_QUEUED = (
    "instance", "account", "region", "zone", "plan", "epoch", "step", "attempt", "generation",
    "due_at", "deadline_at", "spec", "token_form", "history",
)  # fmt: skip
_ENQUEUE = inserting(WORK, *_QUEUED)
_FIND = sa.select(WORK).where(WORK.c.instance == sa.bindparam("w_instance"))
_OF_ACCOUNT = (
    sa.select(WORK).where(WORK.c.account == sa.bindparam("w_account")).order_by(WORK.c.instance)
)
_OF_INSTANCES = sa.select(WORK).where(among(WORK.c.instance, "instances"))
_UNDER_WAY = (
    sa.select(WORK)
    .where(WORK.c.due_at.is_not(None))
    .order_by(WORK.c.due_at)
    .limit(sa.bindparam("limit"))
)
_UNDER_WAY_THERE = _UNDER_WAY.where(WORK.c.account == sa.bindparam("account"))
_SPEC = sa.select(WORK.c.spec).where(WORK.c.instance == sa.bindparam("w_instance"))
_PIN = (
    sa.update(WORK)
    .where(WORK.c.instance == sa.bindparam("w_instance"))
    .values(spec=sa.bindparam("w_spec"))
)
_BREAK_LEASES = (
    sa.update(WORK)
    .where(WORK.c.due_at.is_not(None), WORK.c.lease_until.is_not(None))
    .values(lease_until=None)
)
_ABANDON = (
    sa.update(WORK)
    .where(WORK.c.instance == sa.bindparam("w_instance"))
    .where(WORK.c.generation == sa.bindparam("w_generation"))
    .where(WORK.c.due_at.is_not(None), WORK.c.lease_until.is_not(None))
    .values(due_at=WORK.c.lease_until, lease_until=None)
)
_FORGET = sa.delete(WORK).where(WORK.c.instance.in_(sa.bindparam("instances", expanding=True)))
_RECORDED = {
    "plan": sa.String, "epoch": sa.Integer, "step": sa.Integer, "attempt": sa.Integer,
    "due_at": Moment, "lease_until": Moment, "deadline_at": Moment,
    "failure": sa.JSON(none_as_null=True), "owner": sa.String, "history": sa.Text,
}  # fmt: skip
_OWNED = {"instance": sa.String, "generation": sa.Integer, "was_epoch": sa.Integer}
_RECORD = of_many(
    _OWNED | _RECORDED,
    lambda dialect, one: (
        sa.update(WORK)
        .where(WORK.c.instance == one.instance)
        .where(WORK.c.generation == one.generation)
        .where(WORK.c.epoch == one.was_epoch)
        .values({name: one[name] for name in _RECORDED})
        .returning(WORK.c.instance)
    ),
)
_REDIRECT = (
    sa.update(WORK)
    .where(WORK.c.instance == sa.bindparam("w_instance"))
    .values(
        plan=sa.bindparam("w_plan"),
        epoch=WORK.c.epoch + 1,
        step=0,
        attempt=0,
        due_at=sa.bindparam("w_now"),
        lease_until=None,
        deadline_at=sa.bindparam("w_deadline_at"),
        failure=None,
        token_form=TokenForm.READABLE.value,
        owner=None,
        # NULL stays NULL.
        history=sa.case(
            (WORK.c.history == "", sa.bindparam("w_mark", type_=sa.Text)),
            else_=WORK.c.history + sa.literal(",") + sa.bindparam("w_mark", type_=sa.Text),
        ),
    )
)


def enqueue_launches(tx: Tx, instances: Sequence[tuple[Row, dict[str, Any]]]) -> None:
    """Queue the launch of new instances, each with its pinned spec."""
    plan = PLANS["launch"]
    assert plan.deadline is not None, "a launch ends"
    now_us, deadline_us = plain(tx.now), plain(tx.now + plan.deadline)
    queued = [
        (
            row.id, row.account, row.region, row.zone, plan.name, 0, 0, 0, 0, now_us, deadline_us,
            dumps(spec), TokenForm.READABLE.value, "",
        )
        for row, spec in instances
    ]  # fmt: skip
    tx.write(_ENQUEUE, queued)
    tx.wake(CHANNEL)


def redirect(tx: Tx, instance: str, plan_name: str, **spec: Any) -> None:
    """Abandon the current plan of `instance` and start another from its first step.

    `spec` replaces members of the pinned spec. This breaks the lease: the owner's next record finds
    another epoch, and its calls find a higher generation.
    """
    plan = PLANS[plan_name]
    values: dict[str, Any] = {
        "w_instance": instance,
        "w_plan": plan_name,
        "w_now": tx.now,
        "w_deadline_at": None if plan.deadline is None else tx.now + plan.deadline,
        "w_mark": mark(What.ORDERED, milliseconds(tx.now), plan_name),
    }
    result = tx.execute(_REDIRECT, values)
    assert result.rowcount == 1, f"{instance} has no work row"
    if spec:
        kept = tx.execute(_SPEC, {"w_instance": instance}).scalar_one()
        tx.execute(_PIN, {"w_instance": instance, "w_spec": {**kept, **spec}})
    tx.wake(CHANNEL)


def record(tx: Tx, records: Sequence[Record]) -> set[str]:
    """Write each record whose work is still owned; returns the instances of these.

    The others have another owner or another plan by now.
    """
    if not records:
        return set()
    until = tx.now + LEASE
    rows = [
        (
            one.held.instance, one.held.generation, one.held.epoch, one.changed.plan,
            one.changed.epoch, one.changed.step, one.changed.attempt, one.due_at,
            until if one.keeps_lease else None, one.changed.deadline_at,
            None if one.changed.failure is None else list(one.changed.failure),
            one.held.owner if one.keeps_lease else None, one.changed.history,
        )
        for one in sorted(records, key=lambda one: one.held.instance)
    ]  # fmt: skip
    return {row.instance for row in tx.execute(_RECORD, given(rows))}


def break_leases(tx: Tx) -> None:
    """End every lease at once, so that a restart need not wait for leases to run out.

    Only for a node that knows that it is the store's only one: the former owners are then dead.
    """
    tx.execute(_BREAK_LEASES)


def abandon(tx: Tx, held: Work) -> None:
    """Have work fall due when its lease is over, and no sooner; unless it has another owner.

    For an owner that crashes on purpose: nobody could tell its lease from that of an owner at work,
    and to move the clock on would wait for it.
    """
    tx.execute(_ABANDON, {"w_instance": held.instance, "w_generation": held.generation})


def find(tx: Tx, instance: str) -> Work | None:
    row = tx.execute(_FIND, {"w_instance": instance}).first()
    return None if row is None else read_work(row)


def of_instances(tx: Tx, instances: Sequence[str]) -> dict[str, Work]:
    """Return the work of those of the instances that have any."""
    found = tx.execute(_OF_INSTANCES, {"instances": list(instances)})
    return {row.instance: read_work(row) for row in found}


def under_way(tx: Tx, limit: int, account: str | None) -> list[Work]:
    """Return work that is not done, of an account or of all, at most so much; due first first."""
    values = {"limit": limit, "account": account}
    statement = _UNDER_WAY if account is None else _UNDER_WAY_THERE
    return [read_work(row) for row in tx.execute(statement, values)]


def of_account(tx: Tx, account: str) -> list[Work]:
    """Return the work of all instances of an account, also what is done, until they are swept."""
    return [read_work(row) for row in tx.execute(_OF_ACCOUNT, {"w_account": account})]


def forget(tx: Tx, instances: Sequence[str]) -> None:
    """Remove the work rows of instances whose tombstones are swept."""
    if instances:
        tx.execute(_FORGET, {"instances": list(instances)})


def read_work(row: Any) -> Work:
    """Make a `Work` of a row of `WORK`."""
    (
        instance, account, region, zone, plan, epoch, step, attempt, generation, due_at, _,
        deadline_at, spec, failure, token_form, owner, history,
    ) = row  # fmt: skip
    return Work(
        instance, account, region, zone, plan, epoch, step, attempt, generation, due_at,
        deadline_at, spec, None if failure is None else (failure[0], failure[1]), token_form,
        owner, history,
    )  # fmt: skip
