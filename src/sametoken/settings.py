"""Settings of an operator, and the parsing of a database's URL.

Values only; the file system is asked for one thing, where a path's links lead.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from sametoken.errors import Misconfigured
from sametoken.faults.rules import Rule
from sametoken.server.choices import DEFAULT_CHOICES, Choices
from sametoken.services.simulated_machines import SimulationSettings
from sametoken.workflow.backlog import LAG_SECONDS_MAX
from sametoken.workflow.runner import GATHERING_SECONDS

DATABASE_VARIABLE = "SAMETOKEN_DATABASE"
# Names the file with the key that all nodes of one database share.
KEY_FILE_VARIABLE = "SAMETOKEN_KEY_FILE"
ACCESS_KEY_VARIABLE = "SAMETOKEN_ACCESS_KEY"
# The account that a new database has.
FIRST_ACCOUNT = "default"
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 4590
_SQLITE = "sqlite:///"
_POSTGRESQL = ("postgresql://", "postgres://")
# A single runner drives many launches at a time: more of them would drive fewer each, in more
# transactions.
RUNNERS = 1
# Seconds from one sweep of expired entries to the next: an entry is forgotten this much after 24 h.
SWEEP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Database:
    """The database: a SQLite `file`, or with None a PostgreSQL database that nodes share.

    `key_file` holds the key that seals its secrets, unless the environment holds it. A file that is
    not `durable` may lose commits when its machine crashes, though not when its server is killed.
    """

    url: str
    file: Path | None
    key_file: Path | None
    durable: bool = True

    @property
    def kind(self) -> str:
        return "postgresql" if self.file is None else "sqlite"

    def __str__(self) -> str:
        """Leave the password and the options out: the text is shown and logged."""
        if self.file is not None:
            return str(self.file)
        scheme, rest = self.url.split("://", 1)
        user, at, host = rest.partition("/")[0].rpartition("@")
        shown = f"{user.partition(':')[0]}{at}{host}"
        return f"{scheme}://{shown}{rest[len(user + at + host) :].partition('?')[0]}"


@dataclass(frozen=True, slots=True)
class GivenKey:
    """An access key that the database is to have. `account` is a name, or 12 digits."""

    id: str
    secret: str = field(repr=False)
    account: str


def read_access_key(text: str) -> GivenKey:
    """Read ID:SECRET or ID:SECRET:ACCOUNT. Raises `Misconfigured`, without the secret."""
    id, *rest = text.split(":")
    if len(rest) not in (1, 2) or not all((id, *rest)):
        raise Misconfigured(
            f"the access key {id}:… is to be ID:SECRET or ID:SECRET:ACCOUNT, with no colon in any "
            "of them"
        )
    return GivenKey(id, rest[0], rest[1] if rest[1:] else FIRST_ACCOUNT)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one node."""

    database: Database
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure_bind: bool = False
    # The port for metrics and probes, and the address it listens on; None: there is none.
    metrics_port: int | None = None
    metrics_host: str = DEFAULT_HOST
    # Development mode: control routes, and a mark in every reply. On loopback alone.
    dev: bool = False
    # Access keys that the database is to have before the node answers.
    access_keys: tuple[GivenKey, ...] = ()
    # Processes that read and answer requests; with 0 the writer's own process does.
    processes: int = 0
    # Seconds for which a node that was told to stop still answers, while /ready says no.
    drain_seconds: float = 0.0
    choices: Choices = DEFAULT_CHOICES
    runners: int = RUNNERS
    sweep_seconds: float = SWEEP_SECONDS
    # Seconds for which launches gather, to be driven together; 0 where a test waits for each.
    gathering_seconds: float = GATHERING_SECONDS
    # Launches are refused while older ones wait for longer; infinite for a benchmark alone.
    lag_seconds: float = LAG_SECONDS_MAX
    simulation: SimulationSettings = field(default_factory=SimulationSettings)
    # The faults that are in force from the start.
    faults: tuple[Rule, ...] = ()
    # The node is alone in its process, which faults may kill.
    owns_process: bool = False

    def check_faults(self) -> None:
        """Raise `Misconfigured` if there are faults without development mode."""
        if self.faults and not self.dev:
            raise Misconfigured(
                "Faults are for development mode: add --dev, or leave --faults out."
            )

    def check_bind(self) -> None:
        """Raise `Misconfigured` if other machines can reach the node and no option allows it.

        No option does in development mode, in which anybody who can reach it may do anything.
        """
        if self.choices.any_credentials and not self.dev:
            raise Misconfigured(
                "any credentials are taken in development mode alone, where nobody else can reach "
                "the server. Add --dev, or name keys with --access-key."
            )
        if self.dev and not _is_loopback(self.host):
            raise Misconfigured(
                f"{self.host} is reachable from other machines, and development mode is for this "
                "one alone, whatever protects it. Leave out --dev, or serve on 127.0.0.1."
            )
        if self.dev and self.processes:
            raise Misconfigured(
                f"development mode serves in one process, not in {self.processes} and a writer. "
                "Leave out --processes, or --dev."
            )
        if self.tls_cert is None and not self.insecure_bind and not _is_loopback(self.host):
            raise Misconfigured(
                f"{self.host} is reachable from other machines. Serve TLS with --tls-cert and "
                "--tls-key, or pass --insecure-bind if something in front of it does."
            )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_database(url: str, key_file: Path | None = None) -> Database:
    """Return the database that a URL names. Raises `Misconfigured` for a scheme not served.

    The key of a SQLite database lies beside it unless `key_file` is given.
    """
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        # sqlite:////absolute/path and sqlite:///relative/path, as SQLAlchemy writes them.
        # Resolve links, so that two names of one file have one lock and one key.
        try:
            file = Path(url.removeprefix(_SQLITE)).expanduser().resolve()
        except (OSError, RuntimeError) as error:
            raise Misconfigured(f"{url!r} names no file: {error}") from error
        return Database(url, file, key_file or file.with_name(file.name + ".key"))
    if url.startswith(_POSTGRESQL):
        return Database(url, None, key_file)
    raise Misconfigured(
        f"{without_password(url)!r} is not a database served here. Use sqlite:///FILE, "
        "sqlite:////ABSOLUTE/FILE, or postgresql://USER@HOST:PORT/NAME."
    )


def without_password(url: str) -> str:
    """Return a URL that may be wrong in any way, without what may be a password in it.

    That is all between the first colon after the scheme and the last @, and what follows a ?.
    """
    shown, has_options, _ = url.partition("?")
    scheme, has_scheme, rest = shown.partition("://")
    if not has_scheme:
        scheme, rest = "", shown
    user, has_user, place = rest.rpartition("@")
    name, has_password, _ = user.partition(":")
    hidden = "…" if has_password else ""
    return f"{scheme}{has_scheme}{name}{has_password}{hidden}{has_user}{place}" + (
        "?…" if has_options else ""
    )


def database_of(file: Path) -> Database:
    """Return the SQLite database in `file`."""
    return read_database(f"{_SQLITE}{file}")
