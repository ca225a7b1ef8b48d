"""One-time links, by which a browser is let into the console of a node in development mode.

Kept in memory, and only as hashes: a link is a secret until it was used. For any thread.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque

from sametoken.world import World

# Of more that were never used, the oldest opens nothing any more.
LINKS_MAX = 16
_HEX_DIGITS = 64


class Links:
    """The links of a node that were made and not used."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._unused: deque[bytes] = deque(maxlen=LINKS_MAX)

    def make(self) -> str:
        """Make a word that opens the console once."""
        word = self._world.token_hex(_HEX_DIGITS)
        with self._lock:
            self._unused.append(_hashed(word))
        return word

    def use(self, word: str) -> bool:
        """Tell whether a word opens the console; from then on it does not."""
        with self._lock:
            try:
                self._unused.remove(_hashed(word))
            except ValueError:
                return False
        return True


def _hashed(word: str) -> bytes:
    return hashlib.sha256(word.encode()).digest()
