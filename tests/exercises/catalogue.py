"""Facts of the program and of botocore's model that suites read, in one place.

Of the program: its actions and kinds, the effect of a repeat, quotas. Of the model: the members of
an action. This module knows no exercise.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, cast

from botocore.model import OperationModel, Shape
from botocore.serialize import create_serializer
from botocore.session import get_session

from ec2 import peer
from sametoken import ec2, resources
from sametoken.ec2 import catalog
from sametoken.ec2.catalog import ACTIONS, REPEATS
from sametoken.ec2.kit.actions import Action, Read, Tokened, regional
from sametoken.ec2.kit.nouns import Noun
from sametoken.ec2.kit.repeats import Does, Repeat
from sametoken.ec2.protocol.model import ServiceModel
from sametoken.resources.kit.kinds import ZONE, Kind, Quota
from sametoken.resources.kit.quotas import QUOTAS

__all__ = ["ACTIONS", "QUOTAS", "REPEATS", "ZONE", "Does", "Quota", "Read", "Repeat", "Tokened"]

Document = dict[str, Any]
_PAGINATORS = get_session().get_paginator_model("ec2")._paginator_config
_SERIALIZER = create_serializer("ec2", include_validation=False)


def changing() -> list[str]:
    """Return the actions that change anything."""
    return sorted(name for name, action in ACTIONS.items() if action.mutates)


def with_token() -> list[str]:
    """Return the actions that have a client token in the model."""
    return sorted(name for name in ACTIONS if "ClientToken" in inputs(name))


def paged() -> list[str]:
    """Return the served actions that botocore has a paginator for."""
    return sorted(_PAGINATORS.keys() & ACTIONS.keys())


def pages_of(action: str) -> str:
    """Return the member of a paged action's answer that is the list, the first of several."""
    keys = _PAGINATORS[action]["result_key"]
    return str(keys if isinstance(keys, str) else keys[0])


def tokened(action: str) -> Tokened:
    """Return the record of an action with a token, and assert that it goes through the engine."""
    found = ACTIONS[action]
    assert isinstance(found, Tokened), f"{action} takes a client token and ignores it"
    return found


def token_characters_max(action: str) -> int:
    """Return the greatest length of a client token of the action."""
    documented = ServiceModel.load("ec2").codec(action).token_characters_max
    return tokened(action).token_grammar(documented).characters_max


def repeats_of(action: str) -> list[Repeat]:
    return [one for one in REPEATS if one.action == action]


def repeat_of(asked: str) -> Repeat | None:
    return next((one for one in REPEATS if one.asked == asked), None)


@cache
def kinds() -> Mapping[str, Kind]:
    """Return every kind that a module of the program declares, by its name."""
    found: dict[str, Kind] = {}
    for package in (resources, ec2):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for value in vars(importlib.import_module(module.name)).values():
                kind = value.kind if isinstance(value, Noun) else value
                if isinstance(kind, Kind):
                    found[kind.name] = kind
    return found


def declare(family: str, noun: Noun, actions: Sequence[Action]) -> None:
    """Serve another noun, as if a module of the program declared it.

    Must be called before the first request.
    """
    global REPEATS
    cast(dict[str, Kind], kinds())[noun.kind.name] = noun.kind
    records().append(noun)
    for action in actions:
        cast(dict[str, Action], ACTIONS)[action.name] = action
        _families()[action.name] = family
    REPEATS = catalog.REPEATS = (*REPEATS, *catalog.repeats_of(actions))


@cache
def records() -> list[Noun]:
    """Return each noun that a module of the program declares; a kind may have several."""
    return [
        value
        for module in pkgutil.walk_packages(ec2.__path__, f"{ec2.__name__}.")
        for value in vars(importlib.import_module(module.name)).values()
        if isinstance(value, Noun)
    ]


def nouns() -> Mapping[str, Noun]:
    """Return a noun of each kind, by the name of the kind."""
    return {noun.kind.name: noun for noun in records()}


def prefix_of(kind: str) -> str:
    """Return the text that the ids of a kind begin with."""
    return kinds()[kind].prefix


@cache
def _prefixes() -> Mapping[str, str]:
    return {kind.prefix: name for name, kind in kinds().items()}


def kind_of(id: str) -> str:
    """Return the kind of the resource that has this id."""
    return _prefixes()[id.rpartition("-")[0]]


@cache
def _families() -> dict[str, str]:
    """Return the folder of each action: of the module that lists it, or has its function."""
    found: dict[str, str] = {}
    for name, action in ACTIONS.items():
        function = action.perform if isinstance(action, Tokened) else action.run
        found[name] = function.__module__.split(".")[2]
    for module in pkgutil.walk_packages(ec2.__path__, f"{ec2.__name__}."):
        for action in getattr(importlib.import_module(module.name), "ACTIONS", ()):
            if module.name.count(".") == 3:
                found[action.name] = module.name.split(".")[2]
    return found


def family_of(action: str) -> str:
    """Return the family whose folder has the action."""
    return _families().get(action, "FAMILY")


def model(action: str) -> OperationModel:
    return peer.service("ec2").operation_model(action)


@cache
def inputs(action: str) -> Mapping[str, Shape]:
    """Return the parameters of an action."""
    shape = model(action).input_shape
    return {} if shape is None else dict(shape.members)


@cache
def outputs(action: str) -> Mapping[str, Shape]:
    """Return the members of an action's result."""
    shape = model(action).output_shape
    return {} if shape is None else dict(shape.members)


def required(action: str) -> list[str]:
    shape = model(action).input_shape
    return [] if shape is None else [one for one in shape.required_members if one != "DryRun"]


def takes_tags(action: str) -> bool:
    """Tell whether tags are compared when a token is used again."""
    found = ACTIONS[action]
    ignored = found.rules[-1].ignored if isinstance(found, Tokened) else frozenset()
    return "TagSpecifications" in inputs(action) and "TagSpecifications" not in ignored


def zone_in(action: str) -> str | None:
    """Return the form field of the zone that scopes the action's token; None if a Region does."""
    found = ACTIONS[action]
    if not isinstance(found, Tokened) or found.zone is regional:
        return None
    return next(
        one
        for one, member in (
            ("AvailabilityZone", "AvailabilityZone"),
            ("Placement.AvailabilityZone", "Placement"),
        )
        if member in inputs(action)
    )


def form_of(action: str, params: Mapping[str, Any]) -> dict[str, str]:
    """Convert boto3's parameters to the form fields that a client sends."""
    body = _SERIALIZER.serialize_to_request(params, model(action))["body"]
    return {name: str(value) for name, value in body.items() if name not in peer.ENVELOPE}


def own(action: str) -> Document:
    """Return parameters by which a list shows only resources that the account owns."""
    if "OwnerIds" in inputs(action):
        return {"OwnerIds": ["self"]}
    return {"Owners": ["self"]} if "Owners" in inputs(action) else {}
