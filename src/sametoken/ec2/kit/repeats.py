"""Repeats: what the very same request does a second time, with no token to say that it is the same.

EC2 gives a client token to few of its actions. Each action that changes anything declares what a
repeat does when it has none, and once more for a way of asking that ends otherwise. The tests ask
each twice, having lost the first reply, and docs/actions.md shows them. With a token, or where
invocations stand in for tokens, every repeat is `SAME`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Does(StrEnum):
    """The outcome of a repeat."""

    DOUBLE = "double"
    CONFLICT = "conflict"
    SAME = "same"


# Sources of what EC2 does, from the strongest to the weakest.
EVIDENCE: Mapping[str, str] = {
    "NAT": "answers of EC2 itself, captured by a third party",
    "DOC": "the EC2 developer guide",
    "MOD": "the API reference, as botocore's model carries it",
    "ERR": "the API's list of error codes",
    "FLD": "seen in the field: an issue, or what a client's source provides for",
    "DER": "derived: no source says it outright",
    "MEM": "general knowledge, not confirmed by a source",
}


@dataclass(frozen=True, slots=True)
class Repeat:
    """A repeat's outcome, its evidence, and the `way` of asking it holds for ("" the usual one).

    `code` is the refusal of a `CONFLICT`. An action on several resources may tell it beside what
    it did, in an answer that succeeds. `action` is filled in by the catalogue.
    """

    does: Does
    evidence: str
    code: str = ""
    way: str = ""
    action: str = ""

    @property
    def asked(self) -> str:
        """The action, and after a blank the way it is asked."""
        return f"{self.action} {self.way}".strip()


# An action's own: one for each way of asking. Two are put together by `+`.
Repeats = tuple[Repeat, ...]


def doubles(evidence: str, way: str = "") -> Repeats:
    """A repeat makes another."""
    return (Repeat(Does.DOUBLE, evidence, way=way),)


def same(evidence: str, way: str = "") -> Repeats:
    """A repeat succeeds, and changes nothing more."""
    return (Repeat(Does.SAME, evidence, way=way),)


def conflicts(code: str, evidence: str, way: str = "") -> Repeats:
    """A repeat is refused with `code`."""
    return (Repeat(Does.CONFLICT, evidence, code, way),)
