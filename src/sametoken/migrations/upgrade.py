"""Bring a database to this program's schema: expand, then contract.

A revision that *expands* only adds: nodes of the release before work on beside those of this one,
so opening a database applies it. A revision that *contracts* takes away what older programs may
use, and waits for `sametoken migrate --contract`, which is refused while a node lives that does not
know it. A revision that *changes* what is there is applied at opening too; only 0.1.0, whose nodes
must all be stopped before another version starts, has one after it. A program serves a database
that is newer than itself as long as all revisions that it does not know are additions.

Alembic applies revisions, and is not imported for a database that has them all.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path

import sqlalchemy as sa

from sametoken.errors import Misconfigured
from sametoken.migrations import history
from sametoken.migrations.history import CHANGE, CONTRACT, EXPAND, Applied
from sametoken.store.nodes import FRESH, Heartbeat

log = logging.getLogger(__name__)

# The folder of this program's revisions. Tests name those of other releases.
SCRIPTS = str(Path(__file__).parent)
# Matches the two lines of a revision's file that say which it is.
_SAID = re.compile(r'^(revision|phase) = "([\w-]+)"$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision of the schema, as this program knows it."""

    id: str
    phase: str


@cache
def revisions(scripts: str = SCRIPTS) -> tuple[Revision, ...]:
    """All revisions that this program knows, the oldest first.

    Read once: a newer version may be installed over the files of a program that runs. The files
    are read and not run, which would take Alembic.
    """
    said = [dict(_SAID.findall(file.read_text())) for file in Path(scripts).glob("versions/r*.py")]
    known = [Revision(one["revision"], one["phase"]) for one in said]
    assert all(one.phase in (EXPAND, CHANGE, CONTRACT) for one in known), (
        "a revision says what it does"
    )
    return tuple(sorted(known, key=lambda one: one.id))


def head(scripts: str = SCRIPTS) -> str:
    """The revision this program knows as the newest."""
    return revisions(scripts)[-1].id


def current(connection: sa.Connection) -> str | None:
    """The database's revision; None for an empty one."""
    return history.newest(connection)


def upgrade(connection: sa.Connection, scripts: str = SCRIPTS) -> None:
    """Apply the revisions that come before the first that takes away.

    The caller has begun a transaction, and commits it. An empty database has no users, so it gets
    every revision. Raises `Misconfigured` for a database that this program cannot serve.
    """
    missing = _missing(connection, scripts)
    if current(connection) is not None:
        _check_known(connection, scripts)
        adding = list(takewhile(lambda one: one.phase != CONTRACT, missing))
        rest = missing[len(adding) :]
        if any(one.phase != CONTRACT for one in rest):
            raise Misconfigured(
                f"this version of sametoken ({_version()}) needs revision {head(scripts)}, and "
                f"before it {rest[0].id}, which takes away what older versions use. Run `sametoken "
                "migrate --contract` with this version."
            )
        missing = adding
    _apply(connection, missing, scripts)


def contract(
    connection: sa.Connection,
    living: Callable[[], Sequence[Heartbeat]],
    scripts: str = SCRIPTS,
) -> None:
    """Apply all missing revisions. The caller has begun a transaction, and commits it.

    `living` returns the nodes of the database, and keeps others from joining before the commit.
    Raises `Misconfigured` when one of them may use what would be taken away.
    """
    missing = _missing(connection, scripts)
    if current(connection) is not None:
        _check_known(connection, scripts)
        contracting = [one for one in missing if one.phase == CONTRACT]
        nodes = living() if contracting else ()
        for revision in contracting:
            _check_replaced(
                [node for node in nodes if not _knows(node, revision, scripts)], revision
            )
    _apply(connection, missing, scripts)


def _check_replaced(late: Sequence[Heartbeat], revision: Revision) -> None:
    if late:
        told = ", ".join(
            f"{node.url or 'a worker'} (sametoken {node.version}, revision {node.revision})"
            for node in late
        )
        raise Misconfigured(
            f"revision {revision.id} takes away what older nodes use, and these still run: {told}. "
            "Replace every one first; a node that has crashed is forgotten after "
            f"{FRESH.total_seconds():.0f} seconds."
        )


def _knows(node: Heartbeat, revision: Revision, scripts: str) -> bool:
    """True when the program that `node` runs knows `revision`, as every newer program does."""
    ids = [one.id for one in revisions(scripts)]
    return node.revision not in ids or ids.index(node.revision) >= ids.index(revision.id)


def waiting(connection: sa.Connection, scripts: str = SCRIPTS) -> list[str]:
    """The revisions that only `contract` applies."""
    return [one.id for one in _missing(connection, scripts) if one.phase == CONTRACT]


def check(connection: sa.Connection, scripts: str = SCRIPTS) -> None:
    """Raise `Misconfigured` when something that this program uses may be gone."""
    known = {one.id for one in revisions(scripts)}
    foreign = [one for one in history.applied(connection) if one.revision not in known]
    contracted = [one.revision for one in foreign if one.phase != EXPAND]
    if contracted:
        raise Misconfigured(
            f"the database is at revision {current(connection)}: sametoken {foreign[-1].version} "
            f"has taken away ({', '.join(contracted)}) what this version ({_version()}, revision "
            f"{head(scripts)}) uses. Use the newer version."
        )


def check_ours(connection: sa.Connection, *, name: str) -> None:
    """Raise `Misconfigured` unless sametoken made the database; `name` is what it is called."""
    if not history.applied(connection):
        raise Misconfigured(
            f"{name} is not a database of sametoken's: it has no table {history.APPLIED.name} with "
            "revisions. Name another with --database or SAMETOKEN_DATABASE, or make one with "
            "`sametoken serve`."
        )


def check_current(connection: sa.Connection, *, name: str, scripts: str = SCRIPTS) -> None:
    """Raise `Misconfigured` unless the database can be used as it is, with nothing applied.

    Revisions that only `contract` applies may be missing; `name` is what the database is called.
    """
    check_ours(connection, name=name)
    _check_known(connection, scripts)
    missing = [one.id for one in _missing(connection, scripts) if one.phase != CONTRACT]
    if missing:
        raise Misconfigured(
            f"{name} is at revision {current(connection)}, and this version of sametoken "
            f"({_version()}) needs revision {missing[-1]}. Run `sametoken migrate` with this "
            "version first."
        )


def _check_known(connection: sa.Connection, scripts: str) -> None:
    """Raise `Misconfigured` for a revision that this program cannot work beside."""
    check(connection, scripts)
    known = {one.id for one in revisions(scripts)}
    found = current(connection)
    if found in known:
        return
    had = {one.revision for one in history.applied(connection)}
    if not known | {found} <= had:
        raise Misconfigured(
            f"the database is at revision {found}, which this version of sametoken ({_version()}, "
            f"revision {head(scripts)}) does not know. Use the version that wrote it."
        )
    log.info(
        "the database is at revision %s of a newer sametoken; this one (%s, revision %s) works "
        "beside it: what it does not know was only added", found, _version(), head(scripts),
    )  # fmt: skip


def _missing(connection: sa.Connection, scripts: str) -> list[Revision]:
    """Revisions that this program knows and the database has not had, the oldest first."""
    had = {one.revision for one in history.applied(connection)}
    return [one for one in revisions(scripts) if one.id not in had]


def _apply(connection: sa.Connection, missing: Sequence[Revision], scripts: str) -> None:
    if not missing:
        return
    from sametoken.migrations.applying import apply

    for revision in missing:
        apply(connection, revision.id, scripts)
        history.record(connection, Applied(revision.id, revision.phase, _version()))


def _version() -> str:
    return version("sametoken")
