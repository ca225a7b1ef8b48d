"""Rows of a database, read behind the server's back, against those that launches may have.

`assert held(server) == whole(running=1)` leaves no room for an orphan of any kind.
"""

from __future__ import annotations

from typing import Any, Protocol


class HasRows(Protocol):
    """A server, or a plane in this process, whose rows can be read."""

    def rows(self, sql: str, *parameters: object) -> list[Any]: ...


# The launch of `plane.LAUNCH` (t3.micro) takes this many virtual CPUs of the account's quota.
VCPUS = 2
_STEPS = 4  # placement, volumes, networks, machines: one internal entry each


def whole(*, running: int = 0, terminated: int = 0) -> dict[str, int]:
    """The counts of so many whole launches of one instance each, and of no other rows."""
    return {
        name: count
        for name, count in {
            "instance running": running,
            "instance terminated": terminated,
            "volume in-use": running,
            "volume deleted": terminated,
            "network-interface in-use": running,
            "network-interface deleted": terminated,
            "placement reserved": running,
            "placement deleted": terminated,
            "machine running": running,
            "machine absent": terminated,
            "addresses": running,
            "capacity": running,
            "vcpus": VCPUS * running,
            "entries": running + terminated,
            "launch steps taken": _STEPS * (running + terminated),
            "boots": running + terminated,
        }.items()
        if count
    }


# Queries, each for rows that no living resource explains.
_ORPHANS = {
    "an address without its living interface": (
        "SELECT holder FROM address WHERE holder NOT IN "
        "(SELECT id FROM resource WHERE kind = 'network-interface' AND gone_at IS NULL)"
    ),
    "a volume or interface under no living instance": (
        "SELECT id FROM resource r WHERE kind IN ('volume', 'network-interface') "
        "AND gone_at IS NULL AND NOT EXISTS (SELECT 1 FROM resource_edge e JOIN resource i "
        "ON i.id = e.parent AND i.kind = 'instance' AND i.gone_at IS NULL WHERE e.child = r.id)"
    ),
    "a machine of no living instance": (
        "SELECT instance FROM simulated_machine WHERE state != 'absent' AND instance NOT IN "
        "(SELECT id FROM resource WHERE kind = 'instance' AND gone_at IS NULL)"
    ),
    "a reserved host of no living instance": (
        "SELECT id FROM resource WHERE kind = 'placement' AND state = 'reserved' "
        "AND doc ->> 'InstanceId' NOT IN "
        "(SELECT id FROM resource WHERE kind = 'instance' AND gone_at IS NULL)"
    ),
    "an instance that no entry names": (
        "SELECT id FROM resource WHERE kind = 'instance' AND id NOT IN "
        "(SELECT resource_id FROM idempotency_resource)"
    ),
    "an entry without its outcome": (
        "SELECT client_token FROM idempotency_entry WHERE state IS NULL"
    ),
    "work of no instance": (
        "SELECT instance FROM work WHERE instance NOT IN (SELECT id FROM resource)"
    ),
    "a lease that nobody holds any more": (
        "SELECT instance FROM work WHERE lease_until IS NOT NULL AND due_at IS NULL"
    ),
}


def held(server: HasRows) -> dict[str, int]:
    """Count the rows that a launch may leave behind, orphans too; leave out zeroes."""
    counts = {
        f"{kind} {state}": count
        for kind, state, count in server.rows(
            "SELECT kind, state, count(*) FROM resource WHERE kind IN "
            "('instance', 'volume', 'network-interface', 'placement') GROUP BY kind, state"
        )
    }
    counts |= {
        f"machine {state}": count
        for state, count in server.rows(
            "SELECT state, count(*) FROM simulated_machine GROUP BY state"
        )
    }
    for name, sql in {
        "addresses": "SELECT count(*) FROM address",
        "capacity": "SELECT coalesce(sum(used), 0) FROM counter WHERE name LIKE 'capacity/%'",
        "vcpus": "SELECT coalesce(sum(used), 0) FROM counter WHERE name LIKE 'vcpus/%'",
        "entries": "SELECT count(*) FROM idempotency_entry WHERE action = 'RunInstances'",
        "launch steps taken": "SELECT count(*) FROM idempotency_entry WHERE action LIKE '%.ensure'",
        "boots": "SELECT coalesce(sum(boots), 0) FROM simulated_machine",
    }.items():
        counts[name] = int(server.rows(sql)[0][0])
    counts |= {f"{what} {row[0]}": 1 for what, sql in _ORPHANS.items() for row in server.rows(sql)}
    return {name: count for name, count in counts.items() if count}
