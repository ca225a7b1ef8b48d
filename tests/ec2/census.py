"""Census of an account in a Region: everything its Describe actions show, in one snapshot.

Tests compare resources and their parts (routes, rules, addresses, attachments, tags), never calls.
Members that change by themselves after a while (`creating` → `available`) are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.model import Shape

from ec2 import peer
from exercises.catalogue import ACTIONS, own
from memory import checked_fragments
from plane import Plane
from sametoken.ec2.kit.actions import Read
from sametoken.ec2.kit.request import Request
from sametoken.store.port import Tx

Document = dict[str, Any]

# Leave out lists of EC2's own: they are long, and the same for every account.
_BUILT_IN = frozenset(
    {
        "DescribeAccountAttributes",
        "DescribeAvailabilityZones",
        "DescribeInstanceTypeOfferings",
        "DescribeInstanceTypes",
        "DescribeRegions",
        "DescribeVpcEndpointServices",
    }
)
# Parts that only an action of their own lists, for one whole at a time: the action that lists the
# wholes, the member of its answer that holds them, and the member that is a whole's id.
_PARTS = {
    "GetManagedPrefixListEntries": ("DescribeManagedPrefixLists", "PrefixLists", "PrefixListId"),
    "DescribeLaunchTemplateVersions": (
        "DescribeLaunchTemplates",
        "LaunchTemplates",
        "LaunchTemplateId",
    ),
}
_BY_ITSELF = frozenset({"EndTime", "ModificationState", "Progress", "State", "Status"})
_ID = re.compile(r"[a-z][a-z-]*-[0-9a-f]{17}\Z")


def _needs_nothing(name: str) -> bool:
    shape: Shape | None = peer.service("ec2").operation_model(name).input_shape
    return shape is None or not {*shape.required_members, *_SELECTORS} & shape.members.keys()


# Members that choose the one resource whose parts are listed. The model requires only some.
_SELECTORS = frozenset({"Attribute", "LaunchTemplateId"})
LISTS = tuple(
    name
    for name, action in ACTIONS.items()
    if isinstance(action, Read) and name not in _BUILT_IN and _needs_nothing(name)
)


@dataclass(frozen=True)
class Census:
    """The answers of one moment: `shown` has the answer of each action, by its name."""

    shown: Document

    def counts(self) -> Counter[str]:
        """Count resources and their parts, by their paths in the answers."""
        return Counter(path for path, _ in _elements("", self.shown))

    def ids(self) -> set[str]:
        return ids_in(self.shown)


def taken(plane: Plane, account: str, region: str = "us-east-1") -> Census:
    """Take the census of the account as it is now."""

    def ask(tx: Tx, name: str, params: Document) -> Document:
        action = ACTIONS[name]
        assert isinstance(action, Read)
        request = Request(account, region, name, params, "the-census", "key", "full")
        action.validate(request)
        return action.run(tx, request)

    def ask_all(tx: Tx) -> Document:
        shown = {name: ask(tx, name, own(name)) for name in LISTS}
        for name, (wholes, many, member) in _PARTS.items():
            for whole in shown[wholes][many]:
                shown[f"{name} of {whole[member]}"] = ask(tx, name, {member: whole[member]})
        return shown

    # The answers of instances are counted too, and so are wanted as documents.
    with checked_fragments(documents=True):
        return Census(_settled(plane.store.read(ask_all)))


def ids_in(shown: Any) -> set[str]:
    """Return every text of a result that is spelt like an id."""
    if isinstance(shown, dict):
        return {id for inner in shown.values() for id in ids_in(inner)}
    if isinstance(shown, list):
        return {id for inner in shown for id in ids_in(inner)}
    return {shown} if isinstance(shown, str) and _ID.match(shown) else set()


def _settled(shown: Any) -> Any:
    if isinstance(shown, dict):
        return {name: _settled(inner) for name, inner in shown.items() if name not in _BY_ITSELF}
    return [_settled(inner) for inner in shown] if isinstance(shown, list) else shown


def _elements(path: str, shown: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(shown, dict):
        for name, inner in shown.items():
            # Count the parts of all wholes under one path: cut the whole's id from the name.
            yield from _elements(f"{path}.{name.partition(' of ')[0]}", inner)
    elif isinstance(shown, list):
        for inner in shown:
            yield f"{path}[]", inner
            yield from _elements(f"{path}[]", inner)
