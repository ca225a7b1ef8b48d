"""Clones of a launch: the rows that the real code left behind, with ids and addresses of their own.

A launch is made, and every row that appeared or changed is a template. Each clone has ids, tokens,
entry numbers, an address, an account and a Region of its own. So clones are as many rows as real
launches leave, and as long, in whatever tables there are; only the way they are written differs.
SQLite alone.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launches import drive
from stores import ACCOUNT, REGION, Plane, opened

from sametoken.resources.network import default_vpc, vpcs

Row = tuple[Any, ...]
Clone = dict[str, list[list[Any]]]
# Tables whose rows all launches share: a launch changes them, but does not leave them behind.
_SHARED = frozenset({"counter", "store_clock"})
# Texts that differ between two launches: ids (but not those of built-in images and their
# snapshots), derived and random tokens, ids of requests, addresses, account, zone and Region.
_VARIES = re.compile(
    r"(?<=(?<!ami)(?<!nap)-)0[0-9a-f]{16}(?![0-9a-f])|\b[0-9a-f]{64}\b|\b[0-9a-f]{32}\b"
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b"
    rf"|\b(?:172|100)([.-])\d+\1\d+\1\d+\b|\b{ACCOUNT}\b|\b{REGION}[a-z]\b|\b{REGION}\b"
)
_RANDOM = re.compile(r"[0-9a-f]{12,}|\d+")
# Integers of this size are moments: microseconds since 1970, from the year 2001 on.
_MOMENT_MIN = 10**15
# Ages stay below a day, or the entries would be swept already.
_AGE_US_MAX = int(23.9 * 3600 * 1_000_000)
# Public addresses are of 100.64.0.0/10; an odd step scatters them over it without a repeat.
_FIRST_PUBLIC, _PUBLIC_ADDRESSES, _PUBLIC_STEP = (100 << 24) + (64 << 16), 1 << 22, 2_654_435_761


@dataclass(frozen=True, slots=True)
class Spot:
    """A subnet that instances lie in, with its VPC, the VPC's default group, its first address."""

    subnet: str
    zone: str
    vpc: str
    group: str
    first_address: int


@dataclass(frozen=True, slots=True)
class Place:
    """An account in one Region: its subnets, and the counter of its clones' addresses."""

    account: str
    region: str
    spots: tuple[Spot, ...]
    held: Iterator[int]


@dataclass(frozen=True, slots=True)
class Template:
    """The rows that a launch left behind, as text cut wherever launches differ."""

    columns: Mapping[str, tuple[str, ...]]
    pieces: tuple[str, ...]
    slots: tuple[str, ...]
    entries: tuple[int, ...]
    # Subnet, zone, VPC and group of the template itself, as they stand in the slots.
    spot: Spot

    @property
    def shape(self) -> str:
        """Text that is the same for two templates whose rows are alike: same tables, same members.

        Numbers and digests are left out, since they differ between runs.
        """
        rows: Clone = json.loads("0".join(self.pieces))
        told = [
            (table, [_RANDOM.sub("0", json.dumps(row)) for row in found])
            for table, found in rows.items()
        ]
        return json.dumps([(table, sorted(found)) for table, found in sorted(told)])


def templates(folder: Path) -> tuple[Template, Template]:
    """Make templates of a running and of a terminated launch, in a scratch store in `folder`."""
    with opened(folder / "template.db") as plane:
        before = contents(plane)
        launched(plane)
        living = template(plane, before)
        before = contents(plane)
        plane.ask("TerminateInstances", InstanceIds=[launched(plane)])
        drive(plane, 1, 1)
        return living, template(plane, before)


def stages(folder: Path) -> tuple[Template, Template]:
    """Make templates of what accepting a launch leaves, and of what driving it leaves or changes.

    The first launch of an account adds rows for good; so the second is the template.
    """
    with opened(folder / "stages.db") as plane:
        launched(plane)
        before = contents(plane)
        plane.store.run(plane.launch(uuid.uuid4().hex))
        accepted, middle = template(plane, before), contents(plane)
        drive(plane, 1, 1)
        return accepted, template(plane, middle)


def launched(plane: Plane) -> str:
    """Launch one more instance, drive it to `running`, and return its id."""
    outcome = plane.store.run(plane.launch(uuid.uuid4().hex))
    drive(plane, 1, 1)
    instance: str = outcome.result["Instances"][0]["InstanceId"]
    return instance


def contents(plane: Plane) -> dict[str, set[Row]]:
    with closing(sqlite3.connect(plane.database)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        return {
            name: set(connection.execute(f"SELECT * FROM {name}"))
            for (name,) in tables.fetchall()
            if name not in _SHARED
        }


def template(plane: Plane, before: Mapping[str, set[Row]]) -> Template:
    """Make a template of the rows that are not in `before`: they appeared, or they changed."""
    appeared = {
        name: sorted(rows - before[name], key=repr)
        for name, rows in contents(plane).items()
        if rows - before[name]
    }
    with closing(sqlite3.connect(plane.database)) as connection:
        columns = {
            name: tuple(str(row[1]) for row in connection.execute(f"PRAGMA table_info({name})"))
            for name in appeared
        }
    text = json.dumps(appeared)
    zone = next(found[0] for found in re.finditer(rf"\b{REGION}[a-z]\b", text))
    return Template(
        columns,
        tuple(_VARIES.sub("\0", text).split("\0")),
        tuple(found[0] for found in _VARIES.finditer(text)),
        _entries(appeared, columns),
        next(spot for spot in place(plane, plane.account, REGION).spots if spot.zone == zone),
    )


def _entries(
    appeared: Mapping[str, Sequence[Row]], columns: Mapping[str, Sequence[str]]
) -> tuple[int, ...]:
    """Numbers of the token entries that the rows belong to."""
    numbers = {
        row[at]
        for table, rows in appeared.items()
        for at, column in enumerate(columns[table])
        if _numbers_entry(table, column)
        for row in rows
    }
    return tuple(sorted(numbers))


def _numbers_entry(table: str, column: str) -> bool:
    return column == "entry_id" or (table, column) == ("idempotency_entry", "id")


def place(plane: Plane, account: str, region: str) -> Place:
    """The default VPC of an account in a Region, seeded when missing."""
    plane.store.run(lambda tx: default_vpc.seed(tx, account, region))
    subnets = plane.store.read(lambda tx: default_vpc.subnets(tx, account, region))
    vpc: str = subnets[0].doc["VpcId"]
    group = plane.store.read(lambda tx: vpcs.default_group(tx, account, region, vpc))
    spots = tuple(
        Spot(one.id, one.zone, vpc, group.id, first_address(one.doc["CidrBlock"]))
        for one in subnets
    )
    return Place(account, region, spots, itertools.count())


def first_address(block: str) -> int:
    """Return the first address of a subnet's block that EC2 gives away: it keeps four."""
    number = 0
    for part in block.partition("/")[0].split("."):
        number = (number << 8) + int(part)
    return number + 4


def clone(
    made_from: Template, where: Place, number: int, first_entry: int, chance: random.Random
) -> Clone:
    """The rows of the launch with that number, its entries counted from `first_entry`."""
    nth = next(where.held)
    spot = where.spots[nth % len(where.spots)]
    addresses = {
        "address": spot.first_address + nth // len(where.spots),
        "public_address": _FIRST_PUBLIC + number * _PUBLIC_STEP % _PUBLIC_ADDRESSES,
    }
    own = made_from.spot
    known = {
        ACCOUNT: where.account,
        REGION: where.region,
        own.zone: spot.zone,
        own.vpc.partition("-")[2]: spot.vpc.partition("-")[2],
        own.group.partition("-")[2]: spot.group.partition("-")[2],
        own.subnet.partition("-")[2]: spot.subnet.partition("-")[2],
    }
    parts = [made_from.pieces[0]]
    for slot, piece in zip(made_from.slots, made_from.pieces[1:], strict=True):
        value = known.get(slot)
        if value is None:
            value = known[slot] = _varied(slot, addresses, chance)
        parts += (value, piece)
    cloned: Clone = json.loads("".join(parts))
    entries = {old: first_entry + at for at, old in enumerate(made_from.entries)}
    age_us = chance.randrange(_AGE_US_MAX)
    for table, rows in cloned.items():
        for row in rows:
            _renumber(table, made_from.columns[table], row, entries, addresses, age_us)
    return cloned


def _varied(slot: str, addresses: Mapping[str, int], chance: random.Random) -> str:
    for start, kind in (("172", "address"), ("100", "public_address")):
        if slot.startswith((f"{start}.", f"{start}-")):
            return slot[3].join(str(addresses[kind] >> shift & 255) for shift in (24, 16, 8, 0))
    if len(slot) == 17:
        return f"0{chance.getrandbits(64):016x}"
    # Hyphens of a UUID and colons of a hardware address stay where they are.
    return re.sub(r"[0-9a-f]+", lambda found: _digits(len(found[0]), chance), slot)


def _digits(count: int, chance: random.Random) -> str:
    return f"{chance.getrandbits(4 * count):0{count}x}"


def _renumber(
    table: str,
    columns: Sequence[str],
    row: list[Any],
    entries: Mapping[int, int],
    addresses: Mapping[str, int],
    age_us: int,
) -> None:
    """Replace integers of a row: entry numbers, the row's own number, its address, its moments."""
    for at, column in enumerate(columns):
        value = row[at]
        if _numbers_entry(table, column):
            row[at] = entries[value]
        elif column == "id" and isinstance(value, int):
            row[at] = None  # the database numbers it
        elif column == "number" and table in addresses:
            row[at] = addresses[table]
        elif isinstance(value, int) and value > _MOMENT_MIN:
            row[at] = value - age_us


def insert(connection: sqlite3.Connection, made_from: Template, clones: Sequence[Clone]) -> None:
    """Insert the rows of all clones, table by table."""
    for table, columns in made_from.columns.items():
        places = ", ".join("?" for _ in columns)
        connection.executemany(
            f"INSERT INTO {table} VALUES ({places})",
            [row for one in clones for row in one.get(table, ())],
        )
