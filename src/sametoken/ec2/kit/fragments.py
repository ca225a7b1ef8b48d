"""Fragments: the XML of resources, kept under the versions of the rows that it shows.

A describe lists outlines. A fragment that was made of rows at the versions in an outline shows what
they hold now; only of the other resources are rows decoded, shown and rendered. So nothing but
these rows may show in a fragment: not the moment, the request, or any other row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from sys import getsizeof
from typing import Protocol, TypeVar

from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.protocol.xml import Rendered
from sametoken.resources.kit.looks import Outline
from sametoken.store.port import Tx, WouldWait

# A hurried transaction shows at most so many resources: a page as most callers ask for it.
HURRIED_MAX = 100
# Rows of so many resources are decoded at once: with 50 tags each they are twelve times their XML.
SHOWN_AT_ONCE = 25
# The filters that a fragment is known to pass; beyond so many, it is tested again.
PASSED_MAX = 8
# The bytes of a fragment around its XML, with its id, and with the filters it passes.
FRAGMENT_BYTES = 1_200
# 128 bits tell apart any two requests one will ever see.
_DIGEST_BYTES = 16


@dataclass(slots=True, eq=False)
class Fragment:
    """A resource's XML. `within` has what stands before and after it, and others that share both.

    `passed` are digests of filters: as the XML, they follow from the rows.
    """

    id: str
    xml: bytes
    within: tuple[bytes, bytes] = (b"", b"")
    passed: set[bytes] = field(default_factory=set)

    @property
    def size(self) -> int:
        return FRAGMENT_BYTES + sum(map(getsizeof, (self.xml, *self.within)))

    def passes(self, asked: bytes) -> bool:
        return not asked or asked in self.passed

    def note(self, asked: bytes) -> None:
        if len(self.passed) >= PASSED_MAX:
            self.passed.clear()
        self.passed.add(asked)


def together(found: Iterable[Fragment]) -> Rendered:
    """Put fragments together to a result's list, in their order, those within the same as one."""
    groups: dict[tuple[bytes, bytes], list[bytes]] = {}
    for one in found:
        groups.setdefault(one.within, []).append(one.xml)
    pieces = [(head, *each, tail) for (head, tail), each in groups.items()]
    return Rendered(list(chain.from_iterable(pieces)))


class Shown(Protocol):
    """A resource in EC2's form."""

    @property
    def id(self) -> str: ...


S = TypeVar("S", bound=Shown)


def digest(given: Sequence[Document] | None) -> bytes:
    """Identify filters; b"" if there are none."""
    if not given:
        return b""
    return hashlib.blake2b(json.dumps(given).encode(), digest_size=_DIGEST_BYTES).digest()


def of(
    tx: Tx,
    outlines: Sequence[Outline],
    asked: bytes,
    passing: Callable[[Sequence[str]], Iterable[S]],
    render: Callable[[S], Fragment],
) -> list[Fragment]:
    """Return fragments of the resources that pass the filters `asked`, in the order of outlines.

    `passing` reads the rows of ids, and returns those resources that pass.
    """
    versions = {one.id: (one.version, one.below) for one in outlines}
    known: dict[str, Fragment] = {}
    if tx.kept is not None:
        known = {one.id: one for one in tx.kept.find(versions.items()) if one is not None}
    found = {id: one for id, one in known.items() if one.passes(asked)}
    others = [id for id in versions if id not in found]
    if others:
        if tx.hurried:
            raise WouldWait
        lots = (others[at : at + SHOWN_AT_ONCE] for at in range(0, len(others), SHOWN_AT_ONCE))
        for shown in chain.from_iterable(map(passing, lots)):
            id = shown.id
            one = found[id] = known.get(id) or render(shown)
            one.note(asked)
            if tx.kept is not None and id not in known:
                version = versions[id]
                tx.kept.keep(id, version, one, one.size + getsizeof(version[1]))
    return [found[one.id] for one in outlines if one.id in found]
