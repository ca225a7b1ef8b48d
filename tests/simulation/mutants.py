"""Bugs on purpose: each makes one promise false, and the auditor must find it.

A tester that finds nothing proves nothing until it is shown to find what is there. Each mutant is
a plausible edit of the program, made by replacing one of its functions for the time of a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

from sametoken.ec2.compute import capacity_moves
from sametoken.ec2.kit.request import Request
from sametoken.errors import ServiceError
from sametoken.idempotency import derive_token, engine, ledger, tables
from sametoken.idempotency.ledger import Call, Entry, Outcome, OutcomeState, Scope
from sametoken.idempotency.tables import SqlLedger
from sametoken.resources.compute import instances
from sametoken.resources.kit import counters, quotas, rows
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import elastic_addresses, interfaces
from sametoken.server import execution
from sametoken.services import simulated_machines, steps
from sametoken.services.fence import pass_fence
from sametoken.store import clock, group_commit
from sametoken.store.port import Tx
from sametoken.workflow import runner, work
from sametoken.workflow.ports import StepCall, Verb

Mutant = Callable[[], Iterator[None]]


def _claim_in_its_own_transaction() -> Iterator[None]:
    """A crash between the two leaves a token claimed, and nothing made for it."""
    claim = SqlLedger.claim

    def mutated(self: SqlLedger, tx: Tx, scope: Scope, client_token: str) -> Entry:
        entry = claim(self, tx, scope, client_token)
        for command in ("RELEASE member", "COMMIT", "BEGIN IMMEDIATE", "SAVEPOINT member"):
            tx.connection.connection.cursor().execute(command)
        return entry

    with patch.object(SqlLedger, "claim", mutated):
        yield


def _parameters_not_compared() -> Iterator[None]:
    with patch.object(ledger, "_differences", lambda call, outcome, key: ()):
        yield


def _failure_binds_nothing() -> Iterator[None]:
    """A capacity failure that leaves no entry frees the token for another intent."""

    def mutated(self: SqlLedger, tx: Tx, entry: Entry, outcome: Outcome) -> None:
        if entry.fresh:
            tx.execute(sa.delete(tables.ENTRY).where(tables.ENTRY.c.id == entry.id))

    with patch.object(SqlLedger, "fail", mutated):
        yield


def _failure_binds_no_parameters() -> Iterator[None]:
    decide = ledger.decide

    def mutated(call: Call, entry: Entry, key: bytes) -> Any:
        settled = tuple(one for one in entry.outcomes if one.state is OutcomeState.SETTLED)
        return decide(call, replace(entry, outcomes=settled), key)

    with patch.object(engine, "decide", mutated):
        yield


def _step_token_from_the_attempt() -> Iterator[None]:
    """Each try of a step is then a step of its own, performed again."""
    derive, tries = derive_token, iter(range(1_000_000))

    def mutated(*parts: str) -> str:
        return derive(*parts, str(next(tries)))

    with patch.object(runner, "derive_token", mutated):
        yield


def _retention_from_the_request() -> Iterator[None]:
    settle = SqlLedger.settle

    def mutated(
        self: SqlLedger, tx: Tx, entry: Entry, outcome: Outcome, resources: Sequence[str]
    ) -> None:
        settle(self, tx, entry, outcome, resources)
        expiry = {"entry": entry.id, "expiry": tx.now + timedelta(hours=24)}
        tx.execute(tables._SET_EXPIRY, expiry)

    with patch.object(SqlLedger, "settle", mutated):
        yield


def _record_without_the_fence() -> Iterator[None]:
    """A former owner overwrites what its successor has written down."""
    unfenced = (
        sa.update(work.WORK)
        .where(work.WORK.c.instance == sa.bindparam("w_instance"))
        .where(sa.bindparam("w_generation", type_=sa.Integer) >= 0)
        .where(sa.bindparam("w_was_epoch", type_=sa.Integer) >= 0)
        .values({name: sa.bindparam(f"w_{name}") for name in work._RECORDED})
    )
    with patch.object(work, "_RECORD", unfenced):
        yield


def _services_without_the_fence() -> Iterator[None]:
    def mutated(tx: Tx, service: str, verb: Verb, call: StepCall) -> None:
        return None

    with patch.object(steps, "pass_fence", mutated):
        yield


def _unwinding_leaves_the_door_open() -> Iterator[None]:
    """What closes and releases is not remembered: a paused owner resumes, and creates."""

    def mutated(tx: Tx, service: str, verb: Verb, call: StepCall) -> None:
        if verb not in (Verb.CLOSE, Verb.RELEASE):
            pass_fence(tx, service, verb, call)

    with patch.object(steps, "pass_fence", mutated):
        yield


def _lease_without_a_generation() -> Iterator[None]:
    take = (
        sa.update(work.WORK)
        .where(work.WORK.c.instance == sa.bindparam("w_instance"))
        .values(lease_until=sa.bindparam("w_until"))
    )
    with patch.object(work, "_TAKE", take):
        yield


def _driver_forgets_generations() -> Iterator[None]:
    ensure = simulated_machines.SimulatedMachines._ensure

    def mutated(self: Any, tx: Tx, instance: str, generation: int, spec: Any) -> Any:
        machine = simulated_machines._lock(tx, instance)
        seen = generation if machine is None else max(generation, machine.generation)
        return ensure(self, tx, instance, seen, spec)

    with patch.object(simulated_machines.SimulatedMachines, "_ensure", mutated):
        yield


def _plan_change_keeps_its_epoch() -> Iterator[None]:
    """The second stop of an instance then repeats the first one's steps, and does nothing."""
    values: Mapping[Any, Any] = work._REDIRECT._values or {}
    changes = {name: value for name, value in values.items() if name != "epoch"}
    same = sa.update(work.WORK).where(work.WORK.c.instance == sa.bindparam("w_instance"))
    with patch.object(work, "_REDIRECT", same.values(changes)):
        yield


def _result_released_before_the_commit() -> Iterator[None]:
    member = group_commit._run_member

    def mutated(session: Any, job: Any, channels: set[str]) -> Any:
        fate = member(session, job, channels)
        if fate.error is None:
            job.future.set_result(fate.value)
            # What the batch goes on to say about it, nobody hears.
            job.future = type(job.future)()
        return fate

    with patch.object(group_commit, "_run_member", mutated):
        yield


def _lost_transaction_not_noticed() -> Iterator[None]:
    """The members before the failing one are acknowledged although they were rolled back."""
    undo = group_commit._undo_member

    def mutated(session: Any, error: Exception) -> None:
        if session.in_transaction():
            undo(session, error)
        else:
            session.command("BEGIN IMMEDIATE")

    with patch.object(group_commit, "_undo_member", mutated):
        yield


def _failed_commit_acknowledged() -> Iterator[None]:
    from simulation.database import Session

    original = Session.command

    def mutated(self: Session, sql: str) -> None:
        try:
            original(self, sql)
        except group_commit.DatabaseErrors:
            if sql != "COMMIT":
                raise
            self.reopen()

    with patch.object(Session, "command", mutated):
        yield


def _held_is_credited_twice() -> Iterator[None]:
    let_go = instances.let_go

    def mutated(tx: Tx, row: Row) -> Row:
        held = row.private["held"]
        if held is not None:
            counters.credit(tx, held["vcpus"], 1)
        return let_go(tx, row)

    with patch.object(instances, "let_go", mutated):
        yield


def _held_is_never_credited() -> Iterator[None]:
    with patch.object(counters, "credit", lambda tx, name, amount: None):
        yield


def _capacity_oversold() -> Iterator[None]:
    with (
        patch.object(counters, "free", lambda tx, names: dict.fromkeys(names, 1000)),
        patch.object(counters, "_maxima", lambda tx, names: dict.fromkeys(names, 1000)),
    ):
        yield


def _sweep_takes_what_is_named() -> Iterator[None]:
    """Tombstones go by their own age, although an entry still answers from them."""

    def mutated(tx: Tx, limit: int) -> list[str]:
        old = rows.RESOURCE.c.gone_at <= tx.now - timedelta(hours=24)
        ids = [row.id for row in tx.execute(sa.select(rows.RESOURCE.c.id).where(old))]
        tx.execute(sa.delete(rows.RESOURCE).where(rows.RESOURCE.c.id.in_(ids)))
        return ids

    with patch.object(rows, "sweep", mutated):
        yield


def _token_case_ignored() -> Iterator[None]:
    claim = SqlLedger.claim

    def mutated(self: SqlLedger, tx: Tx, scope: Scope, client_token: str) -> Entry:
        entry = claim(self, tx, scope, client_token.lower())
        return replace(entry, client_token=client_token)

    with patch.object(SqlLedger, "claim", mutated):
        yield


def _call_mutant(change: Callable[[Call], Call]) -> Iterator[None]:
    def mutated(*parts: Any) -> Call:
        return change(Call(*parts))

    with patch.object(execution, "Call", mutated):
        yield


def _zone_ignored() -> Iterator[None]:
    yield from _call_mutant(lambda call: replace(call, zone=""))


def _account_ignored() -> Iterator[None]:
    yield from _call_mutant(lambda call: replace(call, scope=replace(call.scope, account="all")))


def _refusal_keeps_the_claim() -> Iterator[None]:
    """A refused request that binds its token all the same."""
    perform = engine.Engine._perform

    def mutated(self: Any, tx: Tx, call: Call, entry: Entry, zone: str, operation: Any) -> Any:
        def binding(tx: Tx) -> Any:
            try:
                return operation.perform(tx)
            except ServiceError as refusal:
                refusal.binds_token = True
                raise

        return perform(self, tx, call, entry, zone, replace(operation, perform=binding))

    with patch.object(engine.Engine, "_perform", mutated):
        yield


def _clock_of_each_node() -> Iterator[None]:
    """P7: a node whose clock is behind counts a retention from before it began."""
    clocks = clock.CLOCK.c
    own = sa.update(clock.CLOCK).values(high_us=clocks.offset_us + sa.bindparam("wall"))
    with patch.object(clock, "_TICK", own.returning(clocks.high_us)):
        yield


def _address_moves_without_leaving() -> Iterator[None]:
    """P8: an Elastic address is then before two private ones."""
    with patch.object(elastic_addresses, "disassociate", lambda tx, row, *, cause: row):
        yield


def _capacity_split_off_is_not_taken() -> Iterator[None]:
    """P2: reservations then hold more than was ever taken of the capacity."""

    def mutated(tx: Tx, request: Request, source: Row) -> int:
        count: int = request.params["InstanceCount"]
        return count

    with patch.object(capacity_moves, "_take", mutated):
        yield


def _quotas_not_checked() -> Iterator[None]:
    """P2: more of a kind than the account may have."""
    with patch.object(quotas, "refuse_beyond", lambda tx, what, account, region, count: None):
        yield


def _gateway_leaves_its_interface() -> Iterator[None]:
    """P8: the interface of a NAT gateway that is deleted stays, with its address."""
    with patch.object(interfaces, "delete", lambda tx, row, *, cause: row):
        yield


_ALL: tuple[Mutant, ...] = (
    _claim_in_its_own_transaction,
    _parameters_not_compared,
    _failure_binds_nothing,
    _failure_binds_no_parameters,
    _step_token_from_the_attempt,
    _retention_from_the_request,
    _record_without_the_fence,
    _services_without_the_fence,
    _unwinding_leaves_the_door_open,
    _lease_without_a_generation,
    _driver_forgets_generations,
    _plan_change_keeps_its_epoch,
    _result_released_before_the_commit,
    _lost_transaction_not_noticed,
    _failed_commit_acknowledged,
    _held_is_credited_twice,
    _held_is_never_credited,
    _capacity_oversold,
    _sweep_takes_what_is_named,
    _token_case_ignored,
    _zone_ignored,
    _account_ignored,
    _refusal_keeps_the_claim,
    _clock_of_each_node,
    _address_moves_without_leaving,
    _capacity_split_off_is_not_taken,
    _quotas_not_checked,
    _gateway_leaves_its_interface,
)
_LAUNCHES = {"palette": ("RunInstances",)}
_UP = {"crash": 0.0, "crash_node": 0.0}
# The faults that a mutant needs to show, and what is made, where drawn odds would take long
# to bring them together.
ODDS: Mapping[Mutant, dict[str, Any]] = {
    _failure_binds_no_parameters: {**_LAUNCHES, "limits": 0.6},
    _record_without_the_fence: {**_LAUNCHES, "owner_paused": 0.4, "stall": 0.06},
    _services_without_the_fence: {**_LAUNCHES, "owner_paused": 0.5},
    _unwinding_leaves_the_door_open: {**_LAUNCHES, "owner_paused": 0.5},
    _lease_without_a_generation: {**_LAUNCHES, "owner_paused": 0.12, "stall": 0.06},
    _driver_forgets_generations: {
        **_LAUNCHES, **_UP, "owner_paused": 0.9, "boot_fails": 0.5, "service_hangs": 0.0,
        "service_fails": 0.0, "commit_fails": 0.0, "drop_reply": 0.0,
    },
    _plan_change_keeps_its_epoch: {
        **_LAUNCHES, **_UP, "freeze_node": 0.0, "owner_paused": 0.0, "stall": 0.0, "limits": 0.0,
        "boot_fails": 0.0, "service_refuses": 0.0, "service_fails": 0.0, "service_hangs": 0.0,
    },
    _lost_transaction_not_noticed: {"transaction_lost": 0.2, "gather": 1.0},
    _sweep_takes_what_is_named: {
        **_LAUNCHES, "crash_node": 0.0, "freeze_node": 0.0, "long_break": 1.0, "sweep": 1.0,
    },
    _refusal_keeps_the_claim: {"limits": 0.6},
    _clock_of_each_node: {"clock_skewed": 1.0},
    _address_moves_without_leaving: {"palette": ("CreateNetworkInterface", "AllocateAddress")},
    _quotas_not_checked: {"limits": 0.6},
}  # fmt: skip
# By name, in words ("claim in its own transaction"): what plants it, and the odds to look under.
MUTANTS: Mapping[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    mutant.__name__.strip("_").replace("_", " "): (contextmanager(mutant), ODDS.get(mutant, {}))
    for mutant in _ALL
}
