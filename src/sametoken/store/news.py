"""News of commits between nodes: NOTIFY after the commit, LISTEN on a connection of its own.

Inside the transaction, a NOTIFY would make commits queue for one lock. So it is sent afterwards,
and coalesced: channels that are woken soon after one NOTIFY go out together with the next. News may
be lost, in a crash or while a connection is down. Listeners therefore also poll, and are all woken
after a reconnect.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import psycopg

from sametoken.errors import Misconfigured
from sametoken.store.channels import Channels
from sametoken.store.pgconnect import CONNECT_SECONDS, connect
from sametoken.store.roll import begin
from sametoken.world import World, mint_uuid

log = logging.getLogger(__name__)

# The PostgreSQL channel that carries the news. A payload reads "NODE CHANNEL CHANNEL…".
_WIRE = "sametoken"
_NOTIFY = "SELECT pg_notify(%s, %s)"
# The listener waits this long before it checks whether it has been stopped.
_LOOK_SECONDS = 0.5
# The wait between two NOTIFYs: many commits share one, and the first is told at once.
_TELL_SECONDS = 0.02
# The wait between two attempts to reach a database that is down.
_RECONNECT_SECONDS = 1.0


class News:
    """Tells other nodes which channels this node woke, and wakes here the channels they woke."""

    def __init__(self, url: str, world: World, channels: Channels) -> None:
        self._url = url
        self._world = world
        self._channels = channels
        # Marks this node's own notices, so that it can ignore them.
        self._node = mint_uuid(world)
        self._untold: set[str] = set()
        self._lock = threading.Lock()
        self._to_tell = threading.Event()
        self._stop = threading.Event()
        self._listening = threading.Event()
        self.threads = [
            threading.Thread(target=self._keep_on, args=(work,), name=name)
            for name, work in (("news-teller", self._tell), ("news-listener", self._hear))
        ]
        begin(self.threads, self._end)
        # Wait for LISTEN, so that users of the store miss no news. If it takes longer, they poll.
        self._listening.wait(CONNECT_SECONDS)

    def tell(self, channels: set[str]) -> None:
        """Have `channels` announced to other nodes soon. Does not wait."""
        with self._lock:
            self._untold |= channels
        self._to_tell.set()

    def close(self) -> None:
        self._end()
        for thread in self.threads:
            thread.join()

    def _end(self) -> None:
        self._stop.set()
        self._to_tell.set()

    def _keep_on(self, work: Any) -> None:
        """Do `work` on a connection; when the connection breaks, start over on a new one."""
        while not self._stop.is_set():
            try:
                with connect(self._url) as connection:
                    work(connection)
            except (psycopg.Error, Misconfigured) as error:
                log.warning("news between nodes: %s", str(error).strip())
                self._world.wait(self._stop, _RECONNECT_SECONDS)

    def _tell(self, connection: psycopg.Connection[Any]) -> None:
        while not self._stop.is_set():
            self._to_tell.wait()
            self._to_tell.clear()
            with self._lock:
                told, self._untold = self._untold, set()
            if told:
                text = " ".join([self._node, *sorted(told)])
                connection.execute(_NOTIFY, (_WIRE, text))
                self._world.wait(self._stop, _TELL_SECONDS)
        # Interrupt the listener's wait, so that it sees the stop at once.
        connection.execute(_NOTIFY, (_WIRE, self._node))

    def _hear(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute(f"LISTEN {_WIRE}")
        if self._listening.is_set():
            # This is a new connection, and news in between is lost: have every listener look.
            self._channels.announce_all()
        self._listening.set()
        while not self._stop.is_set():
            for notice in connection.notifies(timeout=_LOOK_SECONDS):
                node, *channels = notice.payload.split(" ")
                if node != self._node:
                    self._channels.announce(channels)
                if self._stop.is_set():
                    return
