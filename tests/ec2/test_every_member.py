"""Every parameter of every served action is used, or refused by its name: none is dropped.

A parameter counts as used if the modules of its action name it. That says little of how, and each
is tested where its action is; but one that no module names is dropped for certain.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from exercises.catalogue import ACTIONS, inputs
from sametoken.ec2.kit.nouns import Noun
from sametoken.ec2.kit.request import Request
from sametoken.ec2.unserved import REFUSED, TAKEN
from sametoken.errors import ServiceError

# Parameters that the kit, or the request's stages, use for every action.
_KIT = frozenset(
    {"ClientToken", "DryRun", "Filter", "Filters", "MaxResults", "NextToken", "TagSpecifications"}
)


@cache
def named_in(module: ModuleType) -> frozenset[str]:
    """Return the texts that stand in a module, and in those of EC2's that it imports."""
    tree = ast.parse(Path(str(module.__file__)).read_text())
    found = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("sametoken.ec2."):
            below = [f"{node.module}.{one.name}" for one in node.names]
            for name in {str(node.module), *below} & sys.modules.keys():
                if not name.startswith(("sametoken.ec2.kit", "sametoken.ec2.protocol")):
                    found |= named_in(sys.modules[name])
    return frozenset(found)


def behind(action: Any) -> Iterator[Any]:
    """Yield the functions and nouns that an action is made of, through closures."""
    seen: set[int] = set()
    left = [getattr(action, name, None) for name in ("run", "perform", "view", "validate", "zone")]
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, Noun):
            yield one
            left += [one.build, one.lay_out, one.created]
        elif isinstance(one, FunctionType):
            yield one
            module = vars(sys.modules[one.__module__])
            left += [module[name] for name in one.__code__.co_names if name in module]
            left += [cell.cell_contents for cell in one.__closure__ or ()]
        elif isinstance(one, tuple):
            left += list(one)


def used(action: Any) -> set[str]:
    """Return the members that an action's modules name, or that its noun declares."""
    found: set[str] = set()
    for one in behind(action):
        if isinstance(one, Noun):
            found |= {*one.accepts, *one.parents, one.id}
            if one.describe == action.name:
                found.add(one.ids)
        elif not one.__module__.startswith("sametoken.ec2.kit"):
            found |= named_in(sys.modules[one.__module__])
    return found


def is_refused(action: Any, member: str) -> bool:
    """Tell whether a request with the parameter alone is refused by its name."""
    request = Request("1" * 12, "us-east-1", action.name, {member: True}, "r", "AKIA", "full")
    try:
        action.validate(request)
    except ServiceError as refused:
        return refused.code == "UnsupportedOperation" and member in refused.message
    except (AttributeError, KeyError, TypeError):
        return False  # the check of another parameter, which is not there
    return False


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_every_parameter_is_used_or_refused_by_name(name: str) -> None:
    action = ACTIONS[name]
    taken = TAKEN.get(name, {})
    assert taken.keys() <= inputs(name).keys(), "a parameter that the action has not"
    dropped = set(inputs(name)) - _KIT - used(action) - taken.keys()
    assert not {one for one in dropped if not is_refused(action, one)}


def test_what_is_refused_by_name_is_of_a_served_action() -> None:
    for name, members in REFUSED.items():
        assert set(members) <= inputs(name).keys()
        assert all(is_refused(ACTIONS[name], one) for one in members)
