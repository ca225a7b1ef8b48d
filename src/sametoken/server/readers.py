"""Threads that read for requests, which accounts share: no account has all of them.

Reads wait in turns of their accounts. A read that nobody waits for any more is not begun, or ends
at its next check (`patience`), as does one whose time is over.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sametoken.ec2.protocol import refusals
from sametoken.patience import Patience, limited
from sametoken.store import roll

# Reads are bound by the interpreter's lock: more threads add nothing, and behind one alone short
# reads queue for long ones. An account has all but one.
READ_THREADS = 3
ACCOUNT_READS_MAX = READ_THREADS - 1
# Reads of an account that wait for its threads: more of them would only wait for longer.
ACCOUNT_WAITING_MAX = 64


@dataclass(slots=True, eq=False)
class _Read:
    fn: Callable[[], Any]
    patience: Patience
    future: Future[Any] = field(default_factory=Future)


class Readers:
    """The threads, and the reads that wait for them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # Reads that wait, by account; the account whose turn is next comes first.
        self._waiting: OrderedDict[str, deque[_Read]] = OrderedDict()
        self._running: Counter[str] = Counter()
        self._closed = False
        self.threads = [
            threading.Thread(target=self._work, name=f"reader-{number}")
            for number in range(READ_THREADS)
        ]
        roll.begin(self.threads, self._end)

    def submit(self, account: str, fn: Callable[[], Any], patience: Patience) -> Future[Any]:
        """Queue a read. Raises `RequestLimitExceeded` if the account has too many waiting."""
        read = _Read(fn, patience)
        with self._changed:
            waiting = self._waiting.setdefault(account, deque())
            if len(waiting) >= ACCOUNT_WAITING_MAX:
                raise refusals.request_limit_exceeded()
            waiting.append(read)
            self._changed.notify()
        return read.future

    def close(self) -> None:
        """End the threads, after the reads that wait."""
        self._end()
        for thread in self.threads:
            thread.join()

    def _end(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            account, read = taken
            if read.future.set_running_or_notify_cancel():
                _run(read)
            with self._changed:
                self._running[account] -= 1
                if not self._running[account]:
                    del self._running[account]
                self._changed.notify()

    def _take(self) -> tuple[str, _Read] | None:
        """Wait for a read whose account may have another thread; None at the end."""
        with self._changed:
            while True:
                account = self._next_account()
                if account is None:
                    if self._closed and not self._waiting:
                        self._changed.notify_all()
                        return None
                    self._changed.wait()
                    continue
                waiting = self._waiting[account]
                read = waiting.popleft()
                self._waiting.move_to_end(account)
                if not waiting:
                    del self._waiting[account]
                self._running[account] += 1
                return account, read

    def _next_account(self) -> str | None:
        free = (one for one in self._waiting if self._running[one] < ACCOUNT_READS_MAX)
        return next(free, None)


def _run(read: _Read) -> None:
    try:
        with limited(read.patience):
            read.patience.check()
            value = read.fn()
    except BaseException as error:  # noqa: BLE001 - it is its caller's, whatever it is
        read.future.set_exception(error)
    else:
        read.future.set_result(value)
