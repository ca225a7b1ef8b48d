"""Invariants of the rows alone, which hold after every commit. Pure functions of a snapshot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from simulation import attachments, usage
from simulation.promises import require
from simulation.snapshot import INTERNAL, ResourceRow, Snapshot, Touched

# The outcome that names each id: its era, whose key begins with the entry's id, and its zone.
Named = Mapping[str, tuple[tuple[int, int], str]]


def check_touched(seen: Snapshot, touched: Touched) -> None:
    """P2, after every commit: the checks that need only the rows that the commit touched."""
    for id in touched.get("entries", ()):
        if id in seen.entries:
            require(
                id in seen.outcomes, "P2", "{} was claimed without its result", seen.entries[id]
            )


def check_all(seen: Snapshot, named: Named) -> None:
    _entries_are_whole(seen, named)
    _rows_are_named(seen, named)
    _steps_are_taken_once(seen)
    usage.counters_are_what_is_held(seen)
    usage.places_are_what_instances_take(seen)
    attachments.check_all(seen)
    _nothing_outlives_its_instance(seen)


def _entries_are_whole(seen: Snapshot, named: Named) -> None:
    """P2, P7: the resources of an entry exist and retain it, and it is retained by no others."""
    made: dict[int, list[str]] = {}
    for id, ((key, _), _zone) in named.items():
        require(id in seen.resources, "P2", "{} names {}, which is no more", seen.entries[key], id)
        made.setdefault(key, []).append(id)
    for entry in seen.entries.values():
        if entry.account != INTERNAL:
            mine, kept = made.get(entry.id, []), seen.retained.get(entry.id, [])
            told = [one.identities for one in seen.outcomes[entry.id] if one.identities is not None]
            fits = set(mine) <= set(kept) and all(str(told).count(repr(id)) for id in kept)
            require(fits, "P7", "{} made {} but is kept alive by {}", entry, mine, kept)
            gone = [id for id in kept if id not in seen.resources]
            require(not gone, "P2", "{} is kept for {}, which is no more", entry, gone)


def _rows_are_named(seen: Snapshot, named: Named) -> None:
    """P1: rows that carry a token are exactly those that the token's entry names."""
    for row in seen.resources.values():
        # A tombstone may outlive its own entry, if it is kept for another resource's.
        if row.client_token is not None and (row.is_living or row.id in named):
            require(row.id in named, "P1", "{} carries a token that does not know it", row)
            entry = seen.entries[named[row.id][0][0]]
            scope = (entry.account, entry.region, entry.client_token)
            carried = (row.account, row.region, row.client_token)
            require(scope == carried, "P10", "{} is of {}", row, entry)
    ids = {row.id for row in seen.of_kind("instance")}
    require(ids == seen.work.keys(), "P2", "instances and their work differ")
    for id in ids & named.keys():
        require(seen.resources[id].client_token is not None, "P2", "{} has lost its token", id)


def _steps_are_taken_once(seen: Snapshot) -> None:
    """P1 for services: a step of a launch is performed once, however often it is tried."""
    taken: Counter[tuple[str, str]] = Counter()
    for entry in seen.entries.values():
        if entry.account == INTERNAL:
            for outcome in seen.outcomes[entry.id]:
                assert outcome.identities is not None, "steps do not fail for capacity"
                taken[entry.action, outcome.identities["instance"]] += 1
    for step, times in taken.items():
        require(times == 1, "P1", "{} was performed {} times", step, times)


def _nothing_outlives_its_instance(seen: Snapshot) -> None:
    """P8: once an instance has ended, its launch's placement, machine and other parts are gone."""
    for row in seen.of_kind("placement"):
        if row.gone_at is None and row.state != "released":
            _may_have(seen, row.doc["InstanceId"], row)
    for kind in ("volume", "network-interface"):
        for row in seen.of_kind(kind):
            if row.is_living:
                for instance in attachments.holders(row):
                    _may_have(seen, instance, row)
    for instance, state in seen.machines.items():
        if state != "absent":
            _may_have(seen, instance, f"a machine ({state})")


def _may_have(seen: Snapshot, instance: str, what: Any) -> None:
    row = seen.resources.get(instance)
    require(row is not None, "P8", "{} is left of {}, which is forgotten", what, instance)
    assert row is not None, "required above"
    require(not has_ended(seen, row), "P8", "{} is left of {}, which has ended", what, instance)


def has_ended(seen: Snapshot, row: ResourceRow) -> bool:
    """Tell whether an instance is terminated, and no work for it is left."""
    return row.state == "terminated" and seen.work[row.id].due_at is None
