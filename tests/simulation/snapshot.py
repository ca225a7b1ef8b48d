"""Snapshot of the committed rows, which the auditor reads by plain SQL of its own.

It is kept from look to look: only rows touched since (see `touches`) are read again. `whole` reads
all rows afresh, and the end of a schedule compares them with those that were kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from simulation.database import Database
from simulation.touches import WATCHED, since

INTERNAL = "internal"

# Steps of launches alone, which are taken once in an instance's life.
LAUNCH_STEPS = ("volumes.ensure", "networks.ensure")
# Stands for as many question marks as there are keys. (A table function would do as well, but those
# of SQLite are left dangling when a database is cloned by `deserialize`.)
_TOUCHED = "IN (...)"
_SELECT = {
    # Entries of callers and of launch steps; those of the other steps are many and add no fact.
    "idempotency_entry": (
        "SELECT id, account, region, action, client_token, claimed_at, expires_at,"
        " zone, state, identities, request_id, recorded_at"
        f" FROM idempotency_entry WHERE id {_TOUCHED}"
        f" AND (account != '{INTERNAL}' OR action IN {LAUNCH_STEPS})"
    ),
    "idempotency_other_zone": (
        "SELECT entry_id, zone, state, identities, request_id, recorded_at"
        f" FROM idempotency_other_zone WHERE entry_id {_TOUCHED} ORDER BY entry_id, zone"
    ),
    "idempotency_resource": (
        "SELECT entry_id, resource_id FROM idempotency_resource"
        f" WHERE entry_id {_TOUCHED} ORDER BY entry_id, resource_id"
    ),
    "resource": (
        "SELECT id, kind, account, region, zone, state, client_token, gone_at, doc"
        f" FROM resource WHERE id {_TOUCHED}"
    ),
    "resource_edge": f"SELECT child, parent FROM resource_edge WHERE child {_TOUCHED}",
    "work": f"SELECT instance, plan, due_at, spec FROM work WHERE instance {_TOUCHED}",
    "counter": f"SELECT name, used FROM counter WHERE name {_TOUCHED}",
    "counter_limit": f"SELECT name, maximum FROM counter_limit WHERE name {_TOUCHED}",
    "address": f"SELECT holder, subnet, number FROM address WHERE holder {_TOUCHED}",
    "public_address": f"SELECT holder, number FROM public_address WHERE holder {_TOUCHED}",
    "simulated_machine": (
        f"SELECT instance, state FROM simulated_machine WHERE instance {_TOUCHED}"
    ),
    "ripening": f"SELECT resource, to_state FROM ripening WHERE resource {_TOUCHED}",
}
assert _SELECT.keys() == WATCHED.keys(), "what is watched is read"


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
        """The id and the moment, because SQLite may use an id again once its row is gone."""
        return (self.id, self.claimed_at)


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    entry: int
    zone: str
    state: str
    identities: dict[str, Any] | None
    request_id: str
    recorded_at: int


@dataclass(frozen=True)
class ResourceRow:
    id: str
    kind: str
    account: str
    region: str
    zone: str
    state: str
    client_token: str | None
    gone_at: int | None
    text: str = field(repr=False)

    @cached_property
    def doc(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.text)
        return document

    @property
    def private(self) -> dict[str, Any]:
        found: dict[str, Any] = self.doc.get("private", {})
        return found

    @cached_property
    def mark(self) -> str | None:
        """Return the intent it was made for; None if it came with another resource."""
        for tag in self.doc.get("Tags", ()):
            if tag["Key"] == "intent":
                return str(tag["Value"])
        return self.doc.get("VersionDescription")

    @property
    def is_living(self) -> bool:
        return self.gone_at is None


@dataclass(frozen=True)
class WorkRow:
    instance: str
    plan: str
    due_at: int | None
    text: str = field(repr=False)

    @cached_property
    def spec(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.text)
        return document


# Keys of the rows touched since the last look, by table.
Touched = dict[str, dict[Any, None]]


@dataclass(slots=True)
class Snapshot:
    """Rows of every table that a promise is about, as of the last `refresh`."""

    database: Database = field(compare=False)
    entries: dict[int, EntryRow] = field(default_factory=dict)
    outcomes: dict[int, list[OutcomeRow]] = field(default_factory=dict)
    retained: dict[int, list[str]] = field(default_factory=dict)
    resources: dict[str, ResourceRow] = field(default_factory=dict)
    # Resources by kind, then by id.
    kinds: dict[str, dict[str, ResourceRow]] = field(default_factory=dict, compare=False)
    # Parents of each resource.
    parents: dict[str, list[str]] = field(default_factory=dict)
    work: dict[str, WorkRow] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    # Addresses by holder: (subnet, number of the address), and numbers of public addresses.
    addresses: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    public: dict[str, list[int]] = field(default_factory=dict)
    machines: dict[str, str] = field(default_factory=dict)
    ripening: dict[str, str] = field(default_factory=dict)
    _note: int = field(default=0, compare=False)

    def of_kind(self, kind: str) -> Iterable[ResourceRow]:
        return self.kinds.get(kind, {}).values()

    def living(self, id: str | None) -> ResourceRow | None:
        """Return the row of that id, if it has not ended."""
        row = None if id is None else self.resources.get(id)
        return row if row is not None and row.gone_at is None else None

    def refresh(self) -> Touched:
        """Read the touched rows again. Must be called between two steps, outside transactions."""
        raw = self.database.raw
        assert not raw.in_transaction, "the auditor reads what has committed"
        self._note, touched = since(raw, self._note)
        entries = {
            key: None
            for table in ("idempotency_entry", "idempotency_other_zone", "idempotency_resource")
            for key in touched.pop(table, ())
        }
        if entries:
            touched["entries"] = entries
            self._read_entries(entries)
        for table, keys in touched.items():
            if table != "entries":
                self._read(table, keys)
        return touched

    def _query(self, table: str, keys: Iterable[Any]) -> list[tuple[Any, ...]]:
        asked = list(keys)
        marks = ",".join("?" * len(asked))
        return self.database.query(_SELECT[table].replace("...", marks), asked)

    def _read_entries(self, keys: dict[Any, None]) -> None:
        for key in keys:
            for known in (self.entries, self.outcomes, self.retained):
                known.pop(key, None)
        outcomes: list[tuple[Any, ...]] = []
        for row in self._query("idempotency_entry", keys):
            entry, first = EntryRow(*row[:7]), row[7:]
            self.entries[entry.id] = entry
            if first[0] is not None:
                outcomes.append((entry.id, *first))
        others = self._query("idempotency_other_zone", keys)
        outcomes += [one for one in others if one[0] in self.entries]
        for id, zone, state, identities, *rest in sorted(outcomes, key=lambda one: one[:2]):
            value = None if identities is None else json.loads(identities)
            outcome = OutcomeRow(id, zone, state, value, *rest)
            self.outcomes.setdefault(id, []).append(outcome)
        for entry, resource in self._query("idempotency_resource", keys):
            self.retained.setdefault(entry, []).append(resource)

    def _read(self, table: str, keys: dict[Any, None]) -> None:
        rows = self._query(table, keys)
        if table == "resource":
            self._keep(keys, rows)
            return
        tables: dict[str, dict[Any, Any]] = {
            "resource_edge": self.parents, "work": self.work, "counter": self.counters,
            "counter_limit": self.limits, "address": self.addresses,
            "public_address": self.public, "simulated_machine": self.machines,
            "ripening": self.ripening,
        }  # fmt: skip
        known = tables[table]
        for key in keys:
            known.pop(key, None)
        match table:
            case "work":
                known |= {row[0]: WorkRow(*row) for row in rows}
            case "address":
                for holder, *place in sorted(rows):
                    known.setdefault(holder, []).append(tuple(place))
            case "resource_edge" | "public_address":
                for key, value in sorted(rows):
                    known.setdefault(key, []).append(value)
            case _:
                known |= dict(rows)

    def _keep(self, keys: dict[Any, None], rows: list[tuple[Any, ...]]) -> None:
        for key in keys:
            was = self.resources.pop(key, None)
            if was is not None:
                del self.kinds[was.kind][key]
        for row in (ResourceRow(*one) for one in rows):
            self.resources[row.id] = row
            self.kinds.setdefault(row.kind, {})[row.id] = row

    def whole(self) -> Snapshot:
        """Return a snapshot whose rows are all read afresh."""
        every: Touched = {
            table: {key: None for (key,) in self.database.query(f"SELECT {key} FROM {table}")}
            for table, key in WATCHED.items()
        }
        fresh = Snapshot(self.database)
        fresh._read_entries(every["idempotency_entry"])
        for table in WATCHED:
            if not table.startswith("idempotency"):
                fresh._read(table, every[table])
        return fresh
