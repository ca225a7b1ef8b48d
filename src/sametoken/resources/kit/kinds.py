"""What a resource kind is: a declaration. Its states are a table, not ifs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from sametoken.errors import ServiceError

# EC2's ids: 17 hexadecimal digits, or the 8 of ids made before 2016.
_DIGITS = re.compile(r"(?:[0-9a-f]{17}|[0-9a-f]{8})\Z")


@dataclass(frozen=True, slots=True)
class Kind:
    """One noun of EC2's.

    `name` is the word tags and `resource-type` use. `prefix` starts its ids, `code` its error
    codes (InvalidSubnetID), `noun` stands in their messages. `malformed` is the code of an id that
    cannot be one, for kinds where EC2 spells it unlike `code` (InvalidGroupId); `missing` the whole
    code of one that does not exist, where EC2 has no stem for it (NatGatewayNotFound).
    `transitions` names each state's successors; a state in `ends` is final: the row is a
    tombstone, shown for `lingers` more.
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

    def __post_init__(self) -> None:
        states = self.transitions.keys()
        assert self.ends <= states, f"{self.name}: a final state has no row"
        for state, successors in self.transitions.items():
            assert successors <= states, f"{self.name}: {state} leads to a state without a row"
            assert not (state in self.ends and successors), f"{self.name}: {state} is not final"

    def check_id(self, value: str) -> None:
        """Raise `Invalid….Malformed` unless `value` has the form of this kind's ids."""
        prefix, dash, digits = value.rpartition("-")
        if prefix != self.prefix or not dash or not _DIGITS.match(digits):
            raise malformed_resource_id(self.malformed or self.code, self.prefix, value[:200])

    def not_found(self, ids: Iterable[str]) -> ServiceError:
        return not_found(self.code, self.noun, *ids, whole_code=self.missing)


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
