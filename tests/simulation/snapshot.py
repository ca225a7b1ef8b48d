"""The committed rows as the auditor reads them: by its own plain SQL, none of the program's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from simulation.database import Database

INTERNAL = "internal"

# Steps that only a launch has, so each is taken once in an instance's life.
LAUNCH_STEPS = ("volumes.ensure", "networks.ensure")
# Callers' entries, and those of the launch steps; the other steps' are many and say no more.
_CHOSEN = f"(account != '{INTERNAL}' OR action IN {LAUNCH_STEPS})"
_ENTRIES = (
    "SELECT id, account, region, action, client_token, claimed_at, expires_at"
    f" FROM idempotency_entry WHERE {_CHOSEN}"
)
_OUTCOMES = (
    "SELECT entry_id, zone, state, identities, request_id, recorded_at FROM idempotency_outcome"
    f" JOIN idempotency_entry ON id = entry_id WHERE {_CHOSEN} ORDER BY entry_id, zone"
)
_RETAINED = "SELECT entry_id, resource_id FROM idempotency_resource ORDER BY entry_id, resource_id"
_HALF = (
    "SELECT id FROM idempotency_entry"
    " WHERE id NOT IN (SELECT entry_id FROM idempotency_outcome) LIMIT 1"
)
# SQLite's own JSON functions are several times faster than reading every document in Python.
_RESOURCES = """
    SELECT id, kind, account, region, zone, state, client_token, gone_at,
        coalesce(doc ->> '$.Attachments[0].InstanceId', doc ->> '$.Attachment.InstanceId',
                 doc ->> '$.InstanceId'),
        json_array_length(doc, '$.Attachments'),
        doc ->> '$.Tags[0].Value', doc ->> '$.private.ReservationId', doc ->> '$.AmiLaunchIndex',
        doc ->> '$.InstanceType', doc ->> '$.private.held.capacity', doc ->> '$.StateReason.Code'
    FROM resource WHERE kind IN ('instance', 'volume', 'network-interface', 'placement')
    ORDER BY id
"""
_WORK = "SELECT instance, plan, due_at, spec FROM work ORDER BY instance"


@dataclass(frozen=True, slots=True)
class EntryRow:
    id: int
    account: str
    region: str
    action: str
    client_token: str
    claimed_at: int
    expires_at: int | None

    @property
    def key(self) -> tuple[int, int]:
        """SQLite may use an id again once its row is gone."""
        return (self.id, self.claimed_at)


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    entry: int
    zone: str
    state: str
    identities: dict[str, Any] | None
    request_id: str
    recorded_at: int


@dataclass(frozen=True, slots=True)
class ResourceRow:
    id: str
    kind: str
    account: str
    region: str
    zone: str
    state: str
    client_token: str | None
    gone_at: int | None
    # Of volumes, interfaces and placements: the instance they belong to now, and of volumes how
    # many attachments they have.
    owner: str | None
    attachments: int | None
    # Of instances: the name of the launch they are of, and so on.
    intent: str | None
    reservation: str | None
    launch_index: int | None
    instance_type: str | None
    held: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class WorkRow:
    instance: str
    plan: str
    due_at: int | None
    spec: str

    def planned(self, what: str) -> int:
        """How many `volumes` or `interfaces` the launch is to have."""
        return len(json.loads(self.spec)[what])


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the promises speak of, at one moment."""

    entries: list[EntryRow]
    outcomes: dict[int, list[OutcomeRow]]
    retained: dict[int, list[str]]
    resources: dict[str, ResourceRow]
    work: dict[str, WorkRow]
    counters: dict[str, int]
    limits: dict[str, int]
    addresses: dict[str, int]
    machines: dict[str, str]
    # An entry without any outcome, if there is one.
    half_an_entry: int | None

    def of_kind(self, kind: str) -> list[ResourceRow]:
        return [row for row in self.resources.values() if row.kind == kind]


def take(database: Database) -> Snapshot:
    """Read it all. No transaction is open between two steps of the scheduler."""
    assert not database.raw.in_transaction, "the auditor reads what has committed"
    query = database.query
    outcomes: dict[int, list[OutcomeRow]] = {}
    for entry, zone, state, identities, *rest in query(_OUTCOMES):
        value = None if identities is None else json.loads(identities)
        outcomes.setdefault(entry, []).append(OutcomeRow(entry, zone, state, value, *rest))
    retained: dict[int, list[str]] = {}
    for entry, resource in query(_RETAINED):
        retained.setdefault(entry, []).append(resource)
    rows = (ResourceRow(*row) for row in query(_RESOURCES))
    addresses: dict[str, int] = {}
    for (holder,) in query("SELECT holder FROM address"):
        addresses[holder] = addresses.get(holder, 0) + 1
    return Snapshot(
        [EntryRow(*row) for row in query(_ENTRIES)],
        outcomes,
        retained,
        {row.id: row for row in rows},
        {row[0]: WorkRow(*row) for row in query(_WORK)},
        dict(query("SELECT name, used FROM counter")),
        dict(query("SELECT name, maximum FROM counter_limit")),
        addresses,
        dict(query("SELECT instance, state FROM simulated_machine")),
        next((id for (id,) in query(_HALF)), None),
    )
