"""Servers in processes of their own: ours, moto, ministack; each ended with its block.

The peers live in an environment of their own, which `make bench` makes; without it they are
`Unmeasured`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from load import Address, send
from measure import Run, Unmeasured
from processes import cpu_seconds_of, end, family

from sametoken.settings import KEY_FILE_VARIABLE, Database

_HERE = Path(__file__).resolve().parent
PEERS = _HERE.parent / ".venv/peers/bin"
START_SECONDS_MAX = 60.0
_POLL_SECONDS = 0.1
_SERVE = ("serve", "--port", "0", "--boot-seconds", "0")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and its address."""

    process: subprocess.Popen[str]
    address: Address

    @property
    def pid(self) -> int:
        return self.process.pid

    def measured(self, act: Callable[[], Run]) -> Run:
        """Carry out `act` and count the server's CPU meanwhile."""
        before = cpu_seconds_of(self.pid)
        run = act()
        return replace(run, cpu_seconds=cpu_seconds_of(self.pid) - before)

    def answer(self, requests: Iterable[bytes], *, connections: int, seconds: float) -> Run:
        """Send it requests in a closed loop."""
        return self.measured(
            lambda: send(self.address, requests, connections=connections, seconds=seconds)
        )

    def pause(self) -> None:
        """Stop it with all its processes, until `go_on`."""
        for one in family(self.pid):
            one.suspend()

    def go_on(self) -> None:
        for one in family(self.pid):
            one.resume()


@contextmanager
def ours(
    database: Database, log: Path, *, drives: bool = True, processes: int | None = None
) -> Iterator[Server]:
    """`sametoken serve` of a database; with `drives` off it accepts launches and leaves them.

    `processes` is the number of its edges; None for as many as it has by itself.
    """
    program = ["-m", "sametoken"] if drives else [str(_HERE / "held_back.py")]
    environment = {"PYTHONUNBUFFERED": "1"}
    if database.file is None:
        environment[KEY_FILE_VARIABLE] = str(database.key_file)
    edges = () if processes is None else ("--processes", str(processes))
    command = [sys.executable, *program, *_SERVE, *edges, "--database", database.url]
    with _started(command, log, environment, piped=True) as process:
        assert process.stdout is not None, "the server's output is piped"
        words = process.stdout.readline().split()
        url = next((word for word in words if word.startswith("http://")), None)
        if url is None:
            raise Unmeasured(f"sametoken does not serve: {log.read_text()[-500:]}")
        parts = urllib.parse.urlsplit(url)
        assert parts.hostname is not None and parts.port is not None, f"{url} has host and port"
        server = Server(process, (parts.hostname, parts.port))
        yield server


@contextmanager
def moto(log: Path) -> Iterator[Server]:
    address = _free_address()
    command = [peer("moto_server"), "-H", address[0], "-p", str(address[1])]
    with _started(command, log, {}) as process:
        _await_listening(address)
        yield Server(process, address)


@contextmanager
def ministack(log: Path) -> Iterator[Server]:
    address = _free_address()
    environment = {"GATEWAY_PORT": str(address[1]), "BIND_HOST": address[0], "LOG_LEVEL": "ERROR"}
    with _started([peer("ministack")], log, environment) as process:
        _await_listening(address)
        yield Server(process, address)


def peer(program: str) -> str:
    """Find a program of the peers' environment. Raises Unmeasured when it is not there."""
    found = PEERS / program
    if not found.exists():
        raise Unmeasured("the peers are not installed: `make bench` does that")
    return str(found)


@contextmanager
def _started(
    command: list[str], log: Path, environment: Mapping[str, str], *, piped: bool = False
) -> Iterator[subprocess.Popen[str]]:
    with log.open("w") as written:
        process = subprocess.Popen(
            command, text=True, env={**os.environ, **environment}, cwd=log.parent,
            stdout=subprocess.PIPE if piped else written, stderr=written,
        )  # fmt: skip
        try:
            yield process
        finally:
            end(process)


def _free_address() -> Address:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host, port = probe.getsockname()
        return host, port


def _await_listening(address: Address) -> None:
    until = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            socket.create_connection(address, timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > until:
                raise Unmeasured(f"it does not listen: {error}") from error
            time.sleep(_POLL_SECONDS)
