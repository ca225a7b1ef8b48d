"""A primary and a synchronous standby, which can change places: real servers, on loopback.

A commit is answered only when the standby has it on its disk. So no acknowledged commit is lost
when the standby takes over, unless an administrator cancelled its wait.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from store.servers import PostgresServer

# The pause between two looks at a server, and a number of looks that only a hang reaches.
_LOOK_SECONDS = 0.02
_LOOKS_MAX = 3000
_SETTINGS = {
    # Commits must survive a crash of a server, but not of the machine.
    "fsync": "off",
    "max_connections": "200",
    "synchronous_standby_names": "*",
    # Keep enough log for a standby that was away, and have it reconnect at once.
    "wal_keep_size": "256MB",
    "wal_retrieve_retry_interval": "100ms",
}
_WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
_IN_STEP = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'"


class Pair:
    """A pair of servers, one of which is the primary."""

    def __init__(self, folder: Path) -> None:
        self.servers = tuple(
            PostgresServer(folder / name, settings=_SETTINGS) for name in ("left", "right")
        )
        self.primary, self.standby = self.servers

    def start(self) -> None:
        """Make both servers, and have one follow the other."""
        self.primary.create()
        self.primary.start()
        self.rejoin()

    def stop(self) -> None:
        """Stop the servers that run, in whatever state a test has left them."""
        with ExitStack() as stack:
            for server in self.servers:
                if server.is_running():
                    stack.callback(server.stop, "immediate")

    def url(self, name: str, *, ports: tuple[int, ...] = ()) -> str:
        """Return the URL of a database on both servers. `ports` replaces the servers' own ports."""
        hosts = ",".join(
            f"127.0.0.1:{port}" for port in ports or [server.port for server in self.servers]
        )
        return f"postgresql://sametoken@{hosts}/{name}?target_session_attrs=read-write"

    def ask(self, sql: str, *parameters: object) -> list[Any]:
        """Run a statement on the primary, on a connection of its own."""
        with psycopg.connect(self.primary.url(), autocommit=True) as onlooker:
            done = onlooker.execute(sql.encode(), parameters)
            return [] if done.description is None else done.fetchall()

    def until(self, sql: str) -> list[Any]:
        """Repeat the query `sql` until it returns rows; return them."""
        for _ in range(_LOOKS_MAX):
            found = self.ask(sql)
            if found:
                return found
            threading.Event().wait(_LOOK_SECONDS)
        raise AssertionError(f"in vain: {sql}")

    def restart(self, mode: str) -> None:
        """Stop the primary and start it. `mode` is fast, or immediate, which is like a crash."""
        self.primary.stop(mode)
        self.primary.start()
        self.until(_IN_STEP)

    def cancel_waiting_commits(self) -> int:
        """Wait until commits wait for the standby, and cancel their waits; return how many.

        Each is answered with success and a warning, and the standby may never get it.
        """
        pids = [pid for (pid,) in self.until(_WAITING)]
        return sum(self.ask("SELECT pg_cancel_backend(%s)", pid)[0][0] for pid in pids)

    def fence(self) -> None:
        """Crash the primary: from here on it answers no client."""
        self.primary.stop("immediate")

    def take_over(self) -> None:
        """Make the standby the primary. The old primary must have been fenced."""
        assert not self.primary.is_running(), "two primaries"
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def rejoin(self) -> None:
        """Make the other server a standby again; returns once it is synchronous."""
        self.standby.follow(self.primary)
        self.standby.start()
        self.until(_IN_STEP)
