"""Judges of what a node keeps in memory: wherever it is used, it must equal what is stored."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa

from sametoken.ec2.catalog import ACTIONS
from sametoken.ec2.compute import instances
from sametoken.ec2.kit.actions import Read
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.protocol.model import ServiceModel
from sametoken.resources.kit.rows import EDGE, RESOURCE, STORED, from_record
from sametoken.resources.kit.written import written_by
from sametoken.store.cache import Cache
from sametoken.store.port import Tx

_STORED = STORED.where(RESOURCE.c.id == sa.bindparam("one"))
_ID = re.compile(rb"<instanceId>([^<]+)</instanceId>")
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

    def checking(get: Callable[..., Any]) -> Callable[..., Any]:
        def checked(
            self: Cache, topic: Hashable, stamp: str | None, key: Hashable, read: Callable[[], Any]
        ) -> Any:
            kept = get(self, topic, stamp, key, read)
            fresh = read()
            assert kept == fresh, f"the cache has {kept} for {key} of {topic}, stored is {fresh}"
            return kept

        return checked

    get, get_form = checking(Cache.get), checking(Cache.get_form)
    with patch.object(Cache, "get", get), patch.object(Cache, "get_form", get_form):
        yield


@contextmanager
def checked_fragments(*, documents: bool = False) -> Iterator[None]:
    """For the block, render each answer of DescribeInstances anew, of documents, and compare.

    With `documents`, callers in this process get the answer as documents.
    """
    describe = ACTIONS["DescribeInstances"]
    assert isinstance(describe, Read)

    def checked(tx: Tx, request: Request) -> Document:
        result = instances.describe_instances(tx, request)
        fresh = fresh_answer(replace(tx, kept=None, hurried=False), request, result)
        return fresh if documents else result

    with patch.dict(ACTIONS, {describe.name: replace(describe, run=checked)}):
        yield


def fresh_answer(tx: Tx, request: Request, result: Document) -> Document:
    """Return the answer as documents, which must be rendered byte for byte as `result` is."""
    render = ServiceModel.load("ec2").codec("DescribeInstances").render
    told = render(result, request.request_id)
    listed = render(instances.describe_instances(tx, request), request.request_id)
    assert told == listed, f"kept is {told!r}, and read anew {listed!r}"
    ids = [id.decode() for id in _ID.findall(told)]
    shown = {one.id: one for one in instances.show(tx, ids)}
    reservations: dict[str, Document] = {}
    for id in ids:
        row, document = shown[id].row, shown[id].document
        empty = {"OwnerId": row.account, "Groups": list[Document](), "Instances": []}
        reservation = row.private["ReservationId"]
        within = reservations.setdefault(reservation, {"ReservationId": reservation, **empty})
        within["Instances"].append(document)
    fresh = {**result, "Reservations": list(reservations.values())}
    assert render(fresh, request.request_id) == told, f"{told!r} shows {fresh}"
    return fresh
