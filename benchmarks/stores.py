"""A store in a folder, requests for it, and threads that submit them: `serve` without HTTP.

Requests are admitted (parsed, authorised) beforehand: only their transaction is measured.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
from sametoken.settings import Database, database_of
from sametoken.store.port import Store, Tx
from sametoken.workflow.ports import Services
from sametoken.workflow.runner import Runner
from sametoken.world import RealWorld, mint_uuid

# ACCOUNT is the measured account; seeding puts it among others.
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

Work = Callable[[Tx], Any]


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

    def admit(self, action: str, client_token: str | None = None, **params: Any) -> Admitted:
        """Admit a request of the measured account: do all that comes before its transaction."""
        if client_token is not None:
            params["ClientToken"] = client_token
        request = Request(
            ACCOUNT, REGION, action, params, mint_uuid(RealWorld()), "benchmark", "full"
        )
        return Admitted(request, ACTIONS[action], self.model.codec(action))

    def launch(self, client_token: str | None) -> Work:
        """Return a RunInstances of one instance, as a function of its transaction."""
        admitted = self.admit("RunInstances", client_token, **LAUNCH)

        def run(tx: Tx) -> Executed:
            return execute(tx, self.engine, admitted)

        return run

    def runner(self) -> Runner:
        return Runner(self.store, self.services, RealWorld())


@contextmanager
def opened(database: Path | str) -> Iterator[Plane]:
    """Open the plane of a database file or of a PostgreSQL URL; make its schema when missing.

    The measured account's VPC is seeded.
    """
    named = database_of(database) if isinstance(database, Path) else Database(database, None, None)
    with open_store(named, RealWorld()) as store:
        engine = sql_engine(b"benchmark", records_attempts=True)
        store.run(lambda tx: default_vpc.seed(tx, ACCOUNT, REGION))
        for family in ("capacity/*/*", "vcpus/*/*"):
            store.run(partial(counters.set_maximum, name=family, maximum=PLENTY))
        services = wire_services(store, engine, INSTANT)
        yield Plane(database, store, engine, services, ServiceModel.load("ec2"))


def submit_all(store: Store, works: Sequence[Work], *, threads: int) -> Run:
    """Run every one of `works`, by that many threads that each wait for their answer."""
    remaining = iter(works)
    failures: list[BaseException] = []

    def submit() -> None:
        try:
            # `next` of a list's iterator is atomic, so the threads can share it.
            for work in remaining:
                outcome = store.run(work)
                if isinstance(outcome, Executed) and outcome.error is not None:
                    raise outcome.error
        except BaseException as error:
            failures.append(error)
            raise

    workers = [threading.Thread(target=submit) for _ in range(threads)]
    watch = Stopwatch()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
    return watch.stop(len(works))
