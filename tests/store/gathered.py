"""Members of a batch that write, look and fail, and the statements that are sent meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from sametoken.errors import Transient
from sametoken.store.dialects import Text, inserting
from sametoken.store.port import Tx
from sametoken.store.sqlite import dbapi
from store.batches import Bench, Fn
from store.stores import NOTE

PUT = inserting(NOTE, "name", "body")
PUT_OTHERWISE = Text("INSERT INTO test_note (body, name) VALUES (?, ?)")
LOOK = Text("SELECT name FROM test_note ORDER BY name")


def puts(*names: str) -> Fn:
    return lambda tx: tx.write(PUT, [(name, "") for name in names])


def looks(tx: Tx) -> list[str]:
    return [name for (name,) in tx.send(LOOK)]


def looks_by_sqlalchemy(tx: Tx) -> list[str]:
    return [row.name for row in tx.execute(sa.select(NOTE.c.name).order_by(NOTE.c.name))]


def fails(*before: Fn) -> Fn:
    def run(tx: Tx) -> None:
        for fn in before:
            fn(tx)
        raise Transient("refused")

    return run


def told(bench: Bench, *fns: Fn) -> list[Any]:
    """Run a batch; return the value, or the type of the error, of each member."""
    futures = bench.run(fns)
    return [type(one.exception()) if one.exception() else one.result() for one in futures]


@contextmanager
def watched(bench: Bench) -> Iterator[list[str]]:
    sent: list[str] = []
    bench.run([lambda tx: dbapi(tx.connection).set_trace_callback(sent.append)])
    sent.clear()
    yield sent
    bench.run([lambda tx: dbapi(tx.connection).set_trace_callback(None)])
