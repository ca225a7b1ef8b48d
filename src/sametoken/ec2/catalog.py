"""The catalogue: every action that is served, as the union of the families."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sametoken.ec2.account import family as account
from sametoken.ec2.compute import family as compute
from sametoken.ec2.gateways import family as gateways
from sametoken.ec2.kit.actions import Action, Read
from sametoken.ec2.kit.repeats import Repeat
from sametoken.ec2.network import family as network
from sametoken.ec2.storage import family as storage
from sametoken.ec2.unserved import refusing
from sametoken.resources.kit.quotas import QUOTAS

# QUOTAS has every kind here, since the families that declare them are loaded.
__all__ = ["ACTIONS", "QUOTAS", "REPEATS"]

_FAMILIES = (account, network, gateways, storage, compute)
_ACTIONS: tuple[Action, ...] = tuple(
    refusing(action) for one in _FAMILIES for action in one.ACTIONS
)

ACTIONS: Mapping[str, Action] = {action.name: action for action in _ACTIONS}
assert len(ACTIONS) == len(_ACTIONS), "an action is declared once"


def repeats_of(actions: Iterable[Action]) -> tuple[Repeat, ...]:
    """Each action's repeat without a token, and once more for ways of asking that end otherwise."""
    return tuple(
        replace(repeat, action=action.name)
        for action in actions
        if not isinstance(action, Read)
        for repeat in action.repeats
    )


REPEATS = repeats_of(_ACTIONS)
