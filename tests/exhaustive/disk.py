"""A small database and all its states, each kept as an image and known by a number.

Two states get one number only if all their rows are equal, hidden row numbers included: every
statement then sees the same, whichever steps led there. At most the places of pages differ.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from threading import Event
from typing import Any, NamedTuple

from sametoken.migrations.tables import METADATA
from sametoken.resources.network import default_vpc
from sametoken.store import clock
from sametoken.store.engines import SQLITE, engine_for
from sametoken.store.port import Tx
from sametoken.store.statements import Straight

ACCOUNT, REGION = "000000000001", "us-east-2"
EPOCH = datetime(2031, 1, 1, tzinfo=UTC)
# SQLite's smallest page, because an image is copied at every step.
_PAGE_BYTES = 512


class Age(NamedTuple):
    """Events of a run that happen once at most."""

    restarted: bool = False
    lease_over: bool = False


class World:
    """A clock that stands still, and numbers in their order; a restarted process draws others."""

    def __init__(self) -> None:
        self.drawn = 0
        self.past = timedelta(0)

    def now(self) -> datetime:
        return EPOCH + self.past

    def monotonic(self) -> float:
        return 0.0

    def random(self) -> float:
        return 0.0

    def token_hex(self, length: int) -> str:
        # Count ids only. Short texts are neighbourhoods of ids (resources/kit/ids.py), drawn once
        # for each commit; they would make equal states differ.
        if length <= 4:
            return "0" * length
        self.drawn += 1
        return f"{self.drawn:0{length}x}"

    def wait(self, signal: Event, seconds: float) -> bool:
        raise AssertionError("nobody waits here")


class _Lasting(sqlite3.Connection):
    """A connection whose data outlive it: `close` only undoes, as the end of a process does."""

    def close(self) -> None:
        if self.in_transaction:
            self.rollback()


class Disk:
    """A database and all the states it has been in. Calls `look` with each new state's number."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.look: Callable[[int], None] = lambda number: None
        self.raw = sqlite3.connect(":memory:", isolation_level=None, factory=_Lasting)
        self.raw.execute(f"PRAGMA page_size={_PAGE_BYTES}")
        # From here on `serialize` gives what has committed. Of a database that was never loaded it
        # would give an open transaction too.
        self.raw.execute("CREATE TABLE page (one)")
        self.raw.deserialize(self.raw.serialize())
        self.raw.execute("DROP TABLE page")
        self._loaded = sqlite3.connect(":memory:", isolation_level=None)
        self.engine = engine_for(SQLITE, lambda: self.raw)
        self.reader = Straight(self.engine)
        for metadata in METADATA:
            metadata.create_all(self.reader)
        clock.create(self.reader)
        default_vpc.seed(Tx(self.reader, EPOCH, world), ACCOUNT, REGION)
        tables = self.raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        self._dumps = [
            f"SELECT {'' if 'WITHOUT ROWID' in sql else 'rowid, '}* FROM {name} ORDER BY 1, 2"
            for name, sql in tables
        ]
        self._images: list[tuple[bytes, int]] = []
        self._numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._images)

    def query(self, sql: str, *parameters: str) -> list[tuple[Any, ...]]:
        return self.raw.execute(sql, parameters).fetchall()

    def keep(self) -> int:
        """Return the number of the state that the database is in; keep its image if it is new."""
        assert not self.raw.in_transaction, "only what has committed is kept"
        rows = [self.raw.execute(dump).fetchall() for dump in self._dumps]
        state = sha256(repr((rows, self.world.drawn)).encode()).digest()
        known = self._numbers.get(state)
        if known is None:
            known = self._numbers[state] = len(self._images)
            self._images.append((self.raw.serialize(), self.world.drawn))
            self.look(known)
        return known

    def load(self, number: int) -> None:
        image, self.world.drawn = self._images[number]
        self.put(image)

    def put(self, image: bytes) -> None:
        """Replace the database by `image`, which a crash has left.

        The image is first loaded into a connection that executes nothing: `deserialize` leaves
        those table functions dangling that its connection has used, such as `json_each`, and their
        next use ends the process.
        """
        self.raw.close()
        self._loaded.deserialize(image)
        self._loaded.backup(self.raw)
