"""Folders of servers for tests: removed at the end, or after a kill when the next one begins.

The owner of a folder holds a lock on a file in it, which the system frees when the process dies. A
process id would tell less: it may be another's by now, or of another container on the same disk.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sametoken.store.gate import LockFile

_PREFIX = "sametoken-"
_HELD = "held"


@contextmanager
def own_folder() -> Iterator[Path]:
    """Give an empty folder to the block, and remove it at the end, with those of the dead."""
    _sweep()
    temporary = tempfile.TemporaryDirectory(prefix=_PREFIX)
    folder = Path(temporary.name)
    lock = LockFile(folder / f"{_HELD}.new")
    try:
        with temporary:
            lock.lock()
            # Renamed once it is locked: one that a sweep finds unlocked has lost its holder.
            lock.path.rename(folder / _HELD)
            yield folder
    finally:
        lock.close()


def _sweep() -> None:
    """Remove this user's folders that nobody holds."""
    for held in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_HELD}"):
        try:
            found = held.parent.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                continue
            with held.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(held.parent, ignore_errors=True)
        except OSError:
            # Held by another, or removed by another meanwhile.
            continue
