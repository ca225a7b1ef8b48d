"""Stage: a cluster without random faults, on which a test directs each step itself."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from exercises.compute import IMAGE
from sametoken import faults
from simulation.auditor import Auditor
from simulation.cluster import Cluster, Node
from simulation.database import ACCOUNTS, REGIONS, database
from simulation.hazards import Hazards
from simulation.history import ApiCall, Fate, History, in_form
from simulation.network import Network
from simulation.scheduler import Group, Scheduler
from simulation.swarm import CALM

LAUNCH = ApiCall(
    "RunInstances",
    ACCOUNTS[0],
    REGIONS[0],
    "directed",
    "intent-1",
    parameters=in_form(
        {
            "ImageId": IMAGE,
            "InstanceType": "t3.micro",
            "MinCount": "1",
            "MaxCount": "1",
            "TagSpecification.1.ResourceType": "instance",
            "TagSpecification.1.Tag.1.Key": "intent",
            "TagSpecification.1.Tag.1.Value": "intent-1",
        }
    ),
)
_STEPS_MAX = 5_000


class Stage:
    """Two nodes without faults, an auditor, and calls that a test sends itself."""

    def __init__(self, *, calls: bool) -> None:
        self.database = database()
        self.database.load(scarce=False)
        self.scheduler = Scheduler(random.Random("stage"), lambda group: None)
        swarm = replace(CALM, service_called=float(calls))
        self.hazards = Hazards(random.Random("calm"), self.scheduler, swarm)
        self.cluster = Cluster(
            self.database, self.scheduler, random.Random("world"), self.hazards, nodes=2
        )
        self.history = History()
        self.auditor = Auditor(
            self.database, self.history, lambda: self.scheduler.now_us, refused=self.hazards.refused
        )
        self.network = Network(self.cluster, self.hazards, self.history, self.auditor.answered)
        self.cluster.after_commit = self.auditor.look
        self._callers = Group("callers")
        self._messages = 0

    def send(self, call: ApiCall, *, patient: bool = True) -> list[Fate]:
        """Have a caller send `call`, wait for its answer, and repeat it while there is none."""
        answers: list[Fate] = []
        self._messages += 1
        message = f"call-{self._messages}"

        def run() -> None:
            tries = 0
            while True:
                tries += 1
                fate = self.network.request(f"{message}.{tries}", call)
                if fate is not None and fate.status < 500:
                    answers.append(fate)
                if answers or not patient:
                    return
                self.scheduler.block(1_000_000)

        self.scheduler.spawn(message, run, self._callers)
        return answers

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Step until `until` holds, or until no actor has anything to do."""
        for _ in range(_STEPS_MAX):
            if until() or not self.scheduler.step():
                return
        raise AssertionError("the stage does not come to rest")

    def node(self, group: Group) -> Node:
        return next(node for node in self.cluster.nodes if node.group is group)

    def state(self, instance: str) -> str:
        [(state,)] = self.database.query("SELECT state FROM resource WHERE id = ?", (instance,))
        return str(state)


@contextmanager
def staged(*, calls: bool = False) -> Iterator[Stage]:
    """Make a stage for the block. `calls`: its services are called, as those elsewhere would be."""
    stage = Stage(calls=calls)
    faults.install(stage.hazards.reach)
    try:
        yield stage
    finally:
        faults.install(None)
        stage.scheduler.end()
        for node in stage.cluster.nodes:
            node.session.reopen()
