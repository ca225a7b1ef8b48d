"""Endings of resources: rows that stand under a row protect it from callers, or end with it.

Every row ends here, so that no delete can skip the check. A caller's delete is refused while living
rows stand under the row. An ending that the workflow makes, such as a termination, is never
stopped: the rows under it end with it, or stay, as their kinds declare.
"""

from __future__ import annotations

from typing import Any

from sametoken.errors import ServiceError
from sametoken.resources.kit import rows
from sametoken.resources.kit.kinds import KINDS, Kind
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx


def end(tx: Tx, kind: Kind, row: Row, *, cause: str, state: str | None = None, **doc: Any) -> Row:
    """End the resource because a caller asks for it; return the row as it is now.

    Raises `DependencyViolation` while living rows stand under it, except those that go with it
    (`Kind.goes_with`), which end in the same transaction. `state` is a final state or one of
    `kind.leaving`; None stands for the kind's only final state. The row must be locked.
    """
    going, standing = _under(tx, kind, row)
    if standing:
        names = ", ".join(sorted(one.id for one in standing)[:5])
        raise ServiceError(
            "DependencyViolation", kind.in_use.format(noun=kind.noun, id=row.id, names=names)
        )
    return _end(tx, kind, row, going, state, cause, doc)


def end_regardless(
    tx: Tx, kind: Kind, row: Row, *, cause: str, state: str | None = None, **doc: Any
) -> Row:
    """Like `end`, but never refused: for endings by the workflow, or at a due time (`ripening`).

    Rows under it that do not go with it stay.
    """
    going, _ = _under(tx, kind, row)
    return _end(tx, kind, row, going, state, cause, doc)


def _under(tx: Tx, kind: Kind, row: Row) -> tuple[list[Row], list[Row]]:
    """Find the living rows under `row`: those that go with it, and those that stay."""
    going: list[Row] = []
    standing: list[Row] = []
    for child in rows.children(tx, [row.id])[row.id]:
        goes = KINDS[child.kind].goes_with.get(kind.name)
        (going if goes is not None and goes(child, row) else standing).append(child)
    return going, standing


def _end(
    tx: Tx,
    kind: Kind,
    row: Row,
    going: list[Row],
    state: str | None,
    cause: str,
    doc: dict[str, Any],
) -> Row:
    for child in rows.by_ids(tx, [one.id for one in going], lock=True).values():
        end_regardless(tx, KINDS[child.kind], child, cause=cause)
    return rows.write(tx, kind, row, state or kind.end, cause, doc)
