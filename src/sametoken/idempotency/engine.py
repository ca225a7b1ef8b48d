"""Execute a create once: claim, perform, view and record, in the caller's own transaction.

The claim is a row and the lock is the transaction. Claiming the token, changing resources and
queueing work are one commit, so there is no "in progress" state to time out, no lock to steal and
nothing to clean up after a crash: either all of it committed, or none of it happened.

Source: Featonby, "Making retries safe with idempotent APIs" (Amazon Builders' Library).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar, cast

from sametoken import faults
from sametoken.errors import IdempotentParameterMismatch, InvalidClientToken, ServiceError
from sametoken.faults import Point
from sametoken.idempotency.entries import Known, Ledger
from sametoken.idempotency.ledger import (
    RETENTION,
    Attempt,
    Call,
    Entry,
    Identities,
    Outcome,
    OutcomeState,
    Perform,
    Replay,
    Scope,
    decide,
)
from sametoken.store.codec import Encoded
from sametoken.store.port import Tx

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Made:
    """The result of `Operation.perform`.

    The answer is rendered from `identities`, now and at each replay. `resources` are the ids that
    keep the entry alive: its retention starts when the last of them has ended.
    """

    identities: Identities
    resources: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Operation(Generic[R]):
    """A create in two parts, so that every repeat is answered like the first call (promise P3).

    `perform` changes rows and queues work; it raises `ServiceError` to refuse. `view` renders the
    answer from the identities alone, for the first answer and for each replay.
    """

    perform: Callable[[Tx], Made]
    view: Callable[[Tx, Identities], R]


@dataclass(frozen=True, slots=True)
class Together(Generic[R]):
    """Creates whose identities are known beforehand, so that many are executed at once.

    `identities` returns those of a call, before anything is made. `perform` makes the effects of
    all the calls that it is given, none of which was performed before; no entry outlives any of
    them. It raises to refuse them all. `view` renders an answer from its identities.
    """

    identities: Callable[[Call], Identities]
    perform: Callable[[Tx, Sequence[Call]], None]
    view: Callable[[Tx, Identities], R]

    def alone(self, call: Call) -> Operation[R]:
        """Return the operation of one call."""

        def perform(tx: Tx) -> Made:
            self.perform(tx, [call])
            return Made(self.identities(call))

        return Operation(perform, self.view)


@dataclass(frozen=True, slots=True)
class Answer(Generic[R]):
    """The answer for the caller, to be given once the transaction has committed.

    A refusal that must itself be committed (a mismatch is noted, a capacity failure binds the
    token) is carried here as `error`; `get()` raises it. Never call `get()` inside the
    transaction: raising there would undo the rows that the refusal must leave behind.

    `claimed`: this call has claimed its token, so that there is one entry more.
    """

    attempt: Attempt
    value: R | None = None
    error: ServiceError | None = None
    claimed: bool = field(default=False, compare=False)

    def get(self) -> R:
        if self.error is not None:
            raise self.error
        return cast(R, self.value)


@dataclass(frozen=True, slots=True)
class Engine:
    """Executes creates once, using a ledger. `key` keys the digests of callers' parameters."""

    ledger: Ledger
    key: bytes = b""

    def execute_once(self, tx: Tx, call: Call, operation: Operation[R]) -> Answer[R]:
        """Perform `operation`, unless its token has done so before: then replay that answer.

        A call without a token always performs. An empty token raises `InvalidClientToken`, because
        unrelated callers would share it. Refusals of `operation.perform` are raised, and leave no
        entry once the caller rolls back; a refusal that `binds_token` is returned instead.
        """
        if call.client_token is None:
            made = operation.perform(tx)
            return Answer(Attempt.NEW, operation.view(tx, made.identities))
        if not call.client_token:
            raise InvalidClientToken("The client token is empty. Send one of your own, or none.")
        entry = self.ledger.claim(tx, call.scope, call.client_token)
        faults.reach(Point.ENGINE_CLAIMED)
        return self._answer(tx, call, entry, operation)

    def _answer(self, tx: Tx, call: Call, entry: Entry, operation: Operation[R]) -> Answer[R]:
        """Answer a call whose entry is claimed, or locked."""
        try:
            decision = decide(call, entry, self.key)
        except IdempotentParameterMismatch as mismatch:
            self.ledger.note(tx, entry, call.request_id, Attempt.MISMATCH, mismatch.fields)
            return Answer(Attempt.MISMATCH, error=mismatch)
        match decision:
            case Replay(identities):
                self.ledger.note(tx, entry, call.request_id, Attempt.REPLAY)
                return Answer(Attempt.REPLAY, operation.view(tx, identities))
            case Perform(zone):
                return self._perform(tx, call, entry, zone, operation)

    def execute_many(
        self, tx: Tx, calls: Sequence[Call], operation: Together[R]
    ) -> list[Answer[R]]:
        """Execute each call once, as `execute_once` does; returns their answers in order.

        All new tokens are claimed and settled by one statement, and performed together. Entries of
        tokens that are taken are locked by another, and their calls answered one by one. Each call
        needs a token (an empty one is refused with `InvalidClientToken`), and no two of them the
        same in one scope.

        A refusal of `operation.perform` is raised, even one that `binds_token`: nothing of any call
        may stay. The caller undoes this to a savepoint, or rolls back, and then executes each call
        alone.
        """
        if any(call.client_token == "" for call in calls):
            raise InvalidClientToken("A client token is empty. Send one of your own.")
        keys = [(call.scope, call.client_token) for call in calls]
        assert None not in (token for _, token in keys), "each call has a token"
        assert len(set(keys)) == len(keys), "no two calls have the same token"
        known = [
            Known(call, call.fingerprint(self.key), Encoded(operation.identities(call)))
            for call in calls
        ]
        claimed = self.ledger.claim_settled(tx, known) if known else set()
        faults.reach(Point.ENGINE_CLAIMED)
        new = [one for one, key in zip(known, keys, strict=True) if key in claimed]
        if new:
            operation.perform(tx, [one.call for one in new])
        faults.reach(Point.ENGINE_PERFORMED)
        answers = {
            (one.call.scope, one.call.client_token): Answer(
                Attempt.NEW, operation.view(tx, one.identities), claimed=True
            )
            for one in new
        }
        faults.reach(Point.ENGINE_VIEWED)
        taken = [
            (call.scope, call.client_token or "", call)
            for call in calls
            if (call.scope, call.client_token) not in answers
        ]
        if taken:
            answers |= self._answer_taken(tx, taken, operation)
        faults.reach(Point.ENGINE_RECORDED)
        return [answers[key] for key in keys]

    def _answer_taken(
        self, tx: Tx, taken: Sequence[tuple[Scope, str, Call]], operation: Together[R]
    ) -> dict[tuple[Scope, str | None], Answer[R]]:
        """Answer calls whose tokens were taken before.

        Goes in the order of the tokens, as they are claimed and locked: two batches with the same
        tokens then wait for each other, and never both.
        """
        entries = self.ledger.lock_many(tx, [(scope, token) for scope, token, _ in taken])
        answers: dict[tuple[Scope, str | None], Answer[R]] = {}
        replays: list[tuple[Entry, str]] = []
        for scope, token, call in sorted(taken, key=lambda one: one[1]):
            entry = entries.get((scope, token))
            if entry is None:
                # A sweep was quicker: the token is free again.
                answers[scope, token] = self.execute_once(tx, call, operation.alone(call))
                continue
            identities = _replayed(call, entry, self.key)
            if identities is None:
                answers[scope, token] = self._answer(tx, call, entry, operation.alone(call))
                continue
            replays.append((entry, call.request_id))
            answers[scope, token] = Answer(Attempt.REPLAY, operation.view(tx, identities))
        self.ledger.note_replays(tx, replays)
        return answers

    def _perform(
        self, tx: Tx, call: Call, entry: Entry, zone: str, operation: Operation[R]
    ) -> Answer[R]:
        kept = call.fingerprint(self.key)
        try:
            with tx.savepoint():
                made = operation.perform(tx)
        except ServiceError as refusal:
            if not refusal.binds_token:
                raise
            failure = Outcome(zone, OutcomeState.FAILED, kept, None, call.request_id, call.origin)
            self.ledger.fail(tx, entry, failure)
            self._note_retry(tx, call, entry, Attempt.FAILED)
            return Answer(Attempt.FAILED, error=refusal, claimed=entry.fresh)
        faults.reach(Point.ENGINE_PERFORMED)
        # Round-trip through JSON, so that the first view sees exactly what a replay will read:
        # tuples become lists, for example.
        identities = Encoded(made.identities)
        value = operation.view(tx, identities)
        faults.reach(Point.ENGINE_VIEWED)
        outcome = Outcome(
            zone, OutcomeState.SETTLED, kept, identities, call.request_id, call.origin
        )
        self.ledger.settle(tx, entry, outcome, made.resources)
        self._note_retry(tx, call, entry, Attempt.NEW)
        faults.reach(Point.ENGINE_RECORDED)
        return Answer(Attempt.NEW, value, claimed=entry.fresh)

    def _note_retry(self, tx: Tx, call: Call, entry: Entry, attempt: Attempt) -> None:
        """Note an attempt after the first; the outcome itself records the first."""
        if not entry.fresh:
            self.ledger.note(tx, entry, call.request_id, attempt)


def _replayed(call: Call, entry: Entry, key: bytes) -> Identities | None:
    """Return the identities to answer a repeat from; None if the call is none."""
    try:
        decision = decide(call, entry, key)
    except IdempotentParameterMismatch:
        return None
    return decision.identities if isinstance(decision, Replay) else None


def sql_engine(
    key: bytes = b"", *, records_attempts: bool = False, retention: timedelta = RETENTION
) -> Engine:
    """Make an engine on the tables of `idempotency.tables`. The caller owns the transaction.

    `records_attempts` and `retention` are those of the `Ledger`.
    """
    return Engine(Ledger(records_attempts=records_attempts, retention=retention), key)
