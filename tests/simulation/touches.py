"""Touches: notes of the rows that were changed since the auditor's last look, made by triggers.

The program knows nothing of the triggers. A note is part of the transaction that changed the row,
so that it exists exactly if the change does, after every rollback and crash.
"""

from __future__ import annotations

import sqlite3

# Watched tables, each with the column by whose value the auditor reads rows again.
WATCHED = {
    "resource": "id",
    "resource_edge": "child",
    "idempotency_entry": "id",
    "idempotency_other_zone": "entry_id",
    "idempotency_resource": "entry_id",
    "work": "instance",
    "counter": "name",
    "counter_limit": "name",
    "address": "holder",
    "public_address": "holder",
    "simulated_machine": "instance",
    "ripening": "resource",
}
NOTES = "audit_touched"
_TABLE = f"CREATE TABLE {NOTES} (number INTEGER PRIMARY KEY, what TEXT, key)"
_SINCE = f"SELECT number, what, key FROM {NOTES} WHERE number > ? ORDER BY number"
_TRIGGER = """
    CREATE TRIGGER audit_{table}_{verb} AFTER {verb} ON {table}
    BEGIN INSERT INTO audit_touched (what, key) VALUES ('{table}', {row}.{key}); END
"""


def watch(raw: sqlite3.Connection) -> None:
    """Create the triggers. Must be called once, before the database is cloned."""
    raw.execute(_TABLE)
    for table, key in WATCHED.items():
        for verb, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            raw.execute(_TRIGGER.format(table=table, verb=verb, row=row, key=key))


def since(raw: sqlite3.Connection, number: int) -> tuple[int, dict[str, dict[str, None]]]:
    """Return the last note, and the keys of each table touched after note `number`."""
    touched: dict[str, dict[str, None]] = {}
    last = number
    for last, what, key in raw.execute(_SINCE, (number,)):  # noqa: B007 - returned below
        touched.setdefault(what, {})[key] = None
    return last, touched
