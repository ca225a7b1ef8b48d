"""Values made of rows, kept in memory under the versions of these rows, within a bound of bytes.

A transaction reads the versions, then asks for the value that was made of rows at exactly these. So
no value is older than what the transaction sees, whoever has changed the rows. Of each key the
newest value is kept; the one that was not asked for the longest goes first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Any

# For each store, and so for each process. A value of a few kilobytes stands for an instance.
BYTES_MAX = 64 * 1024 * 1024
# The bytes of an entry around its key, version and value.
ENTRY_BYTES = 320


class Lives:
    """The kept values of a store whose rows may go back to former ones.

    After a failover to a server that lacks the last commits, or when a saved state is put back, the
    versions that were made since are made a second time, for other content. So values are kept for
    one `life`, until another is met: on PostgreSQL that of the server's process, which serves all
    commits in one order and loses none it has shown; on SQLite that between two switches of the
    clock, of which a putting back is one.
    """

    def __init__(self) -> None:
        self._newest: tuple[Hashable, Kept] = (None, Kept())

    def of(self, life: Hashable) -> Kept:
        newest = self._newest
        if newest[0] != life:
            newest = self._newest = (life, Kept())
        return newest[1]


class Kept:
    """The kept values of a store, shared by its threads. Values must not be changed in place."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._entries: OrderedDict[Hashable, tuple[Hashable, Any, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, wanted: Iterable[tuple[Hashable, Hashable]]) -> list[Any]:
        """Return for each key and version the value that is kept under both, or None."""
        found: list[Any] = []
        entries = self._entries
        with self._lock:
            for key, version in wanted:
                entry = entries.get(key)
                if entry is None or entry[0] != version:
                    found.append(None)
                    continue
                entries.move_to_end(key)
                found.append(entry[1])
        return found

    def keep(self, key: Hashable, version: Hashable, value: Any, size: int) -> None:
        """Keep a value made of rows at `version`, in place of another; `size` is in bytes."""
        size += ENTRY_BYTES
        with self._lock:
            before = self._entries.pop(key, None)
            self.bytes += size - (0 if before is None else before[2])
            self._entries[key] = version, value, size
            while self.bytes > self._bytes_max:
                _, (_, _, freed) = self._entries.popitem(last=False)
                self.bytes -= freed
