"""The control routes of a server, by which clock, faults and resets reach it."""

from __future__ import annotations

from typing import Any

from sametoken.operate.asking import ask
from sametoken.operate.opened import Opened
from sametoken.store.port import Store
from sametoken.testing.server_process import ServerProcess


class Control:
    """A server in this process, or in a `process` of its own, by its database."""

    def __init__(self, here: Opened[Store], process: ServerProcess | None = None) -> None:
        self.here = here
        self.process = process

    @property
    def runs(self) -> bool:
        """False once the server's process has died; rules of faults have died with it."""
        return self.process is None or self.process.runs

    def ask(self, method: str, path: str, given: dict[str, object] | None = None) -> Any:
        """Ask the server at a control route. Raises `Misconfigured` if it refuses, with what to do.

        It is asked over HTTP also in this process, as programs in other languages do.
        """
        return ask(self.here, method, path, given)
