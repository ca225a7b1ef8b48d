"""The resources of a story: what was made, its present state, when and why it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sametoken.operate.story.model import Move, Resource
from sametoken.resources.compute.placements import placement_id
from sametoken.resources.kit import rows, transitions
from sametoken.resources.kit.kinds import KINDS
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx
from sametoken.workflow.work import Work


def parts_of(work: Work) -> list[str]:
    """List the ids of what the launch of an instance makes for it."""
    return [
        *(volume["VolumeId"] for volume in work.spec["volumes"]),
        *work.spec["interfaces"],
        placement_id(work.instance),
    ]


def told(
    tx: Tx, held: Sequence[str], works: Mapping[str, Work], found: Mapping[str, Row]
) -> tuple[Resource, ...]:
    """Return the resources `held` by an entry, and after each instance those of its launch."""
    launched_for: dict[str, str | None] = {}
    for id in held:
        launched_for[id] = None
        if id in works:
            launched_for |= dict.fromkeys(parts_of(works[id]), id)
    missing = [id for id in launched_for if id not in found]
    known = {**found, **(rows.by_ids(tx, missing) if missing else {})}
    moves = transitions.of_all(tx, list(launched_for)) if launched_for else {}
    # A part that is not there was never made, or is gone for longer than anything names it.
    return tuple(
        _resource(id, known.get(id), moves[id], owner)
        for id, owner in launched_for.items()
        if owner is None or id in known
    )


def _resource(id: str, row: Row | None, moves: Sequence[Any], owner: str | None) -> Resource:
    told = tuple(Move(one.moved_at, one.from_state, one.to_state, one.cause) for one in moves)
    if row is None:
        return Resource(id, _kind_of(id), None, None, None, None, owner, told)
    reason = row.doc.get("StateReason") or {}
    return Resource(
        id, row.kind, row.state, row.created_at, row.gone_at, reason.get("Message"), owner, told
    )


def _kind_of(id: str) -> str:
    """Name the kind of a resource of which nothing is kept, by its id."""
    prefix = id.rpartition("-")[0]
    return next((kind.name for kind in KINDS.values() if kind.prefix == prefix), prefix)
