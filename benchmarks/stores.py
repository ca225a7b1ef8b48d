"""A store in a folder, requests for it, and the way to hand them over: `serve` without HTTP.

Requests are admitted (parsed, authorised) beforehand: only their transaction is measured. With
`launches.py` this is the only module that knows how the program is put together.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from measure import Run, Stopwatch

from sametoken.ec2.catalog import ACTIONS
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol.model import ServiceModel
from sametoken.idempotency import Engine, sql_engine
from sametoken.node import wire_services
from sametoken.operate.opening import open_store
from sametoken.resources.kit import counters
from sametoken.resources.network import default_vpc
from sametoken.server.admission import Admitted
from sametoken.server.execution import Executed, execute
from sametoken.services.simulated_machines import SimulationSettings
from sametoken.settings import RUNNERS, Database, database_of
from sametoken.store.codec import dumps
from sametoken.store.port import Store, Tx
from sametoken.workflow.backlog import Backlog
from sametoken.workflow.ports import Services
from sametoken.workflow.runner import Runner
from sametoken.world import RealWorld, mint_uuid

# ACCOUNT is the account that asks, unless another is named.
ACCOUNT, REGION = "000000000001", "us-east-1"
LAUNCH = {
    "ImageId": "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
    "InstanceType": "t3.micro",
    "MinCount": 1,
    "MaxCount": 1,
}
# PLENTY keeps every measurement below its limits: all runs together launch far fewer.
PLENTY = 10_000_000
INSTANT = SimulationSettings(boot_seconds=0.0, halt_seconds=0.0)
# DRIVERS are as many as a server has.
DRIVERS = RUNNERS

Work = Callable[[Tx], Any]

# As long as that of a node which serves, for the rows that have it.
NODE = "benchmark:4590"
ORIGIN_US = 1_700_000_000_000_000


@dataclass(frozen=True, slots=True)
class Plane:
    """A store with the engine and the services over it; no runner and no server of its own.

    `database` is its file, or its URL on PostgreSQL.
    """

    database: Path | str
    store: Store
    engine: Engine
    services: Services
    model: ServiceModel
    account: str

    def admit(self, action: str, client_token: str | None = None, **params: Any) -> Admitted:
        """Admit a request of the asking account: do all that comes before its transaction."""
        if client_token is not None:
            params["ClientToken"] = client_token
        origin = dumps([NODE, ORIGIN_US, mint_uuid(RealWorld()), 1])
        request = Request(
            self.account, REGION, action, params, mint_uuid(RealWorld()), "benchmark", "full",
            origin=origin,
        )  # fmt: skip
        return Admitted(request, ACTIONS[action], self.model.codec(action))

    def launch(self, client_token: str | None, **params: Any) -> Work:
        """Return a RunInstances of one instance, as a function of its transaction."""
        return self.work("RunInstances", client_token, **{**LAUNCH, **params})

    def work(self, action: str, client_token: str | None = None, **params: Any) -> Work:
        admitted = self.admit(action, client_token, **params)

        def run(tx: Tx) -> Executed:
            return execute(tx, self.engine, admitted)

        return run

    def ask(self, action: str, **params: Any) -> dict[str, Any]:
        """Carry out a request and return its result. Raises when it is refused."""
        done = self.store.run(self.work(action, **params))
        if done.error is not None:
            raise done.error
        assert done.result is not None, f"{action} was answered"
        return dict(done.result)

    def read(self, action: str, **params: Any) -> dict[str, Any]:
        """Carry out a describe and return its result."""
        asked = self.admit(action, **params)
        action_run: Any = asked.action
        return dict(self.store.read(lambda tx: action_run.run(tx, asked.request)))

    def runner(self) -> Runner:
        backlog = Backlog(RealWorld())
        return Runner(self.store, self.services, RealWorld(), backlog, node=NODE)


@contextmanager
def opened(database: Path | str, *, account: str = ACCOUNT) -> Iterator[Plane]:
    """Open the plane of a database file or of a PostgreSQL URL; make its schema when missing.

    The account's VPC is seeded.
    """
    named = database_of(database) if isinstance(database, Path) else Database(database, None, None)
    with open_store(named, RealWorld()) as store:
        engine = sql_engine(b"benchmark")
        lift_limits(store)
        store.run(lambda tx: default_vpc.seed(tx, account, REGION))
        services = wire_services(store, engine, RealWorld(), INSTANT)
        yield Plane(database, store, engine, services, ServiceModel.load("ec2"), account)


def lift_limits(store: Store) -> None:
    """Allow more instances than any measurement makes, and the VPCs that a crowd lives in."""
    for family in ("capacity/*/*", "vcpus/*/*", "vpc/*/*"):
        store.run(partial(counters.set_maximum, name=family, maximum=PLENTY))


def submit_all(store: Store, works: Sequence[Work], *, at_once: int) -> None:
    """Run every one of `works`, that many handed over at a time."""
    for start in range(0, len(works), at_once):
        _check([store.submit(work) for work in works[start : start + at_once]])


@dataclass(frozen=True, slots=True)
class _Batch:
    """Works that shall share a commit: the first says when it runs, the last waits for `is_next`.

    `is_next` is set once the next batch has been handed over: the store finds all of it, or none.
    A store that waits for work begins with the first that it is handed, so only a batch of a single
    work is certain to be whole then.
    """

    works: Sequence[Work]
    runs: threading.Event = field(default_factory=threading.Event)
    is_next: threading.Event = field(default_factory=threading.Event)

    def first(self, tx: Tx) -> Any:
        self.runs.set()
        return self.works[0](tx)

    def last(self, tx: Tx) -> Any:
        done = self.works[-1](tx)
        self.is_next.wait()
        return done

    def alone(self, tx: Tx) -> Any:
        self.runs.set()
        return self.last(tx)

    def submit(self, store: Store) -> list[Future[Any]]:
        if len(self.works) == 1:
            return [store.submit(self.alone)]
        return [store.submit(work) for work in (self.first, *self.works[1:-1], self.last)]


def submit_in_batches(store: Store, works: Sequence[Work], *, batch: int) -> Run:
    """Run every one of `works`, exactly `batch` to a commit where the store groups commits.

    A single thread hands all of them over, as a server's event loop does.
    """
    before = _Batch([_nothing])
    watch = Stopwatch()
    answers = before.submit(store)
    for start in range(0, len(works), batch):
        now = _Batch(works[start : start + batch])
        before.runs.wait()
        handed = now.submit(store)
        before.is_next.set()
        _check(answers)
        before, answers = now, handed
    before.is_next.set()
    _check(answers)
    return watch.stop(len(works))


def _nothing(tx: Tx) -> None:
    """Do nothing in a transaction."""


def _check(futures: Sequence[Future[Any]]) -> None:
    for future in futures:
        outcome = future.result()
        if isinstance(outcome, Executed) and outcome.error is not None:
            raise outcome.error
