"""The way every service takes a step: past the fence, once, in a transaction of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sametoken import faults
from sametoken.faults import Point
from sametoken.idempotency import Call, Engine, Identities, Made, Operation, Scope
from sametoken.resources.kit import regions
from sametoken.services.fence import pass_fence
from sametoken.store.port import Store, Tx
from sametoken.workflow.ports import StepCall, Verb

# INTERNAL_ACCOUNT is no account number: no access key leads to it, so no caller can guess the way
# into a step (promise P10).
INTERNAL_ACCOUNT = "internal"

# The row changes of a step, made in the service's own transaction.
Effect = Callable[[Tx], None]


def take_step(
    store: Store,
    engine: Engine,
    service: str,
    verb: Verb,
    call: StepCall,
    *,
    parameters: Mapping[str, Any],
    effect: Effect,
    point: Point,
) -> None:
    """Have `effect` happen once for the call's token, unless the caller is a former owner.

    Raises `StaleOwner`, `Transient`, or the refusals of `effect`.
    """

    def perform(tx: Tx) -> Made:
        effect(tx)
        faults.reach(point)
        return Made({"instance": call.instance})

    def view(tx: Tx, identities: Identities) -> str:
        instance: str = identities["instance"]
        return instance

    def in_one_transaction(tx: Tx) -> None:
        if verb in (Verb.HALT, Verb.RELEASE):
            # Lock the Region first: the effect lists what the instance holds and then changes it,
            # and the owner may be detaching some of it now.
            regions.lock_region(tx, call.account, call.region)
        pass_fence(tx, service, verb, call)
        scope = Scope(INTERNAL_ACCOUNT, call.region, f"{service}.{verb}")
        request = Call(
            scope, call.token, parameters, request_id=f"{call.instance}/{call.generation}"
        )
        done = engine.execute_once(tx, request, Operation(perform, view)).get()
        assert done == call.instance, "a step token answered for another instance"

    store.run(in_one_transaction)


def close_instance(store: Store, service: str, call: StepCall) -> None:
    """Close the service to the instance's earlier owners. Repeats change nothing."""
    store.run(lambda tx: pass_fence(tx, service, Verb.CLOSE, call))
