"""The simulated driver: machines that take time to boot, and run nothing.

Durable, as a real hypervisor is: what it started is still started after a crash of the plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from sametoken.services.machines import Wanted
from sametoken.store.columns import Moment
from sametoken.store.dialects import ByDialect, among, upsert
from sametoken.store.port import Store, Tx
from sametoken.workflow.ports import Done, Fate, Later, StaleOwner

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

_LOCK = (
    sa.select(MACHINE)
    .where(among(MACHINE.c.instance, "instances"))
    .order_by(MACHINE.c.instance)
    .with_for_update()
)
_CHANGED = ("generation", "state", "ready_at", "boots")
_CHANGE = (
    sa.update(MACHINE)
    .where(MACHINE.c.instance == sa.bindparam("m_instance"))
    .values({name: sa.bindparam(f"m_{name}") for name in _CHANGED})
)
_INSERT = sa.insert(MACHINE)
_FORGET = sa.delete(MACHINE).where(
    MACHINE.c.instance.in_(sa.bindparam("instances", expanding=True))
)
# A machine that no generation may make. Such rows are of use to calls that are under way.
_REFUSING = 2**31 - 1
_REFUSED = timedelta(hours=1)
_FORGET_REFUSED = sa.delete(MACHINE).where(
    MACHINE.c.generation == _REFUSING, MACHINE.c.ready_at <= sa.bindparam("before")
)
_REFUSE = upsert(MACHINE)
_IS_REFUSED = sa.select(MACHINE.c.instance).where(MACHINE.c.generation == _REFUSING)
_KNOWN = sa.select(MACHINE.c.instance)
_SUCCEED = (
    sa.update(MACHINE)
    .where(MACHINE.c.generation < sa.bindparam("above"))
    .values(generation=sa.bindparam("above"))
)
_BOOTS = sa.select(MACHINE.c.boots).where(MACHINE.c.instance == sa.bindparam("m_instance"))

_NOT_ABSENT = sa.select(MACHINE.c.instance).where(
    among(MACHINE.c.instance, "instances"), MACHINE.c.state != "absent"
)

STARTING, RUNNING, OFF, ABSENT = "starting", "running", "off", "absent"


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """How long the simulated world takes, in seconds."""

    # Long enough that people see `pending`, short enough that nobody waits for it.
    boot_seconds: float = 1.5
    halt_seconds: float = 0.5


@dataclass(frozen=True, slots=True)
class _Machine:
    """A machine as it is kept."""

    instance: str
    generation: int
    state: str
    ready_at: datetime | None
    boots: int


@dataclass(frozen=True, slots=True)
class SimulatedMachines:
    """See `services.machines.MachineDriver`."""

    store: Store
    settings: SimulationSettings = SimulationSettings()

    def ensure_many(self, machines: Sequence[Wanted]) -> list[Fate]:
        return self.store.run(lambda tx: self._ensure(tx, machines))

    def _ensure(self, tx: Tx, machines: Sequence[Wanted]) -> list[Fate]:
        found = tx.execute(_LOCK, {"instances": sorted(one.instance for one in machines)})
        kept = {row.instance: _Machine(*row) for row in found}
        answers = [self._next(tx, one, kept.get(one.instance)) for one in machines]
        changed = [machine for machine, _ in answers if machine is not None]
        _write(tx, [one for one in changed if one.instance not in kept], _INSERT, "")
        _write(tx, [one for one in changed if one.instance in kept], _CHANGE, "m_")
        return [fate for _, fate in answers]

    def _next(self, tx: Tx, wanted: Wanted, kept: _Machine | None) -> tuple[_Machine | None, Fate]:
        """Return the machine as it is to be kept, None where it does not change; and its fate."""
        if kept is None:
            kept = _Machine(wanted.instance, wanted.generation, ABSENT, None, 0)
        try:
            refuse_former(wanted.instance, wanted.generation, kept.generation)
        except StaleOwner as stale:
            return None, stale
        state, ready_at = kept.state, kept.ready_at
        match None if wanted.spec is None else wanted.spec["power"]:
            case None:
                return _now(kept, wanted, ABSENT), Done()
            case "on" if state == STARTING and ready_at is not None and ready_at > tx.now:
                return None, Later((ready_at - tx.now).total_seconds())
            case "on" if state in (RUNNING, STARTING):
                return _now(kept, wanted, RUNNING), Done()
            case "on":
                return self._start(tx, kept, wanted)
            case "off":
                is_off = state == OFF
                return _now(kept, wanted, OFF), (
                    Done() if is_off else Later(self.settings.halt_seconds)
                )
            case power:
                raise AssertionError(f"{power} is no state of a power switch")

    def _start(self, tx: Tx, kept: _Machine, wanted: Wanted) -> tuple[_Machine | None, Fate]:
        ready_at = tx.now + timedelta(seconds=self.settings.boot_seconds)
        started = _Machine(kept.instance, wanted.generation, STARTING, ready_at, kept.boots + 1)
        return started, Later(self.settings.boot_seconds)


def _now(kept: _Machine, wanted: Wanted, state: str) -> _Machine:
    return _Machine(kept.instance, wanted.generation, state, None, kept.boots)


def refuse_former(instance: str, generation: int, seen: int) -> None:
    """Raise `StaleOwner` to an owner of a lower generation than the driver has `seen`."""
    if seen > generation:
        raise StaleOwner(f"the driver has seen generation {seen} of {instance}")


def _write(
    tx: Tx, machines: Sequence[_Machine], statement: sa.Executable | ByDialect, prefix: str
) -> None:
    if machines:
        names = ("instance", *_CHANGED)
        rows = [{f"{prefix}{name}": getattr(one, name) for name in names} for one in machines]
        tx.execute(statement, rows)


def forget(tx: Tx, instances: Sequence[str]) -> None:
    """Remove what is remembered of instances whose tombstones are swept."""
    if instances:
        tx.execute(_FORGET, {"instances": list(instances)})


def refuse_all(tx: Tx, instances: Sequence[str]) -> None:
    """Refuse whoever still calls for these instances, which are gone and had no time to end."""
    tx.execute(_FORGET_REFUSED, {"before": tx.now - _REFUSED})
    _write(tx, [_Machine(id, _REFUSING, ABSENT, tx.now, 0) for id in instances], _REFUSE, "")


def refused(tx: Tx) -> list[str]:
    """List the instances that are refused to all, in any order."""
    return [row.instance for row in tx.execute(_IS_REFUSED)]


def succeed(tx: Tx, instances: Sequence[str], generation: int) -> None:
    """Remember that generation of the instances, and refuse all lower ones."""
    tx.execute(_SUCCEED, {"above": generation})
    known = {row.instance for row in tx.execute(_KNOWN)}
    new = [_Machine(id, generation, ABSENT, None, 0) for id in instances if id not in known]
    _write(tx, new, _INSERT, "")


def powered(tx: Tx, instances: Sequence[str]) -> set[str]:
    """Return those of `instances` that have a machine, on or off."""
    return {row.instance for row in tx.execute(_NOT_ABSENT, {"instances": list(instances)})}


def boots_of(tx: Tx, instance: str) -> int:
    """How often the machine was started."""
    return int(tx.execute(_BOOTS, {"m_instance": instance}).scalar() or 0)
