"""The footprint of a launch: rows, bytes, log, index growth; and the cost of forgetting it.

Three parts, on a SQLite file and on a PostgreSQL database:

- *A life*: real launches, accepted, driven to `running`, terminated and swept. After each stage the
  rows of every table are counted, and the log that the stage wrote.
- *Growth*: stores of few and of many launches (`crowd.py`; copied to PostgreSQL row by row). Every
  table's and index's bytes a launch, and how many pages deep a look-up goes.
- *The sweep*: entries forgotten, and the CPU that takes, in the store of many.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import crowd
import psycopg
import sqlalchemy as sa
from cloning import templates
from databases import postgresql_durability as durability
from launches import drive
from measure import Stopwatch, spread, table
from sizes import Meter, Part, PostgresqlMeter, SqliteMeter, copy_to_postgresql
from stores import ACCOUNT, Plane, opened, submit_all

from sametoken.idempotency.ledger import RETENTION
from sametoken.idempotency.tables import ENTRY
from sametoken.migrations.upgrade import upgrade
from sametoken.resources.compute.instances import INSTANCE
from sametoken.resources.kit import rows
from sametoken.server.execution import execute
from sametoken.services.housekeeping import sweep
from sametoken.store import clock, postgresql
from sametoken.store.port import Tx
from store.servers import PostgresServer

RUNNERS, AT_ONCE = 4, 8
# ACCOUNTS are few, so that an account's rows from before any launch (a VPC, its subnets) hardly
# count.
ACCOUNTS, REGIONS = 5, ("us-east-1", "us-west-2")
# Transactions of the sweep between two looks at the clock, and the number of looks.
_TRANSACTIONS, _SWEEPS = 20, 7
# Tables and indexes smaller than this share of the whole are shown together.
_SHOWN_SHARE = 0.01
STAGES = ("accepted", "running", "terminated", "swept")


@dataclass(frozen=True, slots=True)
class Stage:
    """A launch's rows in the database after a stage, and the bytes that the stage logged for it."""

    rows: Counter[str]
    log_bytes: float


# Lives are stages by name, by store.
Lives = Mapping[str, Mapping[str, Stage]]


@dataclass(frozen=True, slots=True)
class Store:
    """A database, opened by its users: its address, and the way to measure it."""

    name: str
    where: Path | str
    meter: Meter


def measure(folder: Path, server: PostgresServer, *, launches: int, lived: int) -> Lives:
    """Print the tables: stores of a tenth of `launches` and of all, and `lived` real ones.

    SQLite's files are in `folder`; the server gets databases of its own.
    """
    few = max(1, launches // 10)
    sizes = {"running": (launches, 0), "few": (0, few), "many": (0, launches)}
    files = {name: folder / f"footprint-{name}.db" for name in sizes}
    places = [(f"{int(ACCOUNT) + at:012d}", name) for at in range(ACCOUNTS) for name in REGIONS]
    cloned = templates(folder)
    for name, (living, ended) in sizes.items():
        crowd.seed(files[name], places=places, living=living, ended=ended, cloned=cloned)
    print(f"\n## Footprint: {lived} launches lived, stores of {few:,} and {launches:,}\n")
    print(f"{durability(server)}; SQLite: journal_mode=WAL, synchronous=FULL.")
    lives = [_sqlite(folder / "footprint-life.db"), _postgresql(_database(server, "life"))]
    stages = {store.name: live(store, lived) for store in lives}
    _print_lives(stages, lived)
    on_sqlite = {name: _sqlite(file) for name, file in files.items()}
    on_postgresql = {name: _copied(file, server, name) for name, file in files.items()}
    for stores in (on_sqlite, on_postgresql):
        _print_growth(stores, few, launches)
    for stores in (on_sqlite, on_postgresql):
        _print_crowded_log(stores["running"], lived)
    for stores in (on_sqlite, on_postgresql):
        _print_sweep(stores["many"])
    return stages


def _database(server: PostgresServer, name: str) -> str:
    with psycopg.connect(server.url(), autocommit=True) as session:
        session.execute(f"CREATE DATABASE footprint_{name}".encode())
    return server.url(f"footprint_{name}")


def _copied(file: Path, server: PostgresServer, name: str) -> Store:
    """Copy the rows to a new PostgreSQL database."""
    url = _database(server, name)
    postgresql.change_schema(url, upgrade)
    copy_to_postgresql(file, url)
    copied = _postgresql(url)
    missing = SqliteMeter(file).rows()
    missing.subtract(copied.meter.rows())
    assert not any(missing.values()), f"not all rows were copied: {missing}"
    return copied


def _sqlite(file: Path) -> Store:
    return Store("SQLite", file, SqliteMeter(file))


def _postgresql(url: str) -> Store:
    return Store("PostgreSQL", url, PostgresqlMeter(url))


def live(store: Store, count: int) -> dict[str, Stage]:
    """Take `count` launches through their stages; return each stage's rows and log, a launch."""
    with opened(store.where) as plane:
        # Run once unmeasured, to leave out rows that an account's first launch adds for good.
        for stage in STAGES:
            _advance(plane, stage, 1)
        before = store.meter.rows()
        found = {}
        for stage in STAGES:
            with store.meter.logging() as logged:
                _advance(plane, stage, count)
            more = store.meter.rows()
            more.subtract(before)
            found[stage] = Stage(more, logged.size_bytes / count)
    return found


def _advance(plane: Plane, stage: str, count: int) -> None:
    """Bring `count` instances, the only ones of the store, to that stage."""
    match stage:
        case "accepted":
            _accept(plane, count)
        case "running":
            drive(plane, count, RUNNERS)
        case "terminated":
            ended = [partial(_terminate, plane, instance) for instance in _instances(plane)]
            assert len(ended) == count, f"{len(ended)} instances live, not {count}"
            submit_all(plane.store, ended, at_once=AT_ONCE)
            drive(plane, count, RUNNERS)
        case _:
            plane.store.run(_let_all_expire)
            while plane.store.run(lambda tx: sweep(tx, plane.engine)):
                pass


def _accept(plane: Plane, count: int) -> None:
    works = [plane.launch(uuid.uuid4().hex) for _ in range(count)]
    submit_all(plane.store, works, at_once=AT_ONCE)


def _terminate(plane: Plane, instance: str, tx: Tx) -> object:
    return execute(tx, plane.engine, plane.admit("TerminateInstances", InstanceIds=[instance]))


def _instances(plane: Plane) -> list[str]:
    query = sa.select(rows.RESOURCE.c.id).where(
        rows.RESOURCE.c.kind == INSTANCE.name, rows.RESOURCE.c.gone_at.is_(None)
    )
    return plane.store.read(lambda tx: [row.id for row in tx.execute(query)])


def _let_all_expire(tx: Tx) -> None:
    clock.advance(tx, RETENTION + timedelta(minutes=1))


def _print_lives(lives: Lives, count: int) -> None:
    for name, stages in lives.items():
        held = {
            part: [stages[stage].rows[part] / count for stage in STAGES]
            for part in sorted(stages["terminated"].rows | stages["running"].rows)
        }
        body = [
            (part, *(f"{value:.2f}".removesuffix(".00") for value in values))
            for part, values in held.items()
            if any(abs(value) >= 0.01 for value in values)
        ]
        total = [sum(values[at] for values in held.values()) for at in range(len(STAGES))]
        logged = [f"{stages[stage].log_bytes / 1000:,.1f}" for stage in STAGES]
        print(f"\n### Rows a launch, {name} (the last line: KB of log that the stage wrote)\n")
        print(
            table(
                ("table", *STAGES),
                [*body, ("all", *(f"{value:.1f}" for value in total)), ("log, KB", *logged)],
            )
        )


def _print_growth(stores: Mapping[str, Store], few: int, many: int) -> None:
    parts = {name: {part.name: part for part in one.meter.parts()} for name, one in stores.items()}
    counts = {"few": few, "many": many, "running": many}

    def each(name: str, chosen: Callable[[Part], bool]) -> float:
        return sum(p.size_bytes for p in parts[name].values() if chosen(p)) / counts[name]

    whole = each("many", lambda part: True)
    large = [p for p in parts["many"].values() if p.size_bytes / many >= _SHOWN_SHARE * whole]
    names = {part.name for part in large}
    columns: Sequence[str] = ("running", "few", "many")

    def line(label: str, chosen: Callable[[Part], bool], depth: str = "") -> tuple[str, ...]:
        return (label, *(f"{each(column, chosen):,.0f}" for column in columns), depth)

    def depths(part: Part) -> str:
        first, last = (parts[name][part.name].depth for name in ("few", "many"))
        return f"{first} → {last}" if last else ""

    body = [
        line(
            f"{part.table}: {part.name}" if part.is_index else part.name,
            partial(_is_named, part.name),
            depths(part),
        )
        for part in large
    ]
    body.append(line("all smaller ones", lambda part: part.name not in names))
    body.append(line("tables", lambda part: not part.is_index))
    body.append(line("indexes", lambda part: part.is_index))
    body.append(line("all", lambda part: True))
    name = stores["many"].name
    print(f"\n### Bytes a launch, {name} (table or table: index)\n")
    head = ("", f"running, {many:,}", f"ended, {few:,}", f"ended, {many:,}", "depth, pages")
    print(table(head, body))


def _is_named(name: str, part: Part) -> bool:
    return part.name == name


def _print_crowded_log(store: Store, count: int) -> None:
    """Print the log of a launch whose pages are scattered over a large store."""
    with opened(store.where) as plane:
        _accept(plane, 1)
        drive(plane, 1, RUNNERS)
        said = []
        for stage, act in (
            ("to accept", partial(_accept, plane, count)),
            ("to drive", partial(drive, plane, count, RUNNERS)),
        ):
            with store.meter.logging() as logged:
                act()
            images = f", {logged.images / count:.1f} images of pages" if logged.images else ""
            said.append(f"{logged.size_bytes / count / 1000:,.1f} KB {stage}{images}")
    print(
        f"\nLog of a launch in the store of running ones, {store.name}, right after a checkpoint: "
        f"{'; '.join(said)} ({count} launches)."
    )


def _print_sweep(store: Store) -> None:
    """Forget entries of the store of ended launches, as many transactions at a time."""
    with opened(store.where) as plane:
        plane.store.run(_let_all_expire)
        rates, deleted, costs = [], [], []
        for _ in range(_SWEEPS):
            before, cpu = store.meter.rows(), store.meter.server_cpu_seconds()
            watch = Stopwatch()
            for _ in range(_TRANSACTIONS):
                plane.store.run(lambda tx: sweep(tx, plane.engine))
            run = watch.stop(_TRANSACTIONS)
            cpu = store.meter.server_cpu_seconds() - cpu
            before.subtract(store.meter.rows())
            entries = before[ENTRY.name]
            if entries == 0:
                break
            rates.append(entries / run.seconds)
            deleted.append(before.total() / run.seconds)
            costs.append(1000 * (run.cpu_seconds + cpu) / entries)
    print(
        f"\nSweep, {store.name}: {spread(rates):,.0f} entries a second, {spread(deleted):,.0f} "
        f"rows a second, {spread(costs):.2f} ms of CPU an entry, the database's and ours "
        f"({len(rates)} times {_TRANSACTIONS} transactions)."
    )
