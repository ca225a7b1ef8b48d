"""What an operator can set, and where it comes from. Values and parsing only; no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sametoken.errors import Misconfigured
from sametoken.server.choices import DEFAULT_CHOICES, Choices
from sametoken.services.simulated_machines import SimulationSettings

DATABASE_VARIABLE = "SAMETOKEN_DATABASE"
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 4590
_SQLITE = "sqlite:///"
# Enough runners that one commit carries several steps: a launch costs a sixth less than with 4, and
# with 16 no less again (benchmarks/README.md). Each more is one more to wake for a lone launch.
RUNNERS = 8
# Expired entries are forgotten "some time after 24 h": within this.
SWEEP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """One node. `database` is the SQLite file."""

    database: Path
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure_bind: bool = False
    choices: Choices = DEFAULT_CHOICES
    runners: int = RUNNERS
    sweep_seconds: float = SWEEP_SECONDS
    simulation: SimulationSettings = field(default_factory=SimulationSettings)


def database_path(url: str) -> Path:
    """The file that a database URL names. Raises `Misconfigured` for what is not served."""
    if url.startswith(_SQLITE) and len(url) > len(_SQLITE):
        # sqlite:////absolute/path and sqlite:///relative/path, as SQLAlchemy writes them.
        return Path(url.removeprefix(_SQLITE)).expanduser().absolute()
    raise Misconfigured(
        f"{url!r} is not a database served here. Use sqlite:///FILE, or sqlite:////ABSOLUTE/FILE."
    )
