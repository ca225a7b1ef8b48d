"""The simulated driver: machines that take time to boot, and may fail, and run nothing.

Durable, as a real hypervisor is: what it started is still started after a crash of the plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from sametoken.errors import ServiceError
from sametoken.services.machines import MachineSpec
from sametoken.store.columns import Moment
from sametoken.store.port import Store, Tx
from sametoken.workflow.ports import Done, Later, Progress, StaleOwner

metadata = sa.MetaData()

# `state` is starting, running, off or absent; an absent row remembers the generation.
MACHINE = sa.Table(
    "simulated_machine",
    metadata,
    sa.Column("instance", sa.String(64), primary_key=True),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("ready_at", Moment),
    sa.Column("boots", sa.Integer, nullable=False),
)

_THE_MACHINE = MACHINE.c.instance == sa.bindparam("m_instance")
_LOCK = sa.select(MACHINE).where(_THE_MACHINE).with_for_update()
_CHANGE = sa.update(MACHINE).where(_THE_MACHINE)
_INSERT = sa.insert(MACHINE)
_FORGET = sa.delete(MACHINE).where(
    MACHINE.c.instance.in_(sa.bindparam("instances", expanding=True))
)
_BOOTS = sa.select(MACHINE.c.boots).where(_THE_MACHINE)

STARTING, RUNNING, OFF, ABSENT = "starting", "running", "off", "absent"


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """How the simulated world behaves. Seconds; odds in [0, 1]."""

    # Long enough that people see `pending`, short enough that nobody waits for it.
    boot_seconds: float = 1.5
    halt_seconds: float = 0.5
    boot_failure_odds: float = 0.0


@dataclass(frozen=True, slots=True)
class SimulatedMachines:
    """See `services.machines.MachineDriver`."""

    store: Store
    settings: SimulationSettings = SimulationSettings()

    def ensure(self, instance: str, generation: int, spec: MachineSpec | None) -> Progress:
        return self.store.run(lambda tx: self._ensure(tx, instance, generation, spec))

    def _ensure(self, tx: Tx, instance: str, generation: int, spec: MachineSpec | None) -> Progress:
        machine = _lock(tx, instance)
        if machine is not None:
            refuse_former(instance, generation, machine.generation)
        state = ABSENT if machine is None else machine.state
        boots = 0 if machine is None else machine.boots
        match None if spec is None else spec["power"]:
            case None:
                _write(tx, instance, generation, ABSENT, boots=boots)
                return Done()
            case "on" if state == RUNNING or (state == STARTING and machine.ready_at <= tx.now):
                _write(tx, instance, generation, RUNNING, boots=boots)
                return Done()
            case "on" if state == STARTING:
                return Later((machine.ready_at - tx.now).total_seconds())
            case "on":
                return self._start(tx, instance, generation, boots)
            case "off":
                _write(tx, instance, generation, OFF, boots=boots)
                return Done() if state == OFF else Later(self.settings.halt_seconds)
            case power:
                raise AssertionError(f"{power} is no state of a power switch")

    def _start(self, tx: Tx, instance: str, generation: int, boots: int) -> Progress:
        if tx.world.random() < self.settings.boot_failure_odds:
            raise ServiceError(
                "Server.InternalError", "Server.InternalError: Internal error on launch"
            )
        ready_at = tx.now + timedelta(seconds=self.settings.boot_seconds)
        _write(tx, instance, generation, STARTING, ready_at=ready_at, boots=boots + 1)
        return Later(self.settings.boot_seconds)


def refuse_former(instance: str, generation: int, seen: int) -> None:
    """Raise `StaleOwner` to an owner of a lower generation than the driver has `seen`."""
    if seen > generation:
        raise StaleOwner(f"the driver has seen generation {seen} of {instance}")


def _lock(tx: Tx, instance: str) -> Any:
    return tx.execute(_LOCK, {"m_instance": instance}).first()


def _write(
    tx: Tx, instance: str, generation: int, state: str, *, ready_at: Any = None, boots: int
) -> None:
    values = {"generation": generation, "state": state, "ready_at": ready_at, "boots": boots}
    if tx.execute(_CHANGE, {"m_instance": instance, **values}).rowcount == 0:
        tx.execute(_INSERT, {"instance": instance, **values})


def forget(tx: Tx, instances: Sequence[str]) -> None:
    """Remove what is remembered of instances whose tombstones are swept."""
    if instances:
        tx.execute(_FORGET, {"instances": list(instances)})


def boots_of(tx: Tx, instance: str) -> int:
    """How often the machine was started."""
    return int(tx.execute(_BOOTS, {"m_instance": instance}).scalar() or 0)
