"""Execution of an admitted request in one transaction: a change, or an action with a token."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from sametoken.ec2.kit.actions import Change, Read, Tokened
from sametoken.ec2.kit.packing import packed, unpacked
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import IdempotentParameterMismatch, ServiceError
from sametoken.idempotency import (
    Answer,
    Attempt,
    Call,
    Engine,
    Identities,
    Made,
    Operation,
    Rules,
    Scope,
)
from sametoken.resources.kit import regions
from sametoken.server.admission import Admitted
from sametoken.server.throttling import Charge
from sametoken.store.port import Tx

# The resources that a change with a charge is for.
_CHANGED = "InstanceIds"


@dataclass(frozen=True, slots=True)
class Executed:
    """The end of a request, for the log and the reply: a `result` or an `error`, never both.

    `claimed`: its transaction has claimed a token. Only the writer's process knows.
    """

    attempt: str
    result: Document | None = None
    error: ServiceError | None = None
    differing: tuple[str, ...] = ()
    claimed: bool = False


def prepare(admitted: Admitted) -> Admitted:
    """Return the request with the work that its action does before the transaction. No I/O."""
    action, request = admitted.action, admitted.request
    assert isinstance(action, Change) and action.prepare is not None, "asked only where needed"
    return replace(admitted, request=replace(request, prepared=action.prepare(request)))


def needs_preparing(admitted: Admitted) -> bool:
    return isinstance(admitted.action, Change) and admitted.action.prepare is not None


def execute(tx: Tx, engine: Engine, admitted: Admitted, charge: Charge | None = None) -> Executed:
    """Perform the request's action inside `tx`. A refusal that is raised leaves nothing behind.

    `charge` takes tokens for its resources, if it makes or changes any: a repeat does not.
    """
    request, action = admitted.request, admitted.action
    if charge is not None:
        charge.begin()
    assert not isinstance(action, Read), "a read has a snapshot of its own"
    regions.lock_region(tx, request.account, request.region)
    match action:
        case Change() if admitted.client_token is None or action.answer_is_secret:
            return Executed("done", _change(tx, request, action, charge))
        case Change():
            return _change_once(tx, engine, admitted, action, charge)
        case Tokened():
            return _create_once(tx, engine, admitted, action, charge)


def _change(tx: Tx, request: Request, action: Change, charge: Charge | None) -> Document:
    answer = action.run(tx, request)
    if charge is not None:
        charge.take(len(request.params[_CHANGED]))
    return answer


def _change_once(
    tx: Tx, engine: Engine, admitted: Admitted, action: Change, charge: Charge | None
) -> Executed:
    """Make a change whose invocation id stands in for a token: a repeat gets the first answer."""
    request = admitted.request

    def perform(tx: Tx) -> Made:
        return Made({"answer": packed(_change(tx, request, action, charge))})

    def view(tx: Tx, identities: Identities) -> Document:
        answer: Document = unpacked(identities["answer"])
        return answer

    scope = Scope(request.account, request.region, request.action)
    rules = keeping_secrets(_PLAIN_RULES, admitted.codec.secrets)
    call = Call(
        scope, admitted.client_token, request.params, rules, request_id=request.request_id,
        origin=request.origin,
    )  # fmt: skip
    answer = engine.execute_once(tx, call, Operation(perform, view))
    return Executed(answer.attempt, answer.value, answer.error, claimed=answer.claimed)


def _create_once(
    tx: Tx, engine: Engine, admitted: Admitted, action: Tokened, charge: Charge | None
) -> Executed:
    request = admitted.request

    def perform(tx: Tx) -> Made:
        made = action.perform(tx, request)
        if charge is not None:
            # Last, when it is known how many were made: to refuse is to undo.
            charge.take(len(made.resources))
        return made

    def view(tx: Tx, identities: Identities) -> Document:
        return action.view(tx, request, identities)

    call = Call(
        Scope(request.account, request.region, request.action),
        admitted.client_token,
        request.params,
        keeping_secrets(action.rules, admitted.codec.secrets),
        action.zone(tx, request),
        request.request_id,
        request.origin,
    )
    return _executed(action, engine.execute_once(tx, call, Operation(perform, view)))


_PLAIN_RULES = (Rules(),)


# As many as there are actions, or nearly.
@lru_cache(maxsize=1_000)
def keeping_secrets(rules: tuple[Rules, ...], secrets: frozenset[str]) -> tuple[Rules, ...]:
    """The rules with the model's sensitive parameters as secrets: no entry has their values."""
    return tuple(replace(one, secrets=one.secrets | secrets) for one in rules) if secrets else rules


def _executed(action: Tokened, answer: Answer[Document]) -> Executed:
    error = answer.error
    if isinstance(error, IdempotentParameterMismatch):
        worded = ServiceError(error.code, action.mismatch.format(token=error.client_token))
        return Executed(Attempt.MISMATCH, error=worded, differing=error.fields)
    return Executed(answer.attempt, answer.value, error, claimed=answer.claimed)


def refusing_terminated(executed: Executed) -> Executed:
    """Turn a replay whose instances are all terminated into an error, if an operator chose that.

    Source: EC2 error codes, IdempotentInstanceTerminated.
    """
    launched = (executed.result or {}).get("Instances", [])
    ended = launched and all(one["State"]["Name"] == "terminated" for one in launched)
    if executed.attempt != Attempt.REPLAY or not ended:
        return executed
    error = ServiceError(
        "IdempotentInstanceTerminated",
        "The client token you have provided is associated with a terminated instance. Please use "
        "a different client token.",
    )
    return Executed(executed.attempt, error=error)
