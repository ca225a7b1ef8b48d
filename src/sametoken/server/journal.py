"""The journal of a node: attempts under tokens, kept in memory until they are written together.

To note an attempt costs its caller nothing but a place in a dictionary. The places are bounded:
of each token the first and the last attempts, and of tokens so many. Beyond that the attempts of
the token that came first are dropped, and counted. A node that crashes loses what it had not
written, a second's worth.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from sametoken.errors import Transient
from sametoken.resources.account import attempts
from sametoken.resources.account.attempts import Attempt, Kept, TokenKey
from sametoken.store.port import Store

# A second of a storm in which no token repeats: a few megabytes.
TOKENS_MAX = 1_000
# So many rows take a SQLite writer for a few milliseconds.
WRITTEN_MAX = 100


@dataclass(slots=True)
class Journal:
    """Attempts that are not written yet, by their tokens. Threads share it."""

    # Set while there is anything to write.
    news: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    # Held while a batch is written, so that whoever reads afterwards finds it.
    _writing: threading.Lock = field(default_factory=threading.Lock)
    _found: dict[TokenKey, Kept] = field(default_factory=dict)

    def note(self, key: TokenKey, attempt: Attempt, *, made: bool = False) -> None:
        """Note an attempt. `made`: its entry tells of it as well."""
        self.add({key: attempts.of_one(attempt, made=made)})

    def add(self, found: Mapping[TokenKey, Kept]) -> None:
        """Note what another journal had."""
        if not found:
            return
        with self._lock:
            for key, kept in found.items():
                there = self._found.get(key)
                self._found[key] = kept if there is None else there.and_then(kept)
            over = len(self._found) - TOKENS_MAX
            if over > 0:
                self._drop(over)
        self.news.set()

    def _drop(self, count: int) -> None:
        """Drop the attempts of the tokens that came first, and count them by account."""
        dropped = Counter[str]()
        tokens = (key for key in self._found if key.client_token)
        for key in list(islice(tokens, count)):
            kept = self._found.pop(key)
            dropped[key.account] += len(kept.first) + len(kept.last) + kept.left_out
        for account, count in dropped.items():
            key = attempts.missed(account)
            there = self._found.get(key, Kept())
            self._found[key] = there.and_then(Kept(left_out=count))

    def take(self) -> dict[TokenKey, Kept]:
        """Return all that was noted, and forget it."""
        with self._lock:
            found, self._found = self._found, {}
            self.news.clear()
        return found

    def write(self, store: Store) -> None:
        """Write down all that was noted. Raises `Transient`; what was not written is kept."""
        with self._writing:
            found = self.take()
            try:
                while found:
                    part = dict(islice(found.items(), WRITTEN_MAX))
                    store.run(partial(attempts.write, found=part))
                    for key in part:
                        del found[key]
            except Transient:
                self.add(found)
                raise
