"""Which rows were touched since the auditor last looked, noted by triggers of its own.

The program knows nothing of them. What a trigger notes is part of the transaction that touched
the row: it is there exactly if the change is, whoever rolled back or crashed.
"""

from __future__ import annotations

import sqlite3

# Each watched table, and the column that says whose rows to read again.
WATCHED = {
    "resource": "id",
    "resource_edge": "child",
    "idempotency_entry": "id",
    "idempotency_outcome": "entry_id",
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
    """Put the triggers in place. Done once, before the database is cloned."""
    raw.execute(_TABLE)
    for table, key in WATCHED.items():
        for verb, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            raw.execute(_TRIGGER.format(table=table, verb=verb, row=row, key=key))


def since(raw: sqlite3.Connection, number: int) -> tuple[int, dict[str, dict[str, None]]]:
    """What was touched after note `number`: the last note, and the keys of each table."""
    touched: dict[str, dict[str, None]] = {}
    last = number
    for last, what, key in raw.execute(_SINCE, (number,)):  # noqa: B007 - returned below
        touched.setdefault(what, {})[key] = None
    return last, touched
