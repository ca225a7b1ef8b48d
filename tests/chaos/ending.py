"""The database at the end of a run, as rows of the history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from chaos.history import Writer

# Queries of the tables. Each row becomes an event whose members are its columns.
TABLES: Mapping[str, str] = {
    # Entries of clients' tokens with their resources; the steps of launches have entries of their
    # own.
    "entry": (
        "SELECT account, region, action, client_token AS token,"
        " (e.state = 'settled')::int + (SELECT count(*) FROM idempotency_other_zone o"
        "  WHERE o.entry_id = e.id AND o.state = 'settled') AS settled,"
        " ARRAY(SELECT resource_id FROM idempotency_resource r WHERE r.entry_id = e.id) AS ids"
        " FROM idempotency_entry e WHERE account != 'internal'"
    ),
    "resource": (
        "SELECT id, kind, account, region, zone, state, gone_at IS NOT NULL AS gone,"
        " client_token AS token, doc ->> 'InstanceType' AS type,"
        " ARRAY(SELECT parent FROM resource_edge d WHERE d.child = r.id) AS parents"
        " FROM resource r WHERE kind IN ('instance', 'volume', 'network-interface', 'placement',"
        " 'route-table', 'network-acl')"
    ),
    "machine": "SELECT instance, state, boots FROM simulated_machine",
    "work": "SELECT instance, plan, step, due_at IS NOT NULL AS due FROM work",
    "address": "SELECT holder FROM address",
    "counter": "SELECT name, used FROM counter",
}
# A query that counts the work left to do.
UNFINISHED = (
    "SELECT (SELECT count(*) FROM work WHERE due_at IS NOT NULL)"
    " + (SELECT count(*) FROM resource WHERE state IN ('pending', 'shutting-down', 'stopping',"
    " 'creating', 'deleting'))"
)


def write_rows(url: str, history: Writer) -> None:
    """Write all rows, read in one snapshot."""
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as session:
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for table, sql in TABLES.items():
            for row in session.execute(sql.encode()):
                members: dict[str, Any] = dict(row)
                history.write("row", table=table, **members)
