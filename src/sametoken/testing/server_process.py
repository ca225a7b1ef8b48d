"""A server beside this process, in one of its own, that ends with this one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sametoken.errors import Misconfigured

# Seconds in which a server that was told to end does: it gives requests 8.
_END_SECONDS_MAX = 30
_FIRST_LINE = "sametoken serves EC2 at "


class ServerProcess:
    """A server in a process of its own, which ends with this one, however this one ends.

    It reads its input, a pipe that this process holds, and stops at its end: the system closes the
    pipe for a process that was killed. A child that this process has forked since holds the pipe
    too, and has to end as well.
    """

    def __init__(self, options: Sequence[str], log: Path) -> None:
        self._options = options
        # Takes what the server logs, of all its starts.
        self.log = log
        self._process: subprocess.Popen[str] | None = None

    def start(self, port: int = 0) -> str:
        """Start, wait until it serves, and return its URL. A port of 0 is any that is free."""
        assert not self.runs, "one process at a time"
        self.kill()
        with self.log.open("a") as log:
            process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "sametoken", "serve", "--end-with-input",
                 "--port", str(port), *self._options],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        self._process = process
        assert process.stdout is not None, "its output is a pipe"
        line = process.stdout.readline()
        if not line.startswith(_FIRST_LINE):
            self.kill()
            raise Misconfigured(f"the server did not start: {self.log.read_text().strip()}")
        return line.removeprefix(_FIRST_LINE).split()[0]

    @property
    def pid(self) -> int:
        assert self._process is not None, "start() comes first"
        return self._process.pid

    @property
    def runs(self) -> bool:
        """False before the start, and once the process has ended in whatever way."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """Kill it (SIGKILL), if it runs: it flushes nothing and says nothing."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            _reap(process)

    def stop(self) -> None:
        """Tell it to end, if it runs, and wait until it has."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None, "its input is a pipe"
        process.stdin.close()
        _reap(process)


def _reap(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(_END_SECONDS_MAX)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
