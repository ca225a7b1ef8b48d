"""Doors of the console: by what a person signs in, and how often a wrong word may be tried.

In development mode a one-time link; else the operator's password. An access key opens neither.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from sametoken.console.sessions import Keyring, OwnKey
from sametoken.control.links import Links
from sametoken.operate import operators
from sametoken.operate.opened import Opened
from sametoken.store.port import Store
from sametoken.store.reading import Reads
from sametoken.world import World

# Wrong words in a row, after which one is tried each `TRY_SECONDS`: a person mistypes a few times.
TRIES_MAX = 5
TRY_SECONDS = 15.0


class Door(Protocol):
    """A way into the console. Its methods may take long, and are for any thread."""

    # The name of the door's page, and of the field that carries its word.
    name: str
    keyring: Keyring

    def opens(self, word: str) -> bool:
        """Tell whether a word opens it."""
        ...


class LinkDoor:
    """Opens by one-time links."""

    name = "link"

    def __init__(self, links: Links, world: World) -> None:
        self._links = links
        self.keyring: Keyring = OwnKey(world)

    def opens(self, word: str) -> bool:
        return self._links.use(word)


# Opens the console's database to write to it, for a block.
Writing = Callable[[], AbstractContextManager[Opened[Store]]]


class PasswordDoor:
    """Opens by the operator's password, and holds the key of the sessions that it opens."""

    name = "password"

    def __init__(self, here: Opened[Reads], writing: Writing, world: World) -> None:
        self._here = here
        self._writing = writing
        self._world = world
        self.keyring: Keyring = self

    def opens(self, word: str) -> bool:
        return operators.is_password(self._here, word)

    def key(self) -> bytes | None:
        return operators.session_key(self._here)

    def renew(self) -> None:
        with self._writing() as here:
            operators.end_sessions(here, self._world)


class Tries:
    """How often a wrong word may be tried, by anybody: a few times, and then one by one."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._left = float(TRIES_MAX)
        self._since = world.monotonic()

    def take(self) -> bool:
        """Take a try; False if there is none now, and the word is not to be looked at."""
        with self._lock:
            now = self._world.monotonic()
            grown = (now - self._since) / TRY_SECONDS
            self._left, self._since = min(float(TRIES_MAX), self._left + grown), now
            if self._left < 1:
                return False
            self._left -= 1
            return True

    def give_back(self) -> None:
        """Give a try back: its word was right."""
        with self._lock:
            self._left = min(float(TRIES_MAX), self._left + 1)
