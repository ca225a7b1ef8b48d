"""What must hold at every committed moment, of the rows alone. Pure functions of a snapshot."""

from __future__ import annotations

from collections import Counter

from simulation.promises import require
from simulation.snapshot import INTERNAL, EntryRow, ResourceRow, Snapshot

# vCPUs of the types that the callers launch.
VCPUS = {"t3.micro": 2, "t3.small": 2}


def check_all(snapshot: Snapshot) -> None:
    entries = {entry.id: entry for entry in snapshot.entries}
    named = _entries_are_whole(snapshot, entries)
    _rows_are_named(snapshot, named)
    _steps_are_taken_once(snapshot, entries)
    _counters_are_what_is_held(snapshot)
    _addresses_are_held_by_interfaces(snapshot)
    _nothing_is_orphaned(snapshot)


def _entries_are_whole(snapshot: Snapshot, entries: dict[int, EntryRow]) -> dict[str, EntryRow]:
    """P2: an entry has an outcome; a settled one's resources exist. Who names each instance."""
    half = snapshot.half_an_entry
    require(half is None, "P2", f"entry {half} was claimed without its result")
    named: dict[str, EntryRow] = {}
    for entry in entries.values():
        if entry.account == INTERNAL:
            continue
        made: list[str] = []
        for outcome in snapshot.outcomes[entry.id]:
            if outcome.identities is None:
                continue
            for id in outcome.identities["instances"]:
                row = snapshot.resources.get(id)
                require(row is not None, "P2", f"{entry} names {id}, which does not exist")
                require(id not in named, "P1", f"{id} is named by two outcomes")
                named[id] = entry
                made.append(id)
        kept = snapshot.retained.get(entry.id, [])
        require(sorted(made) == kept, "P7", f"{entry} made {made} but is kept alive by {kept}")
    return named


def _rows_are_named(snapshot: Snapshot, named: dict[str, EntryRow]) -> None:
    """P1: what carries a token is what the token's entry names, and nothing else."""
    instances = snapshot.of_kind("instance")
    for row in instances:
        entry = named.get(row.id)
        if row.client_token is None:
            require(entry is None, "P2", f"{row.id} has lost its token")
            continue
        require(entry is not None, "P1", f"{row.id} carries {row.client_token}, unknown to it")
        assert entry is not None, "required above"
        scope = (entry.account, entry.region, entry.client_token)
        require(
            scope == (row.account, row.region, row.client_token), "P10", f"{row.id} is of {scope}"
        )
    ids = {row.id for row in instances}
    require(ids == snapshot.work.keys(), "P2", "instances and their work differ")


def _steps_are_taken_once(snapshot: Snapshot, entries: dict[int, EntryRow]) -> None:
    """P1, one hop further: a step of a launch is performed once, however often it is tried."""
    taken: Counter[tuple[str, str]] = Counter()
    for entry in entries.values():
        if entry.account == INTERNAL:
            for outcome in snapshot.outcomes[entry.id]:
                assert outcome.identities is not None, "steps do not fail for capacity"
                taken[entry.action, outcome.identities["instance"]] += 1
    for step, times in taken.items():
        require(times == 1, "P1", f"{step} was performed {times} times")


def _counters_are_what_is_held(snapshot: Snapshot) -> None:
    """P2: the counters equal what living instances hold, each what its type is worth."""
    held: Counter[str] = Counter()
    for row in snapshot.of_kind("instance"):
        if row.held is None:
            continue
        assert row.instance_type is not None, "instances have a type"
        held[f"capacity/{row.zone}/{row.instance_type}"] += 1
        held[f"vcpus/{row.account}/{row.region}"] += VCPUS[row.instance_type]
    used = {name: value for name, value in snapshot.counters.items() if value}
    require(used == dict(held), "P2", f"counters say {used}, instances hold {dict(held)}")


def _addresses_are_held_by_interfaces(snapshot: Snapshot) -> None:
    """P8: every living interface has its one address, and nobody else has one."""
    living = {row.id: 1 for row in snapshot.of_kind("network-interface") if row.gone_at is None}
    require(living == snapshot.addresses, "P8", f"addresses {snapshot.addresses}, for {living}")


def _nothing_is_orphaned(snapshot: Snapshot) -> None:
    """P8: what belongs to an instance that has ended for good is gone, and stays gone."""
    for row in snapshot.resources.values():
        if row.kind == "instance":
            continue
        require((row.attachments or 0) <= 1, "P8", f"{row.id} is attached more than once")
        if row.gone_at is None and not (row.kind == "placement" and row.state == "released"):
            require(row.owner is not None, "P8", f"{row.id} ({row.state}) belongs to nobody")
            assert row.owner is not None, "required above"
            _may_have(snapshot, row.owner, row.id)
    for owner, state in snapshot.machines.items():
        if state != "absent":
            _may_have(snapshot, owner, f"a machine ({state})")


def _may_have(snapshot: Snapshot, instance: str, what: str) -> None:
    row = snapshot.resources.get(instance)
    require(row is not None, "P8", f"{what} is left of {instance}, which is forgotten")
    assert row is not None, "required above"
    require(not has_ended(snapshot, row), "P8", f"{what} is left of {instance}, which has ended")


def has_ended(snapshot: Snapshot, row: ResourceRow) -> bool:
    """Terminated, and unwound: nothing remains to be done for it."""
    return row.state == "terminated" and snapshot.work[row.id].due_at is None
