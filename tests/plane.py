"""A control plane in this process, on a free port, and clients for it. For tests only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa

import sdk
from framing import Framing
from memory import checked_fragments
from sametoken.control.controls import Controls
from sametoken.control.mounting import mount
from sametoken.faults.rules import Rule
from sametoken.node import Node
from sametoken.operate import clock
from sametoken.operate.accounts import add_key
from sametoken.operate.opening import open_store
from sametoken.operate.preparing import prepared
from sametoken.operate.serving import in_thread
from sametoken.resources.account.accounts import Access
from sametoken.server.choices import DEFAULT_CHOICES, Choices
from sametoken.server.edge import Listener, bind
from sametoken.server.sealing import load_sealer
from sametoken.services.simulated_machines import SimulationSettings
from sametoken.settings import Database, Settings, database_of, read_database
from sametoken.store.clock import CLOCK
from sametoken.store.leaps import LEAP
from sametoken.store.nodes import NODE
from sametoken.store.port import Store, Tx
from sametoken.store.reading import Reads
from sametoken.world import RealWorld
from sdk import Keys
from store.stores import migrated_database

T = TypeVar("T")

# Names the store of planes that choose none: `SAMETOKEN_TEST_STORE=postgresql make test` runs the
# other one.
STORE_VARIABLE = "SAMETOKEN_TEST_STORE"
STORE = os.environ.get(STORE_VARIABLE, "sqlite")

IMAGE = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
# Parameters of a launch for tests that need nothing special.
LAUNCH = {"ImageId": IMAGE, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}


class Plane:
    """A running node: its URL, its store, and boto3 clients with keys of its own making."""

    def __init__(
        self, node: Node, store: Store, database: Database, controls: Controls | None = None
    ) -> None:
        self.node = node
        self._controls = controls
        self.store = store
        self._place = database
        self.url = node.url
        self.keys = self.account("tests")

    @property
    def controls(self) -> Controls:
        """The controls of a plane in development mode."""
        assert self._controls is not None, "it is in development mode"
        return self._controls

    @property
    def folder(self) -> Path:
        """The folder of the key, and of the database if that is a file."""
        assert self._place.key_file is not None, "every plane has one"
        return self._place.key_file.parent

    def account(self, name: str, *, access: Access = "full") -> Keys:
        """Make a key, in a new account unless the name is known."""
        sealer = load_sealer(self._place.key_file, create=False)
        return Keys(*self.store.run(lambda tx: add_key(tx, sealer, name, access=access)))

    def client(
        self,
        service: str = "ec2",
        *,
        region: str = sdk.REGION,
        keys: Keys | None = None,
        url: str | None = None,
        **config: Any,
    ) -> Any:
        """Make a boto3 client that tries once, unless `config` (botocore's) says otherwise."""
        return sdk.client(url or self.url, keys or self.keys, service, region=region, **config)

    def run(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` in a transaction of the plane's store."""
        return self.store.run(fn)

    def advance(self, by: timedelta) -> None:
        """Move the store's clock on, and wake the threads that wait for it."""
        clock.advance(self.store, by)


def everything(store: Reads) -> dict[str, list[str]]:
    """Read every row of every table, except the clock's and the nodes', which change by time."""

    def read(tx: Tx) -> dict[str, list[str]]:
        names = set(sa.inspect(tx.connection).get_table_names()) - {
            CLOCK.name,
            LEAP.name,
            NODE.name,
        }
        return {
            name: sorted(repr(row) for row in tx.execute(sa.text(f'SELECT * FROM "{name}"')))
            for name in names
        }

    return store.read(read)


def new_database(folder: Path, store: str = STORE) -> Database:
    """Name an empty database: a file in `folder`, or one on this process's PostgreSQL server."""
    if store == "sqlite":
        return database_of(folder / "plane.db")
    assert store == "postgresql", f"{STORE_VARIABLE}={store}: write sqlite or postgresql"
    return read_database(migrated_database(), folder / "plane.key")


@contextmanager
def running_plane(
    folder: Path,
    *,
    boot_seconds: float = 0.0,
    dev: bool = False,
    faults: tuple[Rule, ...] = (),
    runners: int = 2,
    database: Database | None = None,
    choices: Choices = DEFAULT_CHOICES,
) -> Iterator[Plane]:
    """Serve a fresh database, or `database`, for the block. `runners=0` drives no launch."""
    settings = Settings(
        database or new_database(folder),
        port=0,
        runners=runners,
        choices=choices,
        dev=dev,
        simulation=SimulationSettings(boot_seconds, 0.0),
        faults=faults,
    )
    with open_store(settings.database, RealWorld()) as store:
        engine = prepared(store, settings.database, RealWorld())
        node = Node(settings, store, engine, face=bind(Listener(settings.host, settings.port)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sametoken.node.OwnWriter", Framing)
            assert node.app is not None, "it is made with that writer"
        controls = mount(node) if dev else None
        with in_thread(node), checked_fragments():
            yield Plane(node, store, settings.database, controls)
