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
from sametoken.resources.kit.rows import Move, Row
from sametoken.store.port import Tx


def end(tx: Tx, kind: Kind, row: Row, *, cause: str, state: str | None = None, **doc: Any) -> Row:
    """End the resource because a caller asks for it; return the row as it is now.

    Raises `DependencyViolation` while living rows stand under it, or under one that goes with it;
    those that go (`Kind.goes_with`) end in the same transaction. `state` is a final state or one of
    `kind.leaving`; None stands for the kind's only final state. The row must be locked.
    """
    going, staying = _under(tx, row)
    if staying:
        raise ServiceError("DependencyViolation", kind.in_use.format(noun=kind.noun, id=row.id))
    _end_all(tx, going, cause)
    [ended] = rows.write(tx, kind, [Move(row, doc, state or kind.end, cause)])
    return ended


def end_regardless(
    tx: Tx, kind: Kind, row: Row, *, cause: str, state: str | None = None, **doc: Any
) -> Row:
    """Like `end`, but never refused: for endings by the workflow, or at a due time (`ripening`).

    Rows under it that do not go with it stay; those that outlive it (`Kind.outlives`) stand under
    it no longer. The others are still to be released: an unwinding looks for them there.
    """
    going, staying = _under(tx, row)
    _end_all(tx, going, cause)
    target = state or kind.end
    if target in kind.ends:
        for parent, child in staying:
            if parent.kind in KINDS[child.kind].outlives:
                rows.unlink(tx, parent.id, child.id)
    [ended] = rows.write(tx, kind, [Move(row, doc, target, cause)])
    return ended


def _under(tx: Tx, row: Row) -> tuple[list[Row], list[tuple[Row, Row]]]:
    """Find the living rows under `row`, and under those that go with it.

    Returns the rows that go, each once, and a (parent, child) for each row that stays.
    """
    going: dict[str, Row] = {row.id: row}
    standing: list[tuple[Row, Row]] = []
    above = [row]
    while above:
        below: list[Row] = []
        for parent, found in rows.children(tx, [one.id for one in above]).items():
            for child in found:
                goes = KINDS[child.kind].goes_with.get(going[parent].kind)
                if goes is None or not goes(child, going[parent]):
                    standing.append((going[parent], child))
                elif child.id not in going:
                    going[child.id] = child
                    below.append(child)
        above = below
    staying = [(parent, child) for parent, child in standing if child.id not in going]
    return [one for one in going.values() if one is not row], staying


def _end_all(tx: Tx, going: list[Row], cause: str) -> None:
    for child in rows.by_ids(tx, [one.id for one in going], lock=True).values():
        kind = KINDS[child.kind]
        rows.write(tx, kind, [Move(child, {}, kind.end, cause)])
