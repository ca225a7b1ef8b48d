"""The rows that a transaction wrote, kept for it, so that it need not read them back.

A create shows what it has just made: its view asks for these rows first. Each is kept as it is
stored, with its document decoded from the stored text, so that the first answer and a replay agree.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from sametoken.store.port import Tx


@dataclass(slots=True)
class Written:
    """`rows` by id, each a `rows.Row` as it would be read back.

    `inserted` has the ids of new rows. All that is under one of them is in `under`, because nobody
    else knows the row yet.
    """

    rows: dict[str, Any] = field(default_factory=dict)
    inserted: set[str] = field(default_factory=set)
    under: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


def written_by(tx: Tx) -> Written:
    """Return the transaction's rows so far; those of an undone savepoint are not among them."""
    found: Written | None = tx.written.get(Written)
    if found is None:
        found = tx.written[Written] = Written()
    return found
