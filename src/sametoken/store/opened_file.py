"""The database's file as it was opened: the one that its name still leads to, under one name."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sametoken.errors import Misconfigured
from sametoken.store.port import Broken

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# An extended code has the kind of error in its last byte.
_KIND = 0xFF


class OpenedFile:
    """The identity of a file when it was opened, and whether it was found to be damaged since."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity = _identity(path)
        self._damage: str | None = None

    def is_there(self) -> bool:
        """Return whether its name still leads to the file: commits to another one would be lost."""
        try:
            return _identity(self._path) == self._identity
        except OSError:
            return False

    def met(self, error: BaseException) -> None:
        """Take note of an error of the database, which may tell that the file is damaged."""
        original = getattr(error, "orig", error)
        if getattr(original, "sqlite_errorcode", 0) & _KIND in _DAMAGED:
            self._damage = str(original)

    def check(self) -> None:
        """Raise `Broken` unless the file is the one that was opened, and whole as far as known."""
        if self._damage is not None:
            raise Broken(
                f"the database {self._path} is damaged ({self._damage}). Restore it from a backup."
            )
        if not self.is_there():
            raise Broken(
                f"the database {self._path} was removed, renamed or replaced while it was open. "
                "Put it back, and start again."
            )


def check_only_name(path: Path) -> None:
    """Raise `Misconfigured` if the file has other names: under each it would have other locks."""
    count = path.stat().st_nlink
    if path.is_file() and count > 1:
        raise Misconfigured(
            f"{path} has {count} names (hard links), under which two servers could serve it at "
            "once. Leave it one, or copy it with `sametoken backup`."
        )


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
