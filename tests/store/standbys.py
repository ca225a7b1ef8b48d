"""A primary with a synchronous standby, which change places: real servers, on loopback.

No commit is answered before the standby has it on its disk. So nothing that was acknowledged is
lost when the standby takes over, unless somebody cancels the wait.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from store.servers import PostgresServer

# Between two looks at a server, and how many looks only a hang reaches.
_LOOK_SECONDS = 0.02
_LOOKS_MAX = 3000
_SETTINGS = {
    # What outlives a crash of a server need not outlive one of the machine.
    "fsync": "off",
    "max_connections": "200",
    "synchronous_standby_names": "*",
    # A standby that was away finds here what it missed, and looks for it at once.
    "wal_keep_size": "256MB",
    "wal_retrieve_retry_interval": "100ms",
}
_WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
_IN_STEP = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'"


class Pair:
    """Two servers, one of which is the primary."""

    def __init__(self, folder: Path) -> None:
        self.servers = tuple(
            PostgresServer(folder / name, settings=_SETTINGS) for name in ("left", "right")
        )
        self.primary, self.standby = self.servers

    def start(self) -> None:
        """Make both, and have one follow the other."""
        self.primary.create()
        self.primary.start()
        self.rejoin()

    def stop(self) -> None:
        """End whatever runs of it, whatever became of it before."""
        with ExitStack() as stack:
            for server in self.servers:
                if server.is_running():
                    stack.callback(server.stop, "immediate")

    def url(self, name: str, *, ports: tuple[int, ...] = ()) -> str:
        """The database on whichever of the two takes writes; `ports`: another way to them."""
        hosts = ",".join(
            f"127.0.0.1:{port}" for port in ports or [server.port for server in self.servers]
        )
        return f"postgresql://sametoken@{hosts}/{name}?target_session_attrs=read-write"

    def ask(self, sql: str, *parameters: object) -> list[Any]:
        """Run one statement at the primary, on a connection of its own."""
        with psycopg.connect(self.primary.url(), autocommit=True) as onlooker:
            done = onlooker.execute(sql.encode(), parameters)
            return [] if done.description is None else done.fetchall()

    def until(self, sql: str) -> list[Any]:
        """The first answer to `sql` once there is one."""
        for _ in range(_LOOKS_MAX):
            found = self.ask(sql)
            if found:
                return found
            threading.Event().wait(_LOOK_SECONDS)
        raise AssertionError(f"in vain: {sql}")

    def restart(self, mode: str) -> None:
        """Stop the primary and start it; `mode`: fast, or immediate, which is a crash."""
        self.primary.stop(mode)
        self.primary.start()
        self.until(_IN_STEP)

    def cancel_waiting_commits(self) -> int:
        """Wait until commits wait for the standby, and cancel their waits; how many.

        Each is answered with success and a warning, and the standby may never have it.
        """
        pids = [pid for (pid,) in self.until(_WAITING)]
        return sum(self.ask("SELECT pg_cancel_backend(%s)", pid)[0][0] for pid in pids)

    def fence(self) -> None:
        """Crash the primary: from here on it answers nobody."""
        self.primary.stop("immediate")

    def take_over(self) -> None:
        """Make the standby the primary. The old one was fenced."""
        assert not self.primary.is_running(), "two primaries"
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def rejoin(self) -> None:
        """Make the other server a standby anew; returns once commits need not wait for it."""
        self.standby.follow(self.primary)
        self.standby.start()
        self.until(_IN_STEP)
