"""Dry runs: the look-ups of EC2's before it answers that a request would have succeeded.

EC2 looks up the resources that a request names by id, and answers; it reads neither values nor what
stands in the way of a change. Source: recorded answers, such as those of DHCP options (an absent
set is not found, one in use could be deleted) and of key pairs (a wrong format passes).
RunInstances looks up its image, key, groups and subnet as well (reports of users).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from sametoken.ec2.kit.actions import Action, Tokened
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.spelling import stem_of
from sametoken.resources.kit import rows
from sametoken.resources.kit.kinds import KINDS, Kind
from sametoken.store.port import Tx

# Actions of which EC2 reads no parameter at all before it answers a dry run.
UNREAD = frozenset({"CreateDhcpOptions", "CreateKeyPair", "CreateLaunchTemplate"})
# Kinds of which callers may name some that are no rows of theirs: those of AWS, or shared ones.
_SHARED = frozenset({"image", "snapshot", "prefix-list"})
# Words that stand in the place of an id.
_WORDS = frozenset({"default"})


def rehearse(tx: Tx, action: Action, request: Request) -> None:
    """Raise the refusal of a request that would change something, and names what is not there."""
    if not action.mutates:
        return
    for kind, id in _named(request.params):
        if id not in _WORDS and id.partition("-")[0] in ("", id, kind.prefix):
            rows.get(tx, kind, *request.place, [id])
    if isinstance(action, Tokened) and action.rehearse is not None:
        action.rehearse(tx, request)


def _named(params: Mapping[str, Any]) -> Iterator[tuple[Kind, str]]:
    for member, value in params.items():
        kind = _kinds().get(member.removesuffix("s"))
        if kind is not None:
            yield from ((kind, id) for id in (value if isinstance(value, list) else [value]))


@cache
def _kinds() -> Mapping[str, Kind]:
    """Return the kinds by the parameters that name one of them."""
    found = {f"{stem_of(kind.name)}Id": kind for kind in KINDS.values()}
    found["GroupId"] = KINDS["security-group"]
    return {member: kind for member, kind in found.items() if kind.name not in _SHARED}
