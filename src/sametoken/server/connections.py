"""Connections of one edge, and what they share: how many there may be, the date, their end.

No sockets are opened here, and no byte is read.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from email.utils import format_datetime
from typing import Any, Final, Protocol

from sametoken.server.bounds import Bounds, Refusal
from sametoken.server.counts import ConnectionCounts
from sametoken.server.tally import Tally
from sametoken.server.turns import Endpoint
from sametoken.world import World

# After the drain, tasks are cancelled and sockets reset. The event loop gets this long to notice,
# far more than it needs.
_NOTICE_SECONDS: Final = 1.0


class Member(Protocol):
    """A connection, as far as its end needs it."""

    transport: asyncio.Transport

    def shut_down(self) -> None:
        """Close, at once or after the replies that are due."""
        ...


class Connections:
    """The open connections of one edge. For use in its event loop alone."""

    def __init__(
        self,
        endpoint: Endpoint,
        bounds: Bounds,
        world: World,
        tally: Tally,
        mark: bytes = b"",
        counts: ConnectionCounts | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.bounds = bounds
        self.world = world
        self.tasks: set[asyncio.Task[Any]] = set()
        self.draining = False
        self._open: set[Member] = set()
        # Connections that have sent nothing, each with the moment since when; the oldest first.
        self._silent: dict[Member, float] = {}
        self._tally = tally
        self._one_ended = asyncio.Event()
        self._mark = mark
        self._second = 0
        self._stamp = b""
        self._counts = counts or ConnectionCounts()

    def add(self, member: Member) -> bool:
        """Take a connection; False if it is one too many, or comes too late."""
        self._open.add(member)
        self._counts.opened.add()
        self._tally.note(len(self._open))
        if self.draining:
            return False
        is_room = self._tally.total() <= self.bounds.connections_max or self._replace_silent()
        self._silent[member] = self.world.monotonic()
        return is_room

    def heard(self, member: Member) -> None:
        """Take note that a connection has sent something."""
        self._silent.pop(member, None)

    def _replace_silent(self) -> bool:
        """Close the connection that has been silent for longest; False if none has been for long.

        Sockets that only fill the house keep nobody out so. A request that meets the closing has
        not run, as at the end of an idle connection.
        """
        for member, since in self._silent.items():
            if self.world.monotonic() - since < self.bounds.spare_seconds_max:
                break
            del self._silent[member]
            self._counts.shed.add("silent")
            member.shut_down()
            return True
        return False

    def is_spare(self) -> bool:
        """Return whether the connection that was added last may stay, for a probe."""
        return self.has_room(0)

    def has_room(self, more: int) -> bool:
        """Return whether there may be so many more connections, spare ones included."""
        if self.draining:
            return False
        most = self.bounds.connections_max + self.bounds.spare_connections_max
        return self._tally.total() + more <= most or self._replace_silent()

    def make_room(self, count: int, asking: Member) -> None:
        """Make room for a reply of so many bytes: cut those who have read the least of theirs."""
        unsent = {one: one.transport.get_write_buffer_size() for one in self._open}
        beyond = sum(unsent.values()) + count - self.bounds.unsent_bytes_max
        for member in sorted(unsent, key=unsent.__getitem__, reverse=True):
            if beyond <= 0 or not unsent[member]:
                return
            if member is not asking:
                self._counts.shed.add("unread")
                member.transport.abort()
                beyond -= unsent[member]

    def refused(self, refusal: Refusal) -> None:
        """Take note of a refusal that a connection has sent by itself."""
        self._counts.refused.add(refusal.code)

    def discard(self, member: Member) -> None:
        self._open.discard(member)
        self._silent.pop(member, None)
        self._tally.note(len(self._open))
        self._one_ended.set()

    def stamp(self) -> bytes:
        """Return the header lines that all replies share; the date is of this second."""
        now = self.world.now()
        if int(now.timestamp()) != self._second:
            self._second = int(now.timestamp())
            date = format_datetime(now, usegmt=True).encode("ascii")
            self._stamp = b"date: %b\r\nserver: sametoken\r\n%b" % (date, self._mark)
        return self._stamp

    async def drain(self) -> None:
        """Close those that wait for no reply, and the others after it; in the end cut them off."""
        self.draining = True
        for member in list(self._open):
            member.shut_down()
        if await self._quiet(self.bounds.drain_seconds_max):
            return
        for task in self.tasks:
            task.cancel()  # its caller hears a 500, if nothing was sent yet
        await self._quiet(_NOTICE_SECONDS)
        for member in list(self._open):
            member.transport.abort()
        await self._quiet(_NOTICE_SECONDS)

    async def _quiet(self, seconds: float) -> bool:
        """Wait until no connection is open and no request is in work; False if time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._open:
                    self._one_ended.clear()
                    await self._one_ended.wait()
                while self.tasks:
                    await asyncio.wait(self.tasks)
        return not self._open and not self.tasks
