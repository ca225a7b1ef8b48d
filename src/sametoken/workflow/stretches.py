"""Stretches: steps in a row that are taken in one transaction, together with their record.

A service on the workflow's own database takes its step in a transaction of the runner's: past its
fence and once, as it does for a call. Until the commit nothing has happened; after it all steps of
the stretch have, and the record says so. A crash leaves what it leaves between two calls.

A stretch ends with a step of which a half is left to do outside, since nothing calls out while a
transaction is open. A step that gives something back is a stretch of its own: it locks its Region,
and takes longer than others.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sametoken.store.port import Tx
from sametoken.workflow.plans import PLANS, Step
from sametoken.workflow.ports import Done, Local, Services, StaleOwner, StepCall
from sametoken.workflow.records import Recorded, record
from sametoken.workflow.work import Work

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The steps `first` to `last` of a plan. `locals` are the services that take them, by name."""

    plan: str
    first: int
    last: int
    locals: dict[str, Local]

    @property
    def steps(self) -> Sequence[Step]:
        return PLANS[self.plan].steps[self.first : self.last + 1]

    @property
    def left(self) -> list[str]:
        """Services of the last step that have a half left to do once it is committed."""
        names = PLANS[self.plan].steps[self.last].services
        return [name for name in names if self.locals[name].acts_outside]

    def has(self, work: Work) -> bool:
        return work.plan == self.plan and self.first <= work.step <= self.last

    def take(self, tx: Tx, group: Sequence[Work]) -> list[Work | Recorded | None]:
        """Take the steps for each of `group` from its own step on, and record them.

        Returns each one's record, the work itself where there was nothing to record yet, and None
        for work that has another owner. Raises what any of the group meets: nothing of any may stay
        then.
        """
        going: dict[str, Work | None] = {
            work.instance: work for work in sorted(group, key=lambda one: one.instance)
        }
        for number, step in enumerate(self.steps, start=self.first):
            for service in step.services:
                at_step = [work for work in going.values() if work and work.step <= number]
                for stale in self._take(tx, step, service, at_step):
                    going[stale] = None
        left = [work for work in going.values() if work]
        # A last step that is only half taken is not recorded, but those before it are.
        done = self.last - 1 if self.left else self.last
        moved = [work if work.step == done else work.at(done) for work in left if work.step <= done]
        recorded: dict[str, Recorded] = {}
        if moved:
            since = {work.instance: work.step for work in left}
            recorded = {
                one.record.held.instance: one._replace(first=since[one.record.held.instance])
                for one in record(tx, [(work, Done()) for work in moved])
            }
        return [recorded.get(work.instance) or going[work.instance] for work in group]

    def _take(self, tx: Tx, step: Step, service: str, at_step: Sequence[Work]) -> list[str]:
        """Take a step at one of its services; returns the instances that have another owner."""
        if not at_step:
            return []
        calls = [call_of(work, step, service) for work in at_step]
        fates = self.locals[service].take_many(tx, step.verb, calls)
        stale = []
        for call, fate in zip(calls, fates, strict=True):
            if isinstance(fate, StaleOwner):
                log.info("%s: %s", call.instance, fate)
                stale.append(call.instance)
            else:
                assert isinstance(fate, Done), "what can be taken here is taken"
        return stale


def call_of(work: Work, step: Step, service: str) -> StepCall:
    """The call of a service for the next step of `work`."""
    return StepCall(
        work.instance, work.account, work.region, work.zone, work.generation,
        work.token(step, service), work.spec,
    )  # fmt: skip


def stretch_from(work: Work, services: Services) -> Stretch | None:
    """The longest stretch from the next step of `work` on. None if that must be called for."""
    found: dict[str, Local] = {}
    last = None
    for number, step in enumerate(work.the_plan.steps[work.step :], start=work.step):
        if last is not None and step.gives_back:
            break
        here = {name: one for name in step.services if isinstance(one := services[name], Local)}
        if len(here) < len(step.services):
            break
        found |= here
        last = number
        if step.gives_back or any(one.acts_outside for one in here.values()):
            break
    return None if last is None else Stretch(work.plan, work.step, last, found)
