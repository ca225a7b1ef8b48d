"""One in-memory database that all simulated nodes share, made once and cloned per schedule."""

from __future__ import annotations

import gc
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from threading import Event
from typing import Any

import sqlalchemy as sa

from sametoken.migrations.tables import METADATA
from sametoken.resources.kit import counters
from sametoken.resources.network import default_vpc
from sametoken.store import clock
from sametoken.store.engines import SQLITE, engine_for
from sametoken.store.port import Tx
from sametoken.store.sqlite import SqliteSession
from sametoken.store.statements import Straight
from simulation.ground import Ground
from simulation.hazards import Hazards
from simulation.touches import NOTES, watch
from simulation.world import EPOCH, SimulatedWorld

ACCOUNTS = ("000000000001", "000000000002")
# Two Regions of three zones each; which accounts use them is the clients' affair.
REGIONS = ("us-east-2", "eu-west-1")
# The maxima at the start: more than the callers ever want together.
LIMITS = {"capacity/*/*": 50, "vcpus/*/*": 100}


class _Lasting(sqlite3.Connection):
    """A connection whose data outlive it: closing it does what losing the process would."""

    def close(self) -> None:
        if self.in_transaction:
            self.rollback()


class Database:
    """The shared database of one process's schedules, one at a time."""

    def __init__(self) -> None:
        self.raw = sqlite3.connect(
            ":memory:", isolation_level=None, factory=_Lasting, cached_statements=4096
        )
        self.engine = engine_for(SQLITE, lambda: self.raw)
        self._reader: sa.Connection = Straight(self.engine)
        self._image = self._prepare()
        # As of how many changes of the database the moment was read, and what it was.
        self._moment = -1, 0

    def _prepare(self) -> dict[str, list[tuple[Any, ...]]]:
        for metadata in METADATA:
            metadata.create_all(self._reader)
        clock.create(self._reader)
        watch(self.raw)
        tx = Tx(self._reader, EPOCH, _Counter())
        for name, maximum in LIMITS.items():
            counters.set_maximum(tx, name, maximum)
        for account in ACCOUNTS:
            for region in REGIONS:
                default_vpc.seed(tx, account, region)
        return {
            table: self.query(f"SELECT * FROM {table}")
            for (table,) in self.query("SELECT name FROM sqlite_master WHERE type = 'table'")
            if table != NOTES
        }

    def ground(self, account: str, region: str) -> Ground:
        """What the account finds in the Region before anything was made."""
        rows = self.query(
            "SELECT kind, zone, id FROM resource WHERE account = ? AND region = ?"
            " AND kind IN ('vpc', 'subnet')",
            (account, region),
        )
        [vpc] = [id for kind, _, id in rows if kind == "vpc"]
        return Ground(
            account, region, vpc, {zone: id for kind, zone, id in rows if kind == "subnet"}
        )

    def load(self, *, scarce: bool) -> None:
        """Begin again from the prepared image; with room for one instance a zone if `scarce`."""
        self.raw.close()
        self.raw.execute("BEGIN")
        for table in (*self._image, NOTES):
            self.raw.execute(f"DELETE FROM {table}")
        for table, rows in self._image.items():
            if rows:
                marks = ",".join("?" * len(rows[0]))
                self.raw.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        if scarce:
            self.query("UPDATE counter_limit SET maximum = 1 WHERE name = 'capacity/*/*'")
        self.raw.execute("COMMIT")

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.raw.execute(sql, parameters).fetchall()

    def moment_us(self) -> int:
        """The moment of the last transaction that committed, in the store's time."""
        changes = self.raw.total_changes
        if self._moment[0] != changes:
            [(high,)] = self.query("SELECT high_us FROM store_clock")
            self._moment = changes, int(high)
        return self._moment[1]

    def reader(self) -> sa.Connection:
        assert not self.raw.in_transaction, "a transaction is open across a switch"
        return self._reader


class _Counter:
    """Randomness for the image: it need only be the same in every process."""

    def __init__(self) -> None:
        self._count = 0

    def token_hex(self, length: int) -> str:
        self._count += 1
        return f"{self._count:0{length}x}"

    def now(self) -> datetime:
        return EPOCH

    def monotonic(self) -> float:
        return 0.0

    def random(self) -> float:
        return 0.0

    def wait(self, signal: Event, seconds: float) -> bool:
        raise AssertionError("nobody waits while the image is made")


@cache
def database() -> Database:
    """This process's database."""
    made = Database()
    # What a process has loaded by now stays: looking through it again and again for garbage takes a
    # twentieth of each schedule.
    gc.freeze()
    return made


class Session(SqliteSession):
    """The program's writing connection, on a disk that may fail at COMMIT."""

    def __init__(self, engine: sa.Engine, world: SimulatedWorld, hazards: Hazards) -> None:
        super().__init__(engine, world)
        self._hazards = hazards

    def command(self, sql: str) -> None:
        if sql == "COMMIT":
            self._hazards.at_commit(lambda: super(Session, self).command(sql))
        else:
            super().command(sql)
