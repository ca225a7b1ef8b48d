"""How every service takes a step: through the fence, then once, in one transaction of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sametoken import faults
from sametoken.faults import Point
from sametoken.idempotency import Call, Engine, Identities, Made, Operation, Scope
from sametoken.resources.account import regions
from sametoken.services.fence import pass_fence
from sametoken.store.port import Store, Tx
from sametoken.workflow.ports import StepCall, Verb

# Not an account number: no access key leads here, so no caller can guess their way into a step
# (promise P10).
INTERNAL_ACCOUNT = "internal"

# What a step does to rows, in the service's own transaction.
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

    Raises `StaleOwner`, what `effect` refuses with, or `Transient`.
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
            # What the instance holds is listed, then changed; its owner may be detaching it now.
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
    """Shut the door behind the instance's last owner. Repeats change nothing."""
    store.run(lambda tx: pass_fence(tx, service, Verb.CLOSE, call))
