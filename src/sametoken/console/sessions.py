"""Sessions of browsers: signed words in a cookie, and the words that their forms carry.

A session is not kept anywhere. Its word names the moment when it ends, and is signed with a key
that all processes of a console share; to sign out is to renew the key, which ends all of them.
Pure, but for the key's holder and the host's clock.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Protocol

from sametoken.world import World

# A working day. A browser that was left open does not stay let in for longer.
SESSION_SECONDS_MAX = 12 * 3600
_ID_DIGITS = 32
_WORD = re.compile(r"([0-9a-f]{32})\.([0-9]{1,12})\.([0-9a-f]{64})")


class Keyring(Protocol):
    """The holder of the key. Its methods may wait for a database."""

    def key(self) -> bytes | None:
        """Return the key; None while nobody may sign in."""
        ...

    def renew(self) -> None:
        """Have another key, which ends every session."""
        ...


class OwnKey:
    """A `Keyring` in memory, for a console of one process that ends with it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.renew()

    def key(self) -> bytes:
        return self._key

    def renew(self) -> None:
        self._key = bytes.fromhex(self._world.token_hex(64))


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is open. `form` is the word without which none of its forms is taken."""

    form: str


class Sessions:
    """The sessions of a console."""

    def __init__(self, keyring: Keyring, world: World) -> None:
        self._keyring = keyring
        self._world = world

    def begin(self) -> str | None:
        """Return the word of a new session; None while nobody may sign in."""
        key = self._keyring.key()
        if key is None:
            return None
        until = int(self._world.now().timestamp()) + SESSION_SECONDS_MAX
        told = f"{self._world.token_hex(_ID_DIGITS)}.{until}"
        return f"{told}.{_signed(key, 'session', told)}"

    def find(self, word: str) -> Session | None:
        """Return the session of a word; None if it has ended, or never was."""
        found = _WORD.fullmatch(word)
        if found is None or int(found[2]) < self._world.now().timestamp():
            return None
        key = self._keyring.key()
        told = f"{found[1]}.{found[2]}"
        if key is None or not hmac.compare_digest(_signed(key, "session", told), found[3]):
            return None
        return Session(_signed(key, "form", told))

    def end(self) -> None:
        """End every session."""
        self._keyring.renew()


def _signed(key: bytes, use: str, told: str) -> str:
    return hmac.new(key, f"{use} {told}".encode(), hashlib.sha256).hexdigest()
