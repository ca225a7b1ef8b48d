"""The way every service takes a step: past the fence, once, in one transaction for many instances.

A service is a declaration: what each verb changes, which parameters a step is known by, and the
fault point of the service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sametoken import faults
from sametoken.faults import Point
from sametoken.idempotency import Call, Engine, Identities, Scope, Together
from sametoken.resources.kit import regions
from sametoken.services.fence import pass_fence
from sametoken.store.port import Store, Tx
from sametoken.workflow.batches import act_together
from sametoken.workflow.ports import Done, Fate, StepCall, Verb
from sametoken.world import World

# INTERNAL_ACCOUNT is no account number: no access key leads to it, so no caller can guess the way
# into a step (promise P10).
INTERNAL_ACCOUNT = "internal"

# The row changes of a step for several instances, in the service's own transaction. An
# error of one instance is raised and undoes them all; each instance is then tried alone.
Effect = Callable[[Tx, Sequence[StepCall]], None]


@dataclass(frozen=True, slots=True)
class Declaration:
    """A service: its name, and its `effects` by the verb. Each service can be closed as well.

    A step is known by its `parameters`, which are part of what released databases hold. `point` is
    reached after each effect.
    """

    name: str
    effects: Mapping[Verb, Effect]
    parameters: Callable[[Verb, StepCall], Mapping[str, Any]]
    point: Point


@dataclass(frozen=True, slots=True)
class Steps:
    """A declared service over a store. See `workflow.ports.Local`."""

    declared: Declaration
    store: Store
    engine: Engine
    world: World

    def call_many(self, verb: Verb, calls: Sequence[StepCall]) -> list[Fate]:
        # Lock rows in the order of their ids, whoever calls.
        ordered = sorted(calls, key=lambda call: call.instance)

        def take(some: Sequence[StepCall]) -> list[Fate]:
            return self.store.run(lambda tx: self.take_many(tx, verb, some))

        fates = act_together(ordered, take, self.world)
        by_instance = {call.instance: fate for call, fate in zip(ordered, fates, strict=True)}
        return [by_instance[call.instance] for call in calls]

    @property
    def acts_outside(self) -> bool:
        return False

    def finish_many(self, verb: Verb, calls: Sequence[StepCall]) -> list[Fate]:
        return [Done() for _ in calls]

    def take_many(self, tx: Tx, verb: Verb, calls: Sequence[StepCall]) -> list[Fate]:
        """Have the verb's effect happen once for each call's token, unless its caller is stale."""
        if verb in (Verb.HALT, Verb.RELEASE):
            # Lock the Regions first: the effect lists what each instance holds and then changes it,
            # and the owner may be detaching some of it now.
            for account, region in sorted({(call.account, call.region) for call in calls}):
                regions.lock_region(tx, account, region)
        stale = pass_fence(tx, self.declared.name, verb, calls)
        faults.reach(Point.STEP_FENCED)
        if verb is not Verb.CLOSE:
            self._perform(tx, verb, [call for call in calls if call.instance not in stale])
        return [stale.get(call.instance, Done()) for call in calls]

    def _perform(self, tx: Tx, verb: Verb, calls: Sequence[StepCall]) -> None:
        by_token = {call.token: call for call in calls}

        def identities(request: Call) -> Identities:
            return {"instance": by_token[request.client_token or ""].instance}

        def perform(tx: Tx, requests: Sequence[Call]) -> None:
            faults.reach(Point.STEP_CLAIMED)
            fresh = [by_token[request.client_token or ""] for request in requests]
            self.declared.effects[verb](tx, fresh)
            faults.reach(self.declared.point)

        def view(tx: Tx, identities: Identities) -> str:
            instance: str = identities["instance"]
            return instance

        requests = [self._request(verb, call) for call in calls]
        answers = self.engine.execute_many(tx, requests, Together(identities, perform, view))
        for call, answer in zip(calls, answers, strict=True):
            assert answer.get() == call.instance, "a step token answered for another instance"

    def _request(self, verb: Verb, call: StepCall) -> Call:
        return Call(
            Scope(INTERNAL_ACCOUNT, call.region, f"{self.declared.name}.{verb}"),
            call.token,
            self.declared.parameters(verb, call),
            request_id=f"{call.instance}/{call.generation}",
        )
