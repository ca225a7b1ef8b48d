"""Servers started in a twentieth of the time: forked by a process that has imported the program.

What a start costs are imports and EC2's model, the same each time, and the tests start some two
hundred servers. A forked one runs the command line as any other does, with an environment, an
output, a process id and an end of its own. The demo's server, those of the documents' commands and
of other releases are started as users start theirs.
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

_ORDER_BYTES_MAX = 1 << 17
# A number, in decimal: a process id, or what waitpid says.
_WORD_BYTES = 8
# What the program imports as late as it can, because not everyone needs it.
_LATE = ("sametoken.cli", "sametoken.store.postgresql", "uvloop")
# A nursery that has not ended by then hangs.
_END_SECONDS_MAX = 20


class Forked:
    """One forked process, as `subprocess.Popen` shows its own."""

    def __init__(self, pid: int, output: int, fates: int) -> None:
        self.pid = pid
        self.stdout: IO[str] = os.fdopen(output)
        self.returncode: int | None = None
        # True while a signal holds it, as of the last look.
        self.is_stopped = False
        self._fates = os.fdopen(fates, "rb", buffering=0)
        self._looking = threading.Lock()

    def poll(self) -> int | None:
        """Its exit status, a signal as a number below zero; None while it lives."""
        return self._look(0)

    def wait(self, timeout: float) -> int:
        """The same, once it has ended; raises `subprocess.TimeoutExpired`."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("sametoken", timeout)
        return code

    def send_signal(self, number: int) -> None:
        """Nothing happens to a process that has ended."""
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
    """The process that forks. May be asked by several threads."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._orders, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__], stdin=theirs.fileno(), env=environment
            )
        self._turn = threading.Lock()

    def start(self, words: Sequence[str], environment: Mapping[str, str], log: int) -> Forked:
        """Run `sametoken` with these words. Its errors go to the file descriptor `log`."""
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
        """End it, and with it every process that still runs."""
        self._orders.close()
        self._process.wait(_END_SECONDS_MAX)


@cache
def nursery() -> Nursery:
    """This process's own."""
    made = Nursery(dict(os.environ))
    atexit.register(made.close)
    return made


def _is_over(status: int) -> bool:
    return not os.WIFSTOPPED(status) and not os.WIFCONTINUED(status)


def _word(number: int) -> bytes:
    return b"%*d" % (_WORD_BYTES, number)


class _Tender:
    """In the nursery's process: forks what is asked for, and tells how each one fares."""

    def __init__(self) -> None:
        self._orders = socket.socket(fileno=os.dup(0))
        # Where each child's fate is told.
        self._tells: dict[int, int] = {}
        # A byte for each signal, so that one wait is for orders and for children.
        self._woken, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def tend(self) -> list[str] | None:
        """Until nobody asks any more. In a child: returns at once, with the words to run."""
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
        """What has happened to each child since one last looked."""
        for pid, tell in list(self._tells.items()):
            found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if not found:
                continue
            # Nobody may care any more.
            with suppress(BrokenPipeError):
                os.write(tell, _word(status))
            if _is_over(status):
                os.close(self._tells.pop(pid))


def _main() -> None:
    from sametoken import __main__ as command
    from sametoken.ec2.protocol.model import ServiceModel

    for module in _LATE:
        import_module(module)
    for service in ("ec2", "sts"):
        ServiceModel.load(service)
    # What all have in common stays where it is: collecting it would copy it into each child.
    gc.collect()
    gc.freeze()
    words = _Tender().tend()
    if words is not None:
        sys.argv = ["sametoken", *words]
        command.main()


if __name__ == "__main__":
    _main()
