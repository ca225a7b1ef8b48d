"""Fills a store with a crowd: accounts, instances and token entries as the real code leaves them.

The crowd is cloned: one launch is driven to `running` and one to `terminated`, and every row that
appeared is a template. Each clone has ids, tokens, entry numbers, an address, an account and a
Region of its own. So rows are as many and as long as real ones, in whatever tables there are; only
the way they were written differs. SQLite alone; the file must have no other user.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import sqlite3
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launches import drive
from stores import ACCOUNT, REGION, Plane, opened

from sametoken.resources.kit.rows import Row as Resource
from sametoken.resources.network import default_vpc, vpcs
from sametoken.server.execution import execute

Row = tuple[Any, ...]
# Tables whose rows all launches share: a launch changes them, but does not leave them behind.
_SHARED = frozenset({"counter", "store_clock"})
# Texts that differ between two launches: ids (but not those of built-in images and their
# snapshots), derived and random tokens, the addresses, account, zone and Region.
_VARIES = re.compile(
    r"(?<=(?<!ami)(?<!nap)-)0[0-9a-f]{16}(?![0-9a-f])|\b[0-9a-f]{64}\b|\b[0-9a-f]{32}\b"
    rf"|\b(?:172|100)([.-])\d+\1\d+\1\d+\b|\b{ACCOUNT}\b|\b{REGION}[a-z]\b|\b{REGION}\b"
)
# Integers of this size are moments: microseconds since 1970, from the year 2001 on.
_MOMENT_MIN = 10**15
# Ages stay below a day, or the entries would be swept already.
_AGE_US_MAX = int(23.9 * 3600 * 1_000_000)
_CLONES_AT_ONCE = 2000
# The first address of the n-th default subnet is 172.31.(16 n).4; EC2 keeps those below.
_FIRST_ADDRESS = (172 << 24) + (31 << 16) + 4
_SUBNET_ADDRESSES = 4096
# Public addresses are of 100.64.0.0/10; an odd step scatters them over it without a repeat.
_FIRST_PUBLIC, _PUBLIC_ADDRESSES, _PUBLIC_STEP = (100 << 24) + (64 << 16), 1 << 22, 2_654_435_761
# A fixed seed makes the same crowd in every run.
_SEED = 20_061_211


@dataclass(frozen=True, slots=True)
class Place:
    """An account in one Region: its default VPC, and the counter of its clones' addresses."""

    account: str
    region: str
    vpc: str
    group: str
    subnets: tuple[Resource, ...]
    held: Iterator[int]


@dataclass(frozen=True, slots=True)
class Template:
    """The rows that one launch left behind, as text cut wherever launches differ."""

    columns: Mapping[str, tuple[str, ...]]
    pieces: tuple[str, ...]
    slots: tuple[str, ...]
    entries: tuple[int, ...]
    # Names of the template's own VPC, group, subnet and zone in that text.
    vpc: str
    group: str
    subnet: str
    zone: str


def templates(folder: Path) -> tuple[Template, Template]:
    """Make templates of a running and of a terminated launch, in a scratch store in `folder`."""
    with opened(folder / "template.db") as plane:
        before = _contents(plane)
        _launched(plane)
        living = _template(plane, before)
        before = _contents(plane)
        ended = plane.admit("TerminateInstances", InstanceIds=[_launched(plane)])
        plane.store.run(lambda tx: execute(tx, plane.engine, ended))
        drive(plane, 1, 1)
        return living, _template(plane, before)


def _launched(plane: Plane) -> str:
    """Launch one more instance, drive it to `running`, and return its id."""
    outcome = plane.store.run(plane.launch(uuid.uuid4().hex))
    drive(plane, 1, 1)
    instance: str = outcome.result["Instances"][0]["InstanceId"]
    return instance


def _contents(plane: Plane) -> dict[str, set[Row]]:
    connection = sqlite3.connect(plane.database)
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    found = {
        name: set(connection.execute(f"SELECT * FROM {name}").fetchall())
        for (name,) in tables
        if name not in _SHARED
    }
    connection.close()
    return found


def _template(plane: Plane, before: dict[str, set[Row]]) -> Template:
    appeared = {
        name: sorted(rows - before[name], key=repr)
        for name, rows in _contents(plane).items()
        if rows - before[name]
    }
    connection = sqlite3.connect(plane.database)
    columns = {
        name: tuple(str(row[1]) for row in connection.execute(f"PRAGMA table_info({name})"))
        for name in appeared
    }
    connection.close()
    text = json.dumps(appeared)
    place = _place(plane, ACCOUNT, REGION)
    zone = next(found[0] for found in re.finditer(rf"\b{REGION}[a-z]\b", text))
    subnet = next(one.id for one in place.subnets if one.zone == zone)
    return Template(
        columns,
        tuple(_VARIES.sub("\0", text).split("\0")),
        tuple(found[0] for found in _VARIES.finditer(text)),
        tuple(sorted(row[0] for row in appeared["idempotency_entry"])),
        place.vpc,
        place.group,
        subnet,
        zone,
    )


def _place(plane: Plane, account: str, region: str) -> Place:
    """The default VPC of an account in a Region, seeded when missing."""
    plane.store.run(lambda tx: default_vpc.seed(tx, account, region))
    subnets = plane.store.read(lambda tx: default_vpc.subnets(tx, account, region))
    vpc: str = subnets[0].doc["VpcId"]
    group = plane.store.read(lambda tx: vpcs.default_group(tx, account, region, vpc))
    return Place(account, region, vpc, group.id, tuple(subnets), itertools.count())


def seed(
    database: Path,
    *,
    places: Sequence[tuple[str, str]],
    living: int,
    ended: int,
    cloned: tuple[Template, Template] | None = None,
) -> None:
    """Add `living` running and `ended` terminated instances, spread over `places`.

    `cloned` is the result of `templates`, for a caller that seeds more than one store.
    """
    running, terminated = cloned or templates(database.parent)
    with opened(database) as plane:
        found = [_place(plane, account, region) for account, region in places]
    connection = sqlite3.connect(database, isolation_level=None)
    # Trade durability for speed: the file is thrown away, and nothing is measured yet.
    for pragma in ("journal_mode=DELETE", "journal_mode=OFF", "synchronous=OFF",
                   "cache_size=-1000000"):  # fmt: skip
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    entry = 1 + (connection.execute("SELECT max(id) FROM idempotency_entry").fetchone()[0] or 0)
    numbers, chance = itertools.count(), random.Random(_SEED)
    for template, count in ((running, living), (terminated, ended)):
        clones = (
            _clone(template, place, number, entry + at * len(template.entries), chance)
            for at, (number, place) in enumerate(
                itertools.islice(zip(numbers, itertools.cycle(found)), count)
            )
        )
        while batch := list(itertools.islice(clones, _CLONES_AT_ONCE)):
            _insert(connection, template, batch)
        entry += count * len(template.entries)
    _count_held(connection)
    connection.execute("COMMIT")
    connection.close()


def _clone(
    template: Template, place: Place, number: int, first_entry: int, chance: random.Random
) -> dict[str, list[list[Any]]]:
    """The rows of the launch with that number, its entries counted from `first_entry`."""
    nth = next(place.held)
    index = nth % len(place.subnets)
    subnet = place.subnets[index]
    addresses = {
        "address": _FIRST_ADDRESS + index * _SUBNET_ADDRESSES + nth // len(place.subnets),
        "public_address": _FIRST_PUBLIC + number * _PUBLIC_STEP % _PUBLIC_ADDRESSES,
    }
    known = {
        ACCOUNT: place.account,
        REGION: place.region,
        template.zone: subnet.zone,
        template.vpc.partition("-")[2]: place.vpc.partition("-")[2],
        template.group.partition("-")[2]: place.group.partition("-")[2],
        template.subnet.partition("-")[2]: subnet.id.partition("-")[2],
    }
    parts = [template.pieces[0]]
    for slot, piece in zip(template.slots, template.pieces[1:], strict=True):
        value = known.get(slot)
        if value is None:
            value = known[slot] = _varied(slot, addresses, chance)
        parts += (value, piece)
    cloned: dict[str, list[list[Any]]] = json.loads("".join(parts))
    entries = {old: first_entry + at for at, old in enumerate(template.entries)}
    age_us = chance.randrange(_AGE_US_MAX)
    for table, rows in cloned.items():
        for row in rows:
            _renumber(table, template.columns[table], row, entries, addresses, age_us)
    return cloned


def _varied(slot: str, addresses: Mapping[str, int], chance: random.Random) -> str:
    for start, kind in (("172", "address"), ("100", "public_address")):
        if slot.startswith((f"{start}.", f"{start}-")):
            return slot[3].join(str(addresses[kind] >> shift & 255) for shift in (24, 16, 8, 0))
    if len(slot) == 17:
        return f"0{chance.getrandbits(64):016x}"
    return f"{chance.getrandbits(4 * len(slot)):0{len(slot)}x}"


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
        if column == "entry_id" or (table, column) == ("idempotency_entry", "id"):
            row[at] = entries[value]
        elif column == "id" and isinstance(value, int):
            row[at] = None  # the database numbers it
        elif column == "number" and table in addresses:
            row[at] = addresses[table]
        elif isinstance(value, int) and value > _MOMENT_MIN:
            row[at] = value - age_us


def _insert(
    connection: sqlite3.Connection, template: Template, clones: list[dict[str, list[list[Any]]]]
) -> None:
    for table, columns in template.columns.items():
        places = ", ".join("?" for _ in columns)
        connection.executemany(
            f"INSERT INTO {table} VALUES ({places})",
            (row for clone in clones for row in clone[table]),
        )


def _count_held(connection: sqlite3.Connection) -> None:
    """Debit the capacity and quota of the living instances, as their launches would have."""
    held: Counter[str] = Counter()
    query = "SELECT doc FROM resource WHERE kind = 'instance' AND gone_at IS NULL"
    for (doc,) in connection.execute(query):
        holds = json.loads(doc)["private"]["held"]
        held[holds["capacity"]] += 1
        held[holds["vcpus"]] += holds["amount"]
    connection.executemany("INSERT OR REPLACE INTO counter VALUES (?, ?)", list(held.items()))
