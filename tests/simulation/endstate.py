"""What must hold once faults have stopped and everything has drained: P8 to the letter."""

from __future__ import annotations

from simulation.database import Database
from simulation.promises import require
from simulation.snapshot import ResourceRow, Snapshot

# The auditor's own state table: EC2 user guide, "Instance lifecycle", and failed launches.
_MOVES = {
    "pending": {"running", "shutting-down", "terminated", "stopped", "stopping"},
    "running": {"stopping", "shutting-down"},
    "stopping": {"stopped", "shutting-down"},
    "stopped": {"pending", "terminated"},
    "shutting-down": {"terminated"},
}


def check_all(snapshot: Snapshot, database: Database) -> None:
    for work in snapshot.work.values():
        require(work.due_at is None, "LIVE", f"{work} is never done")
    for row in snapshot.of_kind("instance"):
        _is_in_a_known_good_state(snapshot, row)
        _moved_legally(row, database)


def _is_in_a_known_good_state(snapshot: Snapshot, row: ResourceRow) -> None:
    require(row.state in ("running", "stopped", "terminated"), "P8", f"{row.id} ends {row.state}")
    attached = [
        one
        for one in snapshot.resources.values()
        if one.kind != "instance" and one.owner == row.id and one.gone_at is None
    ]
    found = sorted((one.kind, one.state) for one in attached)
    if row.state == "terminated":
        require(row.reason is not None, "P8", f"{row.id} ended without a state reason")
        found = [one for one in found if one != ("placement", "released")]
    expected, machine, holds = _expected(snapshot, row)
    require(found == expected, "P8", f"{row.id} is {row.state} with {found}, not {expected}")
    actual = snapshot.machines.get(row.id, "absent")
    require(actual == machine, "P8", f"{row.id} is {row.state}, its machine {actual}")
    require((row.held is not None) == holds, "P8", f"{row.id} is {row.state}, holds {row.held}")


def _expected(snapshot: Snapshot, row: ResourceRow) -> tuple[list[tuple[str, str]], str, bool]:
    """What is attached to an instance in its state, its machine, and if it holds capacity."""
    if row.state == "terminated":
        return [], "absent", False
    work = snapshot.work[row.id]
    attached = [("volume", "in-use")] * work.planned("volumes")
    attached += [("network-interface", "in-use")] * work.planned("interfaces")
    running = row.state == "running"
    attached.append(("placement", "reserved" if running else "released"))
    return sorted(attached), "running" if running else "off", running


def _moved_legally(row: ResourceRow, database: Database) -> None:
    """Every change of state was a move of the table, and none is missing."""
    state = "pending"
    for before, after in database.query(
        "SELECT from_state, to_state FROM resource_transition WHERE resource_id = ? ORDER BY id",
        (row.id,),
    ):
        require(before == state, "P8", f"{row.id} was {state}, then moved from {before}")
        require(after in _MOVES.get(before, ()), "P8", f"{row.id} moved from {before} to {after}")
        state = after
    require(state == row.state, "P8", f"{row.id} is {row.state}, its history ends {state}")


def check_forgotten(snapshot: Snapshot) -> None:
    """P7: everything was terminated and its retention is over: nothing is kept for good."""
    require(not snapshot.entries, "P7", f"entries outlive their retention: {snapshot.entries}")
    left = [row.id for row in snapshot.resources.values()]
    require(not left, "P7", f"tombstones are never swept: {left}")
    require(not snapshot.work, "P7", "work of forgotten instances is left")
    require(not snapshot.machines, "P8", f"machines are left: {snapshot.machines}")
    require(not any(snapshot.counters.values()), "P8", f"counters: {snapshot.counters}")
