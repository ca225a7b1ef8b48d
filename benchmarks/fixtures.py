"""Databases with many instances: made once, kept apart, made again when rows or schema change.

A fixture has an account that is read and has all instances in one Region, 100 of them in a VPC of
their own, stopped and tagged; and accounts that launch and have none. Its name holds a digest of
the schema and of the rows that a launch leaves. Users copy it and never write to it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import sqlite3
import string
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import crowd
from cloning import Place, Spot, Template, first_address, place, templates
from launches import drive
from stores import DRIVERS, REGION, Plane, lift_limits, opened

from sametoken.operate.accounts import add_key
from sametoken.operate.opening import open_store
from sametoken.operate.preparing import prepare
from sametoken.resources.network import default_vpc
from sametoken.server.sealing import load_sealer
from sametoken.settings import Database, database_of
from sametoken.world import RealWorld

# LAUNCHING is the number of accounts that launch: each default VPC has 20,000 addresses.
LAUNCHING = 16
# MATCHED instances fit each of the filters that are measured.
MATCHED = 100
TAG = ("benchmark", "matched")
# The crowd's VPCs: 10.0.0.0/16 and on, each divided into sixteen /20 of 4,091 usable addresses.
_SUBNETS, _SUBNET_ADDRESSES = 16, 4091
_MATCHED_BLOCK = "10.200.0.0/16"
# Change it when this module makes other fixtures of the same schema and rows.
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Key:
    """An account with an access key of its own."""

    account: str
    key: str
    secret: str


@dataclass(frozen=True, slots=True)
class Fixture:
    """A database and its key file; how to read it, and how to launch in it.

    `matched` names the VPC, subnet and group of the instances that filters match.
    """

    database: Path
    living: int
    reads: Key
    launches: tuple[Key, ...]
    matched: tuple[str, str, str]

    def copied(self, folder: Path) -> Fixture:
        """Copy the files to `folder`, to be used up."""
        folder.mkdir(parents=True, exist_ok=True)
        for file in self.database.parent.glob(f"{self.database.name}*"):
            shutil.copyfile(file, folder / file.name)
            (folder / file.name).chmod(0o600)
        return replace(self, database=folder / self.database.name)


class Fixtures:
    """The fixtures in a folder, made as they are asked for."""

    def __init__(self, root: Path, *, tell: Callable[[str], None]) -> None:
        self._root = root
        self._tell = tell
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as name:
            self._cloned = templates(Path(name))
            self._digest = _digest(Path(name) / "template.db", self._cloned)

    def get(self, living: int, *, entries: int = 0) -> Fixture:
        """Return a fixture with so many living instances, and at least so many token entries."""
        folder = self._root / f"{living}-{entries}-{self._digest}"
        told = folder / "fixture.json"
        if not told.exists():
            for stale in self._root.glob(f"{living}-{entries}-*"):
                shutil.rmtree(stale)
            self._tell(f"making a store of {living:,} instances")
            folder.mkdir()
            fixture = _make(folder / "plane.db", living, entries, self._cloned)
            told.write_text(json.dumps(asdict(fixture), default=str))
        return _read(told)


def _read(told: Path) -> Fixture:
    found = json.loads(told.read_text())
    return Fixture(
        told.parent / Path(found["database"]).name,
        found["living"],
        Key(**found["reads"]),
        tuple(Key(**one) for one in found["launches"]),
        tuple(found["matched"]),
    )


def _digest(scratch: Path, cloned: tuple[Template, Template]) -> str:
    """A digest of the schema and of the shape of a launch's rows."""
    with closing(sqlite3.connect(scratch)) as connection:
        schema = sorted(str(sql) for (sql,) in connection.execute("SELECT sql FROM sqlite_master"))
    told = json.dumps([_FORMAT, schema, [one.shape for one in cloned]])
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def make_accounts(database: Database, count: int) -> list[Key]:
    """Prepare a database: `count` accounts, each with a key and its default VPC."""
    world = RealWorld()
    sealer = load_sealer(database.key_file, create=True)
    keys = []
    with open_store(database, world) as store:
        prepare(store, sealer, world)
        lift_limits(store)
        for number in range(count):
            made = partial(add_key, sealer=sealer, account_name=f"account-{number}", access="full")
            key = Key(*store.run(made))
            store.run(partial(default_vpc.seed, account=key.account, region=REGION))
            keys.append(key)
    return keys


def _make(database: Path, living: int, entries: int, cloned: tuple[Template, Template]) -> Fixture:
    reads, *launches = make_accounts(database_of(database), 1 + LAUNCHING)
    with opened(database, account=reads.account) as plane:
        matched = _matched(plane) if living >= MATCHED else ("", "", "")
        rest = living - MATCHED if living >= MATCHED else living
        home = _home(plane, rest)
    made = rest * len(cloned[0].entries)
    missing = max(0, entries - made)
    ended = -(-missing // max(1, len(cloned[1].entries)))
    if living:
        crowd.fill(database, [home], living=rest, ended=ended, cloned=cloned)
    # Fold the log into the file, and make the file one that a server opens as it is.
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Fixture(database, living, reads, tuple(launches), matched)


def _home(plane: Plane, living: int) -> Place:
    """Make VPCs with room for so many instances; a store of few keeps to the default VPC."""
    default = place(plane, plane.account, REGION)
    room = _SUBNET_ADDRESSES * len(default.spots)
    if living < room // 2:
        return default
    count = -(-living // (_SUBNETS * (_SUBNET_ADDRESSES - 1)))
    spots: list[Spot] = []
    for number in range(count):
        spots += _vpc(plane, f"10.{number}.0.0/16", _SUBNETS)
    # The crowd's addresses are counted, so that no clone meets another's.
    return replace(default, spots=tuple(spots), held=itertools.count())


def _vpc(plane: Plane, block: str, subnets: int) -> list[Spot]:
    """Make a VPC with so many subnets, over the zones in turn."""
    vpc = plane.ask("CreateVpc", CidrBlock=block)["Vpc"]["VpcId"]
    groups = plane.read("DescribeSecurityGroups", Filters=[{"Name": "vpc-id", "Values": [vpc]}])
    group = groups["SecurityGroups"][0]["GroupId"]
    start = block.removesuffix(".0.0/16")
    spots = []
    for number in range(subnets):
        zone = f"{REGION}{string.ascii_lowercase[number % 6]}"
        cidr = f"{start}.{number * 16}.0/20"
        made = plane.ask("CreateSubnet", VpcId=vpc, CidrBlock=cidr, AvailabilityZone=zone)
        subnet = made["Subnet"]["SubnetId"]
        spots.append(Spot(subnet, zone, vpc, group, first_address(cidr)))
    return spots


def _matched(plane: Plane) -> tuple[str, str, str]:
    """Launch the instances that filters match: in a VPC of their own, tagged, then stopped."""
    [spot] = _vpc(plane, _MATCHED_BLOCK, 1)
    done = plane.store.run(
        plane.launch(
            "matched",
            MinCount=MATCHED,
            MaxCount=MATCHED,
            SubnetId=spot.subnet,
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": TAG[0], "Value": TAG[1]}]}
            ],
        )
    )
    assert done.error is None, done.error
    drive(plane, MATCHED, DRIVERS)
    ids = [one["InstanceId"] for one in done.result["Instances"]]
    plane.ask("StopInstances", InstanceIds=ids)
    drive(plane, MATCHED, DRIVERS)
    return spot.vpc, spot.subnet, spot.group
