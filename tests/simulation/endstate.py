"""End state: P8 in full, which must hold once faults have stopped and all work has drained."""

from __future__ import annotations

from collections.abc import Iterator

from simulation.attachments import holders
from simulation.hazards import REFUSED
from simulation.history import History
from simulation.promises import require
from simulation.snapshot import ResourceRow, Snapshot

# Moves between states, independent of the program's table. Source: EC2 user guide, "Instance
# lifecycle", and failed launches.
_MOVES = {
    "pending": {"running", "shutting-down", "terminated", "stopped", "stopping"},
    "running": {"stopping", "shutting-down"},
    "stopping": {"stopped", "shutting-down"},
    "stopped": {"pending", "terminated"},
    "shutting-down": {"terminated"},
}
# States of any kind that no resource may stay in.
_ON_THE_WAY = {"pending", "creating", "deleting", "stopping", "shutting-down", "attaching"}


def check_all(seen: Snapshot, history: History) -> None:
    for work in seen.work.values():
        require(work.due_at is None, "LIVE", "{} is never done", work)
    require(not seen.ripening, "LIVE", "these never come to be: {}", seen.ripening)
    for row in seen.resources.values():
        require(row.state not in _ON_THE_WAY, "LIVE", "{} never gets anywhere", row)
        if row.kind == "instance":
            _is_in_a_known_good_state(seen, row, history)
        for parent in seen.parents.get(row.id, ()):
            over = seen.living(parent) is None
            require(not over, "P8", "{} stands under {}, which is over", row, parent)
    _moved_legally(seen)


def _is_in_a_known_good_state(seen: Snapshot, row: ResourceRow, history: History) -> None:
    require(row.state in ("running", "stopped", "terminated"), "P8", "{} stays like that", row)
    if row.state == "terminated":
        require(row.doc.get("StateReason"), "P8", "{} ended without a state reason", row)
    else:
        for id in _planned(seen, row):
            planned = seen.resources.get(id)
            here = planned is not None and row.id in holders(planned)
            taken = any((action, id) in history.asked_of for action in ("DetachVolume",))
            require(here or taken, "P8", "{} has {} no more", row, planned or id)
    host, machine, holds = {
        "running": ("reserved", "running", True),
        "stopped": ("released", "off", False),
        "terminated": ("", "absent", False),
    }[row.state]
    placement = seen.living(row.id.replace("i-", "placement-", 1))
    placed = "" if placement is None else placement.state
    left = row.state == "terminated" and placed == "released"
    require(placed == host or left, "P8", "{} is placed so: {}", row, placement)
    actual = seen.machines.get(row.id, "absent")
    require(actual == machine, "P8", "{} has a machine that is {}", row, actual)
    held = row.private["held"]
    require((held is not None) == holds, "P8", "{} holds {}", row, held)


def check_failed_alone(seen: Snapshot, refused: set[str]) -> None:
    """P8: an instance that ended because a step was refused is one whose own step was refused."""
    for row in seen.of_kind("instance"):
        reason = row.doc.get("StateReason") or {}
        if reason.get("Code") == REFUSED:
            require(row.id in refused, "P8", "{} ended for the failure of another", row)


def _planned(seen: Snapshot, row: ResourceRow) -> Iterator[str]:
    """Yield the resources that the launch of an instance was to attach to it."""
    spec = seen.work[row.id].spec
    for volume in spec["volumes"]:
        yield volume["VolumeId"]
    yield from spec["interfaces"]


def _moved_legally(seen: Snapshot) -> None:
    """Recorded changes of state follow one another without a gap, instances' by `_MOVES`."""
    states: dict[str, str] = {}
    for id, before, after in seen.database.query(
        "SELECT resource_id, from_state, to_state FROM resource_transition ORDER BY id"
    ):
        was = states.get(id, before)
        require(before == was, "P8", "{} was {}, then moved from {}", id, was, before)
        if id.startswith("i-"):
            legal = after in _MOVES.get(before, ()) and (id in states or before == "pending")
            require(legal, "P8", "{} moved from {} to {}", id, before, after)
        states[id] = after
    for id, row in seen.resources.items():
        require(
            states.get(id, row.state) == row.state,
            "P8",
            "{}'s history ends {}",
            row,
            states.get(id),
        )


def check_forgotten(seen: Snapshot, fixtures: dict[str, None]) -> None:
    """P7: once everything has ended and the retention is over, no entry and no row is left."""
    entries = list(seen.entries.values())
    require(not entries, "P7", "entries outlive their retention: {}", entries)
    left = [row for row in seen.resources.values() if row.id not in fixtures]
    require(not left, "P7", "tombstones are never swept: {}", left)
    require(not seen.work, "P7", "work of forgotten instances is left")
    require(not seen.machines, "P8", "machines are left: {}", seen.machines)
    require(not any(seen.counters.values()), "P8", "counters: {}", seen.counters)
    held = {**seen.addresses, **seen.public}
    require(not held, "P8", "addresses are held for nobody: {}", held)
    below = [id for id in seen.parents if id not in fixtures]
    require(not below, "P8", "edges of what is gone are left: {}", below)
