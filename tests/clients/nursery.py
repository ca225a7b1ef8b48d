"""Processes started in a twentieth of the time: forked by one that has imported their program.

A start's cost are imports and EC2's model, the same each time, and the tests start some two hundred
servers. A forked one runs the command line as any other does, with an environment, an output, a
process id and an end of its own. The demo's server, and the servers of the documents' commands and
of other releases, are started as users start theirs.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import IO
from unittest.mock import patch

# A server with this variable calls for each step alone, as for one of a service elsewhere.
CALLING_VARIABLE = "CALLS_FOR_EACH_STEP"
# A server with this variable, POINT:N, stops (SIGSTOP: every thread stands still) where it reaches
# that point for the N-th time, until it receives SIGCONT. So does each of its edges.
STOPPING_VARIABLE = "STOPS_AT"
_ORDER_BYTES_MAX = 1 << 17
# A word is a number in decimal: a process id, or a status of waitpid.
_WORD_BYTES = 8
# Modules that the program imports as late as it can, because not everyone needs them.
_LATE = (
    *(f"sametoken.cli.{name}" for name in ("accounts", "clients", "migrate", "serve", "tokens")),
    "sametoken.store.postgresql",
)
# Seconds to end; a nursery that takes longer hangs.
_END_SECONDS_MAX = 20


class Forked:
    """A forked process, with the methods of `subprocess.Popen`."""

    def __init__(self, pid: int, output: int, fates: int) -> None:
        self.pid = pid
        self.stdout: IO[str] = os.fdopen(output)
        self.returncode: int | None = None
        # True while a signal stops the process, as of the last look.
        self.is_stopped = False
        self._fates = os.fdopen(fates, "rb", buffering=0)
        self._looking = threading.Lock()

    def poll(self) -> int | None:
        """The exit status, a signal as a number below zero; None while the process lives."""
        return self._look(0)

    def wait(self, timeout: float) -> int:
        """The exit status, once the process has ended; raises `subprocess.TimeoutExpired`."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("sametoken", timeout)
        return code

    def send_signal(self, number: int) -> None:
        """Send the signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float) -> int | None:
        with self._looking:
            while self.returncode is None and select.select([self._fates], [], [], timeout)[0]:
                fate = self._fates.read(_WORD_BYTES)
                assert fate, "the nursery has died before its children"
                self._heed(int(fate))
            return self.returncode

    def _heed(self, status: int) -> None:
        self.is_stopped = os.WIFSTOPPED(status)
        if _is_over(status):
            self.returncode = os.waitstatus_to_exitcode(status)
            self._fates.close()


class Nursery:
    """The process that forks, which runs `program`. May be asked by several threads."""

    def __init__(self, environment: dict[str, str], program: str = __file__) -> None:
        self._orders, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", program], stdin=theirs.fileno(), env=environment
            )
        self._turn = threading.Lock()

    def start(self, words: Sequence[str], environment: Mapping[str, str], log: int) -> Forked:
        """Run the program with these words. Its errors go to the file descriptor `log`."""
        order = json.dumps([words, environment]).encode() + b"\n"
        assert len(order) <= _ORDER_BYTES_MAX, "more than is read at once"
        output, prints = os.pipe()
        fates, tell = os.pipe()
        try:
            with self._turn:
                socket.send_fds(self._orders, [order], [prints, log, tell])
                pid = int(self._orders.recv(_WORD_BYTES, socket.MSG_WAITALL))
        finally:
            os.close(prints)
            os.close(tell)
        return Forked(pid, output, fates)

    def close(self) -> None:
        """End the nursery, and with it every process that still runs."""
        self._orders.close()
        self._process.wait(_END_SECONDS_MAX)


@cache
def nursery() -> Nursery:
    """The nursery of this test process."""
    made = Nursery(dict(os.environ))
    atexit.register(made.close)
    return made


def _is_over(status: int) -> bool:
    return not os.WIFSTOPPED(status) and not os.WIFCONTINUED(status)


def _word(number: int) -> bytes:
    return b"%*d" % (_WORD_BYTES, number)


class Tender:
    """The nursery's side: forks processes on order, and reports the fate of each."""

    def __init__(self) -> None:
        self._orders = socket.socket(fileno=os.dup(0))
        # File descriptors, one a child, to report its fate to.
        self._tells: dict[int, int] = {}
        # A byte for each signal, so that one wait is for orders and for children.
        self._woken, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def tend(self) -> list[str] | None:
        """Fork until the orders end. In a child: returns at once, with the words to run."""
        asked = self._orders.fileno()
        while True:
            ready, _, _ = select.select([asked, self._woken], [], [])
            if self._woken in ready:
                os.read(self._woken, 1)
                self._tell()
            if asked not in ready:
                continue
            order, handed, _, _ = socket.recv_fds(self._orders, _ORDER_BYTES_MAX, 3)
            if not order:
                break
            while not order.endswith(b"\n"):
                order += self._orders.recv(_ORDER_BYTES_MAX)
            words, environment = json.loads(order)
            if self._fork(*handed):
                os.environ.clear()
                os.environ.update(environment)
                return [str(word) for word in words]
        for pid in self._tells:
            os.kill(pid, signal.SIGKILL)
        return None

    def _fork(self, prints: int, log: int, tell: int) -> bool:
        """True in the child, which then has nothing of the nursery's."""
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for number, handed in enumerate((nothing, prints, log)):
                os.dup2(handed, number)
            self._orders.detach()
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            return True
        os.close(prints)
        os.close(log)
        self._tells[pid] = tell
        self._orders.send(_word(pid))
        return False

    def _tell(self) -> None:
        """Report every change of a child since the last look."""
        for pid, tell in list(self._tells.items()):
            found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if not found:
                continue
            # Ignore a closed pipe: the test may have ended.
            with suppress(BrokenPipeError):
                os.write(tell, _word(status))
            if _is_over(status):
                os.close(self._tells.pop(pid))


def stop_at(point: str, number: str) -> None:
    from sametoken.faults import install

    left = int(number)

    def reached(one: str) -> None:
        nonlocal left
        if one == point:
            left -= 1
            if left == 0:
                # Signal this thread: a signal to the process may reach another thread first, and
                # this one would go on a little.
                signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

    install(reached)


def _main() -> None:
    from sametoken import __main__ as command
    from sametoken.ec2.protocol.model import ServiceModel

    for module in _LATE:
        import_module(module)
    for service in ("ec2", "sts"):
        ServiceModel.load(service)
    # Freeze the objects that all children share: collecting them would copy them into each child.
    gc.collect()
    gc.freeze()
    words = Tender().tend()
    if words is not None:
        if CALLING_VARIABLE in os.environ:
            patch("sametoken.workflow.runner.stretch_from", lambda work, services: None).start()
        if STOPPING_VARIABLE in os.environ:
            stop_at(*os.environ[STOPPING_VARIABLE].split(":"))
        sys.argv = ["sametoken", *words]
        command.main()


if __name__ == "__main__":
    _main()
