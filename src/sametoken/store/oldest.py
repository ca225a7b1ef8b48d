"""The oldest SQLite that all statements run on, and the refusal of an older one."""

from __future__ import annotations

from sametoken.errors import Misconfigured

# That of Ubuntu 22.04. `tests/store/test_old_sqlite.py` keeps newer SQL out: it has an older SQLite
# parse every statement.
OLDEST = (3, 37)


def check_sqlite(found: tuple[int | str, ...]) -> None:
    """Raise `Misconfigured` if `found`, the version of a SQLite, is older than `OLDEST`."""
    if found < OLDEST:
        raise Misconfigured(
            f"the SQLite of this Python is {_told(found)}, and sametoken needs {_told(OLDEST)} or "
            "later: use a Python with a newer SQLite, such as that of Ubuntu 22.04 or Debian 12, "
            "or a PostgreSQL database."
        )


def _told(version: tuple[int | str, ...]) -> str:
    return ".".join(map(str, version))
