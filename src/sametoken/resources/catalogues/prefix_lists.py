"""AWS's own prefix lists: the blocks of services that gateway endpoints lead to. Pure.

Ids of us-east-1 and of us-west-2 are the real ones, others are made from Region and name. The
blocks are those of us-east-1 in every Region: nothing is routed here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from sametoken.resources.catalogues.geography import REGIONS

_IDS: Mapping[str, str] = {
    "com.amazonaws.us-east-1.s3": "pl-63a5400a",
    "com.amazonaws.us-east-1.dynamodb": "pl-02cd2c6b",
    "com.amazonaws.us-west-2.s3": "pl-68a54001",
    "com.amazonaws.us-west-2.dynamodb": "pl-00a54069",
}
_BLOCKS: Mapping[str, tuple[str, ...]] = {
    "s3": ("54.231.0.0/17", "52.216.0.0/15"),
    "dynamodb": ("52.94.0.0/22", "52.119.224.0/20"),
}


@dataclass(frozen=True, slots=True)
class ServiceList:
    """The prefix list of a service in a Region; `name` is the service's as endpoints spell it."""

    id: str
    name: str
    blocks: tuple[str, ...]


def lists_of(region: str) -> tuple[ServiceList, ...]:
    """The lists of a Region, by id; none of an unknown Region."""
    names = {f"com.amazonaws.{region}.{one}": blocks for one, blocks in _BLOCKS.items()}
    made = (ServiceList(_id(name), name, blocks) for name, blocks in names.items())
    return tuple(sorted(made, key=lambda one: one.id)) if region in REGIONS else ()


def find(region: str, id: str) -> ServiceList | None:
    return next((one for one in lists_of(region) if one.id == id), None)


def of_service(region: str, service: str) -> ServiceList | None:
    """The list that a route to a gateway endpoint of the service has as its destination."""
    return next((one for one in lists_of(region) if one.name == service), None)


def _id(name: str) -> str:
    return _IDS.get(name, f"pl-{hashlib.sha256(name.encode()).hexdigest()[:8]}")
