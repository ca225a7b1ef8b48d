"""Judges of what a node keeps in memory: wherever it is used, it must equal what is stored."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

from sametoken.resources.kit.rows import EDGE, RESOURCE, STORED, from_record
from sametoken.resources.kit.written import written_by
from sametoken.store.cache import Cache
from sametoken.store.port import Tx

_STORED = STORED.where(RESOURCE.c.id == sa.bindparam("one"))
_UNDER = sa.select(EDGE.c.child).where(EDGE.c.parent == sa.bindparam("one"))


def check_written(tx: Tx) -> None:
    """Assert that what the transaction knows of its own rows is what it would read back."""
    written = written_by(tx)
    for id, row in written.rows.items():
        stored = from_record(tx.execute(_STORED, {"one": id}).one())
        assert row == stored, f"{id} is remembered as {row}, and stored as {stored}"
    for parent in written.inserted:
        children = {found.child for found in tx.execute(_UNDER, {"one": parent})}
        below = written.under[parent]
        assert below == children, f"under {parent} are {children}, remembered are {below}"


@contextmanager
def checked_cache() -> Iterator[None]:
    """For the block, read each value that a cache returns once more, and compare."""
    get = Cache.get

    def checked(
        self: Cache, topic: Hashable, stamp: str | None, key: Hashable, read: Callable[[], Any]
    ) -> Any:
        kept = get(self, topic, stamp, key, read)
        fresh = read()
        assert kept == fresh, f"the cache has {kept} for {key} of {topic}, stored is {fresh}"
        return kept

    with patch.object(Cache, "get", checked):
        yield
