"""Launches are driven many at a time, and one that fails harms none of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import pytest

from admitting import admit
from sametoken.errors import ServiceError
from sametoken.idempotency import sql_engine
from sametoken.node import wire_services
from sametoken.resources.kit import rows
from sametoken.resources.network import default_vpc
from sametoken.server.credentials import Principal
from sametoken.server.execution import execute
from sametoken.services.machines import Machines, OneByOne, Wanted
from sametoken.services.simulated_machines import SimulationSettings
from sametoken.services.steps import Steps
from sametoken.store.port import Stale, Store, Tx
from sametoken.workflow import work as works
from sametoken.workflow.backlog import Backlog
from sametoken.workflow.batches import BEGIN_SECONDS_MAX
from sametoken.workflow.plans import MACHINES, NETWORKS, SERVICES, VOLUMES
from sametoken.workflow.ports import Done, Later, Service, StepCall, Verb
from sametoken.workflow.runner import LEASED_MAX, RELEASED_MAX, Runner
from sametoken.workflow.work import LEASE
from store.worlds import SetWorld

T = TypeVar("T")

REGION = "us-east-1"
ACCOUNTS = ("000000000001", "000000000002")
ENGINE = sql_engine(b"driving")
ALIAS = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
# Transactions of a batch that is launched whole: two leases, after each a stretch of steps, the
# driver's machines, and the record of what these answered.
TRANSACTIONS = 8


@dataclass
class Counting:
    """A store that counts the transactions that its users wait for."""

    store: Store
    transactions: int = 0

    def run(self, fn: Callable[[Tx], T]) -> T:
        self.transactions += 1
        return self.store.run(fn)

    def read(self, fn: Callable[[Tx], T]) -> T:
        return self.store.read(fn)

    def read_now(self, fn: Callable[[Tx], T]) -> T:
        return self.store.read_now(fn)

    def submit(self, fn: Callable[[Tx], T], *, lane: str = "", shares: bool = False) -> Future[T]:
        return self.store.submit(fn, lane=lane)

    def seconds(self) -> float:
        return self.store.seconds()

    def check(self) -> None:
        self.store.check()

    def listen(self, channel: str) -> Any:
        return self.store.listen(channel)


@dataclass
class Driving:
    """A store with accounts, and a runner whose parts a test may replace."""

    store: Store
    world: SetWorld
    counting: Counting = field(init=False)
    runner: Runner = field(init=False)

    def __post_init__(self) -> None:
        self.counting = Counting(self.store)
        simulation = SimulationSettings(boot_seconds=0.0, halt_seconds=0.0)
        services = dict(wire_services(self.counting, ENGINE, self.world, simulation))
        self.runner = Runner(self.counting, services, self.world, Backlog(self.world))

    def service(self, name: str, change: Callable[[Any], Service]) -> None:
        services = dict(self.runner.services)
        services[name] = change(services[name])
        self.runner.services = services

    def effect(
        self,
        name: str,
        act: Callable[[Tx, Sequence[StepCall]], None],
        verb: Verb = Verb.ENSURE,
    ) -> None:
        """Have `act` called after the service's effect, in its transaction."""

        def changed(service: Any) -> Service:
            steps: Steps = service
            effect = steps.declared.effects[verb]

            def both(tx: Tx, calls: Sequence[StepCall]) -> None:
                effect(tx, calls)
                act(tx, calls)

            effects = {**steps.declared.effects, verb: both}
            return replace(steps, declared=replace(steps.declared, effects=effects))

        self.service(name, changed)

    def request(self, account: str, **form: str) -> Callable[[Tx], Any]:
        """Admit a request; returns its transaction."""
        principal = Principal("AKIADRIVING", account, "full", "secret")
        admitted = admit({"Version": "2016-11-15", **form}, principal, REGION, "request")
        return lambda tx: execute(tx, ENGINE, admitted).result

    def launch(self, count: int, account: str = ACCOUNTS[0]) -> list[str]:
        """Launch instances, all in one request; returns their ids."""
        result = self.store.run(
            self.request(
                account, Action="RunInstances", ImageId=ALIAS, InstanceType="t3.micro",
                MinCount=str(count), MaxCount=str(count),
            )
        )  # fmt: skip
        return [one["InstanceId"] for one in result["Instances"]]

    def change(self, action: str, *ids: str, account: str = ACCOUNTS[0]) -> Callable[[Tx], Any]:
        """Admit a change of instances; returns its transaction."""
        named = {f"InstanceId.{number}": id for number, id in enumerate(ids, start=1)}
        return self.request(account, Action=action, **named)

    def drive(self) -> None:
        while self.runner.run_once():
            pass

    def state(self, id: str) -> str:
        row = self.store.read(lambda tx: rows.find(tx, id))
        assert row is not None
        return row.state

    def states(self, ids: Sequence[str]) -> set[str]:
        return {self.state(id) for id in ids}


@pytest.fixture
def driving(store: Store, world: SetWorld) -> Iterator[Driving]:
    for account in ACCOUNTS:
        store.run(partial(default_vpc.seed, account=account, region=REGION))
    yield Driving(store, world)


@pytest.mark.parametrize("count", [1, 30])
def test_a_batch_takes_as_many_transactions_as_a_launch_alone(driving: Driving, count: int) -> None:
    ids = [id for account in ACCOUNTS for id in driving.launch(count, account)]
    driving.drive()
    assert driving.states(ids) == {"running"}
    assert driving.counting.transactions <= TRANSACTIONS


@pytest.mark.parametrize("actions", [["StopInstances", "StartInstances"], ["TerminateInstances"]])
def test_other_plans_are_driven_together_too(driving: Driving, actions: Sequence[str]) -> None:
    few, many = driving.launch(1), driving.launch(12)
    driving.drive()
    for action in actions:
        counts = []
        for ids in (few, many):
            driving.counting.transactions = 0
            driving.store.run(driving.change(action, *ids))
            driving.drive()
            counts.append(driving.counting.transactions)
        assert counts[0] == counts[1], f"{action} of one and of twelve"
        ends = {"Stop": "stopped", "Start": "running", "Terminate": "terminated"}
        assert driving.states([*few, *many]) == {ends[action.removesuffix("Instances")]}


def test_few_are_released_in_one_transaction_and_only_of_one_region(driving: Driving) -> None:
    """A release locks its Region, and takes longer for each instance than a create does."""
    ids = {account: driving.launch(RELEASED_MAX + 1, account) for account in ACCOUNTS}
    driving.drive()
    released: list[Sequence[StepCall]] = []
    for account in ACCOUNTS:
        driving.store.run(driving.change("TerminateInstances", *ids[account], account=account))
    driving.effect(NETWORKS, lambda tx, calls: released.append(calls), Verb.RELEASE)
    driving.drive()
    assert all(driving.states(found) == {"terminated"} for found in ids.values())
    assert [len(calls) for calls in released] == [RELEASED_MAX, 1] * len(ACCOUNTS)
    assert all(len({call.account for call in calls}) == 1 for calls in released)


ERRORS = [
    AssertionError("a bug"),
    ServiceError("Client.Refused", "never"),
    Stale("changed by another"),
    ServiceError("Busy", "later", http_status=500),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("name", [one for one in SERVICES if one != MACHINES])
def test_what_one_instance_meets_is_its_own(driving: Driving, name: str, error: Exception) -> None:
    ids = driving.launch(6)
    guilty, others = ids[3], [*ids[:3], *ids[4:]]

    def meet(tx: Tx, calls: Sequence[StepCall]) -> None:
        if any(call.instance == guilty for call in calls):
            raise error

    driving.effect(name, meet)
    if isinstance(error, AssertionError):
        with pytest.raises(AssertionError, match="a bug"):
            driving.drive()
    driving.drive()
    assert driving.states(others) == {"running"}
    refused = isinstance(error, ServiceError) and not error.retryable
    assert driving.state(guilty) == ("terminated" if refused else "pending")


def test_a_bug_is_met_again_only_once_its_lease_has_run_out(
    driving: Driving, world: SetWorld
) -> None:
    [guilty, other] = driving.launch(2)
    # Of the stretch of both, of the stretch alone, of the rest of it, and of its own step.
    bugs = iter([AssertionError(how) for how in ("whole", "alone", "rest", "called")])

    def meet(tx: Tx, calls: Sequence[StepCall]) -> None:
        if any(call.instance == guilty for call in calls):
            for bug in bugs:
                raise bug

    driving.effect(VOLUMES, meet)
    with pytest.raises(AssertionError, match="called"):
        driving.drive()
    driving.drive()
    assert (driving.state(guilty), driving.state(other)) == ("pending", "running")
    world.pass_time(LEASE)
    driving.drive()
    assert driving.state(guilty) == "running"


def test_an_instance_that_got_another_plan_meanwhile_goes_its_own_way(driving: Driving) -> None:
    ids, ending = driving.launch(5), list[Future[Any]]()

    def end(tx: Tx, calls: Sequence[StepCall]) -> None:
        if len(calls) == 5:
            ending.append(driving.store.submit(driving.change("TerminateInstances", ids[2])))

    driving.effect(NETWORKS, end)
    driving.drive()
    assert [one.result() for one in ending], "the request was made while the batch was driven"
    driving.drive()
    assert [driving.state(id) for id in ids] == [
        "running", "running", "terminated", "running", "running",
    ]  # fmt: skip


@dataclass
class Slow:
    """A driver that makes one machine at a time, each in its own good time."""

    world: SetWorld
    seconds: float
    broken: str = ""
    booted: list[str] = field(default_factory=list)

    def ensure(self, machine: Wanted) -> Done | Later:
        self.world.pass_time(timedelta(seconds=self.seconds))
        if machine.instance == self.broken and machine.spec is not None:
            raise ServiceError("Server.InternalError", "it does not boot")
        self.booted.append(machine.instance)
        return Done()


def with_driver(driving: Driving, slow: Slow) -> None:
    def changed(service: Any) -> Service:
        machines: Machines = service
        return replace(machines, driver=OneByOne(slow, driving.world))

    driving.service(MACHINES, changed)


def test_a_driver_of_single_machines_is_asked_for_one_after_another(driving: Driving) -> None:
    ids = driving.launch(4)
    slow = Slow(driving.world, 0.0, broken=ids[1])
    with_driver(driving, slow)
    driving.drive()
    assert [driving.state(id) for id in ids] == ["running", "terminated", "running", "running"]


def test_no_machine_is_begun_late_in_its_lease(driving: Driving) -> None:
    ids = driving.launch(8)
    slow = Slow(driving.world, BEGIN_SECONDS_MAX / 2 + 1)
    with_driver(driving, slow)
    assert driving.runner.run_once()
    assert len(slow.booted) == 2, "the others are put off"
    driving.drive()
    assert driving.states(ids) == {"running"}
    assert len(slow.booted) == len(ids), "no machine was asked for twice"


def test_who_waits_while_others_are_slow_keeps_the_lease(driving: Driving) -> None:
    """Steps take so long that a lease would run out before the last of them."""
    first = driving.launch(2)
    driving.effect(NETWORKS, lambda tx, calls: driving.world.pass_time(LEASE / 2))
    driving.effect(VOLUMES, lambda tx, calls: driving.world.pass_time(LEASE / 2))
    driving.drive()
    assert driving.states(first) == {"running"}
    work = driving.store.read(lambda tx: works.find(tx, first[0]))
    assert work is not None
    assert work.generation == 2, "leased once to launch, and once more when the machine was up"


def test_a_lease_is_bounded(driving: Driving) -> None:
    for account in ACCOUNTS:
        driving.launch(LEASED_MAX, account)
    _, leased = driving.store.run(driving.runner.lease)
    assert len(leased) == LEASED_MAX
