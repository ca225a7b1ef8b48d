"""Holdings of an account: what lives there, what of it belongs to nobody, what is not done yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sametoken.operate.opened import Opened
from sametoken.resources.compute.instances import INSTANCE
from sametoken.resources.compute.placements import PLACEMENT
from sametoken.resources.kit import listings
from sametoken.resources.kit.rows import Row
from sametoken.resources.network.interfaces import INTERFACE, is_served
from sametoken.resources.storage.volumes import VOLUME
from sametoken.services import simulated_machines
from sametoken.store import clock
from sametoken.store.port import Tx
from sametoken.store.reading import Reads
from sametoken.workflow import work
from sametoken.workflow.work import Work


@dataclass(frozen=True, slots=True)
class Holding:
    """A living resource. `client_token` is its create's, None if that had none.

    `launched_for` is the instance whose launch made it, None if it has a create of its own.
    """

    id: str
    kind: str
    state: str
    region: str
    client_token: str | None
    launched_for: str | None = None

    def __str__(self) -> str:
        token = "no token" if self.client_token is None else f"token {self.client_token!r}"
        made = token if self.launched_for is None else f"launched for {self.launched_for}"
        return f"{self.id} ({self.state}, {self.region}, {made})"


@dataclass(frozen=True, slots=True)
class Holdings:
    """An account's living resources by kind, and sentences on what is not as it should be.

    Of volumes and interfaces `living` has those that are attached to no instance, as they are when
    a caller made or detached them. `orphans`: parts of instances that have ended; a sound plane has
    none once nothing is `unfinished`, which is work that the runners still have to do. `waits`: the
    clock is frozen, and some of that is due later, so that to wait for it has no end.
    """

    living: Mapping[str, Sequence[Holding]]
    orphans: Sequence[str]
    unfinished: Sequence[str]
    waits: bool = False


def look(here: Opened[Reads], account: str) -> Holdings:
    """Look at what the account with this id holds, in all Regions, in one snapshot."""
    return here.store.read(lambda tx: _look(tx, account))


def _look(tx: Tx, account: str) -> Holdings:
    rows = listings.living(tx, account)
    works = work.of_account(tx, account)
    instances = {row.id for row in rows if row.kind == INSTANCE.name}
    launched = {id: one.instance for one in works for id in _planned(one)}
    ended = [one.instance for one in works if one.instance not in instances]
    living: dict[str, list[Holding]] = {}
    orphans: list[str] = []
    for row in rows:
        owner = _owner(row)
        if owner is not None and owner not in instances:
            orphans.append(f"{row.kind} {row.id} ({row.state}) belongs to {owner}, which has ended")
        elif owner is None and not (row.kind == INTERFACE.name and is_served(row)):
            living.setdefault(row.kind, []).append(
                Holding(
                    row.id, row.kind, row.state, row.region, row.client_token, launched.get(row.id)
                )
            )
    machines = simulated_machines.powered(tx, ended)
    orphans += [f"the machine of {one} is there, and {one} has ended" for one in sorted(machines)]
    # A death that is ahead of a machine is no work that anybody waits for.
    unfinished = [one for one in works if one.due_at is not None and one.the_plan.then is None]
    waits = clock.stands(tx) and any(_is_later(one, tx.now) for one in unfinished)
    return Holdings(living, orphans, [_told(one) for one in unfinished], waits)


def _is_later(one: Work, now: datetime) -> bool:
    return one.due_at is not None and one.due_at > now


def _planned(one: Work) -> list[str]:
    """List the ids of the volumes and interfaces that a launch makes."""
    return [*(volume["VolumeId"] for volume in one.spec["volumes"]), *one.spec["interfaces"]]


def _owner(row: Row) -> str | None:
    """Return the instance that a part belongs to; None: it belongs to none."""
    if row.kind == VOLUME.name:
        return next((one["InstanceId"] for one in row.doc["Attachments"]), None)
    if row.kind == INTERFACE.name:
        attachment = row.doc.get("Attachment") or {}
        found: str | None = attachment.get("InstanceId")
        return found
    if row.kind == PLACEMENT.name:
        return str(row.doc["InstanceId"])
    return None


def _told(one: Work) -> str:
    step = f"{one.instance} is at {one.next_step().name} of its {one.plan}, try {one.attempt + 1}"
    return step if one.failure is None else f"{step}, after {': '.join(one.failure)}"
