"""Kinds of resources: their ids, error codes, states, quotas, and which rows end together. Pure.

`KINDS` has all kinds that were declared in this process, by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from sametoken.errors import ServiceError

# EC2's ids: 17 hexadecimal digits of which the first is 0, or at most the 8 of ids made before
# 2016, in either case (captured, of instances and images). None with capitals was ever made.
_DIGITS = re.compile(r"(?:0[0-9a-fA-F]{16}|[0-9a-fA-F]{1,8})\Z")


# The code of a quota for which EC2 documents no code of its own.
GENERAL_QUOTA_CODE = "ResourceLimitExceeded"
# The `Quota.per` of a quota that is counted for each zone separately.
ZONE = "zone"


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `maximum` at a time. None means no limit, until `sametoken limits` sets one.

    `code` is EC2's refusal. `per` says which resources are counted together: those of a Region
    (""), of a zone (`ZONE`), or of a parent (the member of the resource that names the parent).

    Source: Service Quotas of Amazon VPC, EC2, EBS and Site-to-Site VPN, for a new account; codes
    from "Error codes for the Amazon EC2 API".
    """

    maximum: int | None = None
    code: str = GENERAL_QUOTA_CODE
    per: str = ""


class Listed(Protocol):
    """The part of a row that tells who sees it."""

    @property
    def id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def gone_at(self) -> datetime | None: ...


L = TypeVar("L", bound=Listed)


def always(row: Any, parent: Any) -> bool:
    """Return True: the condition in `Kind.goes_with` of a row that always ends with its parent."""
    return True


@dataclass(frozen=True, slots=True)
class Kind:
    """A noun of EC2's API.

    `name` is the word in tags and in `resource-type`. `prefix` starts its ids, `code` starts its
    error codes (InvalidSubnetID), and `noun` is the word in their messages. `malformed` is the
    whole code for a malformed id, if EC2 spells it unlike `code` (InvalidGroupId.Malformed); None:
    EC2 has no such code, and calls a malformed id missing. `missing` is the whole code for a
    missing id, if EC2 does not build it from `code` (NatGatewayNotFound), and `missing_text` its
    text, with `{noun}`, `{ids}` and `{do}`, if EC2 says it otherwise.
    `transitions` has the successors of each state. States in `ends` are final: the row is a
    tombstone, and is shown for `lingers` more. States in `leaving` come before a final state, once
    the end has been requested.

    Resources of a `cached` kind are looked up by many requests and hardly ever changed, so that
    nodes keep them in memory (`Tx.cached`); each change makes every node read them again.

    `hides_no_tags` says that EC2 leaves the member out of a resource without tags, where it returns
    an empty list for other kinds.

    `quota` limits how many an account may have; `part_quotas` limit how many entries a document of
    the kind may list, by the names that `sametoken limits` uses.

    `traits` are members by which callers narrow a listing, each a path in EC2's form, with the
    paths in the document where its values are stored: all that the form ever shows, or more. A new
    one needs a revision that writes it for the rows that are there (`traits.TRAIT`). `through` are
    members that follow from another one, such as a VPC's id from a subnet's: from the one's path to
    the other's, and the kind of the row that this names, which stands under the wanted row.

    A living row protects the rows it stands under: `endings.end` refuses to end its parent.
    `goes_with` declares the opposite: kinds of parents whose end ends this row as well, each with a
    condition on the two rows. `outlives` names kinds of parents that the workflow may end while
    this row stands under them; this row then stays. `in_use` is the text of the refusal, with
    `{noun}` and `{id}`: EC2 does not say what stands in the way.
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
    malformed: str | None = ""
    missing: str = ""
    missing_text: str = ""
    leaving: frozenset[str] = frozenset()
    cached: bool = False
    hides_no_tags: bool = False
    quota: Quota | None = None
    part_quotas: Mapping[str, Quota] = field(default_factory=dict)
    traits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    through: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    goes_with: Mapping[str, Callable[[Any, Any], bool]] = field(default_factory=dict)
    outlives: frozenset[str] = frozenset()
    in_use: str = "The {noun} '{id}' has dependencies and cannot be deleted."

    def __post_init__(self) -> None:
        states = self.transitions.keys()
        assert self.ends | self.leaving <= states, f"{self.name}: a final state has no row"
        for state, successors in self.transitions.items():
            assert successors <= states, f"{self.name}: {state} leads to a state without a row"
            assert not (state in self.ends and successors), f"{self.name}: {state} is not final"
        known = KINDS.setdefault(self.name, self)
        assert known == self, f"the kind {self.name} is declared twice, differently"

    def check_id(self, value: str) -> None:
        """Raise `Invalid….Malformed` if `value` does not have the form of this kind's ids."""
        prefix, dash, digits = value.rpartition("-")
        if prefix != self.prefix or not dash or not _DIGITS.match(digits):
            if self.malformed is None:
                raise self.not_found([value[:200]])
            code = self.malformed or f"{self.code}.Malformed"
            raise malformed_resource_id(code, self.prefix, value[:200])

    @property
    def end(self) -> str:
        """The final state of a kind that has a single one."""
        [state] = self.ends
        return state

    def shows(self, row: Listed, place: tuple[str, str], now: datetime) -> bool:
        """Tell whether a describe in the account's Region shows the row: not if gone for long."""
        if (row.kind, row.account, row.region) != (self.name, *place):
            return False
        return row.gone_at is None or row.gone_at + self.lingers > now

    def shown_of(
        self, ids: Iterable[str], found: Mapping[str, L], place: tuple[str, str], now: datetime
    ) -> list[L]:
        """Return the shown rows of the ids, in their order; raise `not_found` with all others."""
        asked = dict.fromkeys(ids)
        missing = [id for id in asked if id not in found or not self.shows(found[id], place, now)]
        if missing:
            raise self.not_found(missing)
        return [found[id] for id in asked]

    def not_found(self, ids: Iterable[str]) -> ServiceError:
        names = list(ids)
        error = not_found(self.code, self.noun, *names, whole_code=self.missing)
        if not self.missing_text:
            return error
        noun, do = (self.noun, "does") if len(names) == 1 else (f"{self.noun}s", "do")
        return ServiceError(
            error.code, self.missing_text.format(noun=noun, ids=", ".join(names), do=do)
        )


KINDS: dict[str, Kind] = {}


def states(**successors: str) -> dict[str, frozenset[str]]:
    """Make a state table from `pending="running terminated"`. Underscores stand for dashes."""
    return {
        state.replace("_", "-"): frozenset(names.split()) for state, names in successors.items()
    }


def malformed_id(code: str, noun: str, value: str) -> ServiceError:
    """Make the error for an id in the wrong form. `code` is EC2's stem, such as InvalidSubnetID."""
    return ServiceError(f"{code}.Malformed", f'Invalid {noun} id: "{value}"')


def malformed_resource_id(code: str, prefix: str, value: str) -> ServiceError:
    """Like `malformed_id`, in the other wording that EC2 uses. `prefix` is that of valid ids.

    `code` is whole here.
    """
    hint = "" if value.startswith(f"{prefix}-") else f' (expecting "{prefix}-...")'
    return ServiceError(code, f'Invalid id: "{value}"{hint}')


def not_found(code: str, noun: str, *values: str, whole_code: str = "") -> ServiceError:
    """Make the error for missing resources. `whole_code`, if given, replaces the stem `code`."""
    ids = ", ".join(values)
    text = f"ID '{ids}' does not exist" if len(values) == 1 else f"IDs '{ids}' do not exist"
    return ServiceError(whole_code or f"{code}.NotFound", f"The {noun} {text}")
