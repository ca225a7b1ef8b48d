"""Servers for tests: one for a block, and accounts of their own on it.

A server keeps all in a SQLite file in a folder of its own, which is removed at the end. Machines
boot at once unless `boot_seconds` says otherwise. From the first import of this module the whole
control plane is loaded.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from urllib.parse import urlencode

from sametoken.control.mounting import mount
from sametoken.errors import Misconfigured
from sametoken.nearest import did_you_mean
from sametoken.operate import accounts, clients, holdings
from sametoken.operate.holdings import Holdings
from sametoken.operate.opened import Opened
from sametoken.operate.opening import open_store, writing
from sametoken.operate.serving import in_thread, registered_node
from sametoken.operate.story.model import Story, from_json
from sametoken.operate.story.telling import tell
from sametoken.resources.catalogues.geography import REGIONS
from sametoken.services.simulated_machines import SimulationSettings
from sametoken.settings import Settings, database_of
from sametoken.store.port import Store
from sametoken.testing.clock import Clock
from sametoken.testing.control import Control
from sametoken.testing.faults import Faults
from sametoken.testing.folders import own_folder
from sametoken.testing.holding import wrongs
from sametoken.testing.limits import Limits
from sametoken.testing.server_process import ServerProcess
from sametoken.world import RealWorld

REGION = "us-east-1"
# So long a launch may take that is waited for: far more than any takes that nothing holds up.
PATIENCE_SECONDS = 10.0
_LOOK_SECONDS = 0.005


class Server:
    """A server that runs: its `url`, and the accounts that are made on it.

    Made by `running` and `beside`. Threads may share one.
    """

    def __init__(self, url: str, here: Opened[Store], process: ServerProcess | None = None) -> None:
        self.url = url
        self.here = here
        self.control = Control(here, process)
        self._numbers = itertools.count(1)

    def account(self, name: str | None = None, *, region: str = REGION) -> Account:
        """Make an account with nothing in it, and a key that may do everything.

        An account that was made under the `name` before gets another key. Takes milliseconds.
        Raises `Misconfigured` for a Region that there is not.
        """
        if region not in REGIONS:
            hint = did_you_mean(region, REGIONS)
            raise Misconfigured(
                f"there is no Region {region!r} here.{hint} There are: {', '.join(REGIONS)}"
            )
        chosen = name or f"test-{next(self._numbers)}"
        made = accounts.create(self.here, chosen, access="full", access_key_id=None, secret=None)
        return Account(self, *made, region)

    def clock(self) -> Clock:
        """The clock of all accounts, for a block: `with server.clock() as clock: …`."""
        return Clock(self.control)

    def reset(self, account: str | None = None) -> None:
        """Remove all that was made in an account, by its id; in all accounts with None."""
        self.control.ask("POST", "/reset", {} if account is None else {"account": account})

    def kill(self) -> None:
        """Kill the server (SIGKILL), as a crash does. Only if it runs `beside`; then `start`."""
        self._beside.kill()

    def start(self) -> None:
        """Start a server that was killed or has died again, on its database and at its URL."""
        assert self._beside.start(int(self.url.rpartition(":")[2])) == self.url

    @property
    def pid(self) -> int:
        """The server's process: this one, or one of its own if it runs `beside`."""
        process = self.control.process
        return os.getpid() if process is None else process.pid

    @property
    def _beside(self) -> ServerProcess:
        assert self.control.process is not None, (
            "only a server that `beside` started is killed and started: this one is in your process"
        )
        return self.control.process


@dataclass(frozen=True)
class Account:
    """An account on a server, with its key, in one Region. It shares no resource with others."""

    server: Server
    id: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str = REGION

    @property
    def url(self) -> str:
        return self.server.url

    def client(self, service: str = "ec2", **options: Any) -> Any:
        """Make a boto3 client of the account. `options` are those of `boto3.client`.

        boto3 is what is installed, and retries as it does by itself unless `config` says otherwise.
        """
        chosen = {
            "region_name": self.region,
            "endpoint_url": self.url,
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
            **options,
        }
        # Imported here: who makes no client need not have boto3.
        from sametoken.testing.clients import make

        return make(service, chosen)

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables of the environment that point boto3, the AWS CLI and others here.

        No file of the user's and no other credentials are read beside them.
        """
        return {
            **clients.variables(self.access_key_id, self.secret_access_key, self.region, self.url),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
        }

    def environment(self) -> dict[str, str]:
        """The environment of a subprocess: this process's, with `variables` for all of AWS's."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {**kept, **self.variables}

    def faults(self) -> Faults:
        """Faults that strike the account, for a block: `with account.faults() as faults: …`."""
        return Faults(self.server.control, self.id)

    def limits(self) -> Limits:
        """Limits that hold for a block: `with account.limits() as limits: …`."""
        return Limits(self.server.here, self.id, self.region)

    def reset(self) -> None:
        """Remove all that was made in the account, tokens too; keys and limits stay."""
        self.server.reset(self.id)

    def story(self, client_token: str) -> Sequence[Story]:
        """Tell what became of a token of the account, for each action and Region it was used in.

        The id of an instance, reservation or request leads to its token as well. Raises
        `Misconfigured` if there is nothing of the kind.
        """
        if not self.server.control.runs:
            return tell(self.server.here, client_token, account=self.id)
        query = urlencode({"of": client_token, "account": self.id})
        told = self.server.control.ask("GET", f"/stories?{query}")
        return [from_json(one) for one in told["stories"]]

    def holdings(self, *, patience_seconds: float = PATIENCE_SECONDS) -> Holdings:
        """Look at what lives in the account, once its launches and terminations are done.

        Tells the work that is not done after `patience_seconds` as `unfinished`; at once, if the
        clock is frozen before that is due.
        """
        world, found = RealWorld(), holdings.look(self.server.here, self.id)
        until = world.monotonic() + patience_seconds
        while found.unfinished and not found.waits and world.monotonic() < until:
            world.wait(threading.Event(), _LOOK_SECONDS)
            found = holdings.look(self.server.here, self.id)
        return found

    def assert_one_set(
        self, instances: int = 1, *, patience_seconds: float = PATIENCE_SECONDS, **others: int
    ) -> None:
        """Assert that so many instances live, with their parts, and that nothing is left behind.

        Waits until what was asked for is done, but not for a frozen clock. Volumes and network
        interfaces that are attached to no instance count as left behind, unless `others` says how
        many there are: `volumes=1`. Name other kinds in the same way where they are to be counted:
        `nat_gateways=1`. The message lists what is too much, with its token.
        """
        found = self.holdings(patience_seconds=patience_seconds)
        wrong = wrongs(found, {"instances": instances, **others})
        if wrong:
            listed = "\n".join(f"- {one}" for one in wrong)
            raise AssertionError(f"account {self.id} does not hold what it should:\n{listed}")


@contextmanager
def running(*, boot_seconds: float = 0.0) -> Iterator[Server]:
    """Run a server in this process for the block. Machines boot for `boot_seconds`.

    with running() as server:
        ec2 = server.account().client("ec2")
    """
    with own_folder() as folder:
        simulation = SimulationSettings(boot_seconds=boot_seconds, halt_seconds=0.0)
        file = folder / "server.db"
        file.write_bytes(_empty_database())
        # It goes with its block, so no commit waits for the disk.
        database = replace(database_of(file), durable=False)
        settings = Settings(
            database, port=0, dev=True, simulation=simulation, gathering_seconds=0.0
        )
        with registered_node(settings, RealWorld()) as node:
            mount(node)
            with in_thread(node):
                yield Server(node.url, Opened(database, node.store))


@contextmanager
def beside(*, boot_seconds: float = 0.0) -> Iterator[Server]:
    """Run a server beside this process for the block; it may be killed and started again.

    It starts in a second, and ends with this process, even if that is killed.
    """
    with own_folder() as folder:
        database = database_of(folder / "server.db")
        options = ["--dev", "--database", database.url, "--boot-seconds", str(boot_seconds)]
        process = ServerProcess(options, folder / "log")
        url = process.start()
        try:
            with writing(database, RealWorld()) as here:
                yield Server(url, here, process)
        finally:
            process.stop()


@cache
def _empty_database() -> bytes:
    """Return the file of a database with nothing in it, whose tables take a third of a start."""
    with own_folder() as folder:
        file = folder / "empty.db"
        with open_store(database_of(file), RealWorld()):
            pass
        return file.read_bytes()
