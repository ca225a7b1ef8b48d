"""Kinds of resource, declared: ids, error codes, states, quotas, and what ends with what. Pure.

`KINDS` has each kind that was declared in this process, by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sametoken.errors import ServiceError

# EC2's ids: 17 hexadecimal digits, or the 8 of ids made before 2016.
_DIGITS = re.compile(r"(?:[0-9a-f]{17}|[0-9a-f]{8})\Z")


# A quota's code where EC2 names none of its own.
GENERAL_QUOTA_CODE = "ResourceLimitExceeded"
# The `Quota.per` of a quota that each zone has for itself.
ZONE = "zone"


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `maximum` at once; None: as many as one likes, until `sametoken limits` sets one.

    `code` is EC2's refusal. `per` says what is counted together: "" a whole Region, `ZONE` a zone,
    else the member of the resource that names its parent.

    Source: Service Quotas of Amazon VPC, EC2, EBS and Site-to-Site VPN, for a new account; codes
    from "Error codes for the Amazon EC2 API".
    """

    maximum: int | None = None
    code: str = GENERAL_QUOTA_CODE
    per: str = ""


def always(row: Any, parent: Any) -> bool:
    """The condition in `Kind.goes_with` of a child that every end of the parent ends."""
    return True


@dataclass(frozen=True, slots=True)
class Kind:
    """A noun of EC2's.

    `name` is the word tags and `resource-type` use. `prefix` starts its ids, `code` its error
    codes (InvalidSubnetID), `noun` stands in their messages. `malformed` is the code of an id that
    cannot be one, for kinds where EC2 spells it unlike `code` (InvalidGroupId); `missing` the whole
    code of one that does not exist, where EC2 has no stem for it (NatGatewayNotFound).
    `transitions` names each state's successors; a state in `ends` is final: the row is a
    tombstone, shown for `lingers` more. States in `leaving` are the way there, once the end is
    asked for.

    `quota` is how many an account may have; `part_quotas` how many entries a document of the kind
    may list, by the name `sametoken limits` calls them.

    A living row protects what it stands under: `endings.end` refuses to end the parent.
    `goes_with` declares the opposite: kinds of parent whose end ends this row too, each with a
    condition on the two rows. `outlives` names the kinds of parent that the workflow may end while
    this row stands under them, and which it survives. `in_use` words the refusal: `{noun}`,
    `{id}` and `{names}`.
    """

    name: str
    prefix: str
    code: str
    noun: str
    transitions: Mapping[str, frozenset[str]] = field(
        default_factory=lambda: {"available": frozenset({"deleted"}), "deleted": frozenset()}
    )
    ends: frozenset[str] = frozenset({"deleted"})
    lingers: timedelta = timedelta(0)
    malformed: str = ""
    missing: str = ""
    leaving: frozenset[str] = frozenset()
    quota: Quota | None = None
    part_quotas: Mapping[str, Quota] = field(default_factory=dict)
    goes_with: Mapping[str, Callable[[Any, Any], bool]] = field(default_factory=dict)
    outlives: frozenset[str] = frozenset()
    in_use: str = "The {noun} '{id}' has dependencies and cannot be deleted: {names}."

    def __post_init__(self) -> None:
        states = self.transitions.keys()
        assert self.ends | self.leaving <= states, f"{self.name}: a final state has no row"
        for state, successors in self.transitions.items():
            assert successors <= states, f"{self.name}: {state} leads to a state without a row"
            assert not (state in self.ends and successors), f"{self.name}: {state} is not final"
        known = KINDS.setdefault(self.name, self)
        assert known == self, f"the kind {self.name} is declared twice, differently"

    def check_id(self, value: str) -> None:
        """Raise `Invalid….Malformed` unless `value` has the form of this kind's ids."""
        prefix, dash, digits = value.rpartition("-")
        if prefix != self.prefix or not dash or not _DIGITS.match(digits):
            raise malformed_resource_id(self.malformed or self.code, self.prefix, value[:200])

    @property
    def end(self) -> str:
        """The final state, of a kind that has one alone."""
        [state] = self.ends
        return state

    def not_found(self, ids: Iterable[str]) -> ServiceError:
        return not_found(self.code, self.noun, *ids, whole_code=self.missing)


KINDS: dict[str, Kind] = {}


def states(**successors: str) -> dict[str, frozenset[str]]:
    """A state table written as `pending="running terminated"`; dashes as underscores."""
    return {
        state.replace("_", "-"): frozenset(names.split()) for state, names in successors.items()
    }


def malformed_id(code: str, noun: str, value: str) -> ServiceError:
    """`code` is EC2's stem, such as InvalidSubnetID."""
    return ServiceError(f"{code}.Malformed", f'Invalid {noun} id: "{value}"')


def malformed_resource_id(code: str, prefix: str, value: str) -> ServiceError:
    """`code` is EC2's stem, such as InvalidGroupId; `prefix` what such ids start with."""
    hint = "" if value.startswith(f"{prefix}-") else f' (expecting "{prefix}-...")'
    return ServiceError(f"{code}.Malformed", f'Invalid id: "{value}"{hint}')


def not_found(code: str, noun: str, *values: str, whole_code: str = "") -> ServiceError:
    """`code` is EC2's stem, such as InvalidSubnetID; `whole_code` stands where EC2 has no stem."""
    ids = ", ".join(values)
    text = f"ID '{ids}' does not exist" if len(values) == 1 else f"IDs '{ids}' do not exist"
    return ServiceError(whole_code or f"{code}.NotFound", f"The {noun} {text}")
