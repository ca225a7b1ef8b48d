"""The zone that a request names, by its name or its id. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sametoken.ec2.protocol import refusals
from sametoken.resources.catalogues import geography


def zone_asked(region: str, params: Mapping[str, Any]) -> str:
    """The name of the zone; "" where none is named, or the Region has no such id."""
    if "AvailabilityZone" in params:
        return str(params["AvailabilityZone"])
    by_id = {zone.id: zone.name for zone in geography.zones_of(region)}
    return by_id.get(params.get("AvailabilityZoneId", ""), "")


def check_zone(region: str, placement: Mapping[str, Any]) -> None:
    """Refuse a zone the Region does not have, or two that are not the same."""
    name, id = placement.get("AvailabilityZone"), placement.get("AvailabilityZoneId")
    names = {zone.name: zone for zone in geography.zones_of(region)}
    ids = {zone.id: zone for zone in names.values()}
    if name is not None and name not in names:
        raise refusals.invalid_value(
            "AvailabilityZone", name, f"Choose one of: {', '.join(names)}."
        )
    if id is not None and id not in ids:
        raise refusals.invalid_value("AvailabilityZoneId", id, f"Choose one of: {', '.join(ids)}.")
    if name is not None and id is not None and ids[id].name != name:
        raise refusals.invalid_combination(f"{name} and {id} are different Availability Zones")
