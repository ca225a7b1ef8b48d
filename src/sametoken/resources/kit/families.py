"""A row and the rows under it, by one statement: most answers about one resource show both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sametoken.resources.kit import rows
from sametoken.resources.kit.rows import Row
from sametoken.resources.kit.written import written_by
from sametoken.store.codec import loads_document
from sametoken.store.dialects import Text, moment
from sametoken.store.port import Tx

# In the order of the fields of `Row`.
_COLUMNS = (
    "one.id, one.kind, one.account, one.region, one.state, CAST(one.doc AS text), one.created_at,"
    " one.zone, one.name, one.client_token, one.gone_at, one.version"
)
_FIND = Text(
    f"SELECT {_COLUMNS} FROM resource AS one WHERE one.id = ?"  # noqa: S608 - columns alone
    f" UNION ALL SELECT {_COLUMNS} FROM resource_edge AS edge"
    " JOIN resource AS one ON one.id = edge.child WHERE edge.parent = ?"
)


def find(tx: Tx, id: str) -> tuple[Row, list[Row]] | None:
    """Find a row or tombstone, and the living rows under it by their ids; None if it is not there.

    The same as `rows.find` and `rows.children` return.
    """
    written = written_by(tx)
    if id in written.rows:
        known: dict[str, Row] = written.rows
        under = sorted(written.under[id]) if id in written.inserted else None
        if under is None or not known.keys() >= set(under):
            return known[id], rows.children(tx, [id])[id]
        return known[id], [known[one] for one in under]
    found = [_row(one) for one in tx.send(_FIND, (id, id))]
    if not found or found[0].id != id:
        return None
    row, *below = found
    below.sort(key=lambda one: one.id)
    return row, below


def _row(found: Sequence[Any]) -> Row:
    (
        id, kind, account, region, state, doc, created_us, zone, name, client_token, gone_us,
        version,
    ) = found  # fmt: skip
    created_at = moment(created_us)
    assert created_at is not None, "the column takes no NULL"
    return Row(
        id, kind, account, region, state, loads_document(doc), created_at, zone, name,
        client_token, moment(gone_us), version,
    )  # fmt: skip
