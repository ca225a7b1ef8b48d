"""Database in memory that all simulated nodes share, prepared once and reset for each schedule."""

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
# Regions that clients use, of three zones each.
REGIONS = ("us-east-2", "eu-west-1")
# Maxima at the start of a schedule, above all that the callers ever want together.
LIMITS = {"capacity/*/*": 50, "vcpus/*/*": 100}


class _Lasting(sqlite3.Connection):
    """A connection that closing does not end: it rolls back, as the end of the process would."""

    def close(self) -> None:
        if self.in_transaction:
            self.rollback()


class Database:
    """The database of a process's schedules, which run one at a time."""

    def __init__(self) -> None:
        self.raw = sqlite3.connect(
            ":memory:", isolation_level=None, factory=_Lasting, cached_statements=4096
        )
        self.engine = engine_for(SQLITE, lambda: self.raw)
        self._reader: sa.Connection = Straight(self.engine)
        self._image = self._prepare()
        # SQLite's count of changes, and the moment that was read at that count.
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
        """Return an account's ground in a Region, with the VPC and subnets it starts with."""
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
        """Reset to the prepared image, with capacity for one instance in each zone if `scarce`."""
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
        """Return the moment of the last transaction that committed, in the store's time."""
        changes = self.raw.total_changes
        if self._moment[0] != changes:
            [(high,)] = self.query("SELECT high_us FROM store_clock")
            self._moment = changes, int(high)
        return self._moment[1]

    def reader(self) -> sa.Connection:
        assert not self.raw.in_transaction, "a transaction is open across a switch"
        return self._reader


class _Counter:
    """Stands in for the randomness of the image, which must be the same in every process."""

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
    """Return this process's database."""
    made = Database()
    # Exempt all that the process has loaded by now from garbage collection: it stays, and searching
    # it again and again takes a twentieth of each schedule.
    gc.freeze()
    return made


class Session(SqliteSession):
    """The program's session that writes, on a disk that may fail at COMMIT."""

    def __init__(
        self, engine: sa.Engine, world: SimulatedWorld, pace: clock.Pace, hazards: Hazards
    ) -> None:
        super().__init__(engine, world, pace)
        self._hazards = hazards

    def command(self, sql: str) -> None:
        if sql == "COMMIT":
            self._hazards.at_commit(lambda: super(Session, self).command(sql))
        else:
            super().command(sql)
