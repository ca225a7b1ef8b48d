"""DescribeRegions and DescribeAvailabilityZones, answered from the built-in table. No store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sametoken.ec2.kit.actions import Action, Read, stateless
from sametoken.ec2.kit.filters import Getter, compile_filters, member
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.catalogues.geography import REGIONS, Region, Zone, zones_of

NOT_OPTED_IN = "not-opted-in"

REGION_FILTERS: Mapping[str, Getter[Mapping[str, Any]]] = {
    "endpoint": member("Endpoint"),
    "opt-in-status": member("OptInStatus"),
    "region-name": member("RegionName"),
}

ZONE_FILTERS: Mapping[str, Getter[Mapping[str, Any]]] = {
    "group-long-name": member("GroupLongName"),
    "group-name": member("GroupName"),
    "message": member("Messages.Message"),
    "opt-in-status": member("OptInStatus"),
    "parent-zone-id": member("ParentZoneId"),
    "parent-zone-name": member("ParentZoneName"),
    "region-name": member("RegionName"),
    "state": member("State"),
    "zone-id": member("ZoneId"),
    "zone-name": member("ZoneName"),
    "zone-type": member("ZoneType"),
}


def describe_regions(request: Request) -> Document:
    """Return the Regions the account can use; with `AllRegions`, or by name, the others too."""
    params = request.params
    passes = compile_filters(params.get("Filters"), REGION_FILTERS)
    names = params.get("RegionNames") or []
    # Sort the names: of several unknown ones EC2 reports the first in alphabetical order.
    _refuse_unknown(sorted(names), REGIONS, "region")
    shown = [_region(one) for one in REGIONS.values() if not names or one.name in names]
    everything = names or params.get("AllRegions")
    return {
        "Regions": [
            one
            for one in shown
            if (everything or one["OptInStatus"] != NOT_OPTED_IN) and passes(one)
        ]
    }


def describe_availability_zones(request: Request) -> Document:
    """Return the zones of the request's Region; `AllAvailabilityZones` adds those not opted in."""
    params = request.params
    passes = compile_filters(params.get("Filters"), ZONE_FILTERS)
    zones = zones_of(request.region)
    names, ids = params.get("ZoneNames") or [], params.get("ZoneIds") or []
    _refuse_unknown(names, [zone.name for zone in zones], "availability zone")
    _refuse_unknown(ids, [zone.id for zone in zones], "availability zone-id")
    everything = params.get("AllAvailabilityZones")
    shown = (
        _zone(zone)
        for zone in zones
        if (not names or zone.name in names)
        and (not ids or zone.id in ids)
        and (everything or zone.opt_in_status != NOT_OPTED_IN)
    )
    return {"AvailabilityZones": [one for one in shown if passes(one)]}


def _refuse_unknown(wanted: Iterable[str], known: Iterable[str], noun: str) -> None:
    known = set(known)
    for name in wanted:
        if name not in known:
            raise ServiceError("InvalidParameterValue", f"Invalid {noun}: [{name[:200]}]")


def _region(region: Region) -> Document:
    return {
        "RegionName": region.name,
        "Endpoint": region.endpoint,
        "OptInStatus": region.opt_in_status,
        "Geography": [{"Name": region.country}],
    }


def _zone(zone: Zone) -> Document:
    return {
        "ZoneName": zone.name,
        "ZoneId": zone.id,
        "State": "available",
        "RegionName": zone.region,
        "GroupName": zone.group_name,
        "GroupLongName": zone.group_long_name,
        "OptInStatus": zone.opt_in_status,
        "NetworkBorderGroup": zone.region,
        "ZoneType": zone.type,
        "Messages": [],
        "Geography": [{"Name": zone.country}],
        "SubGeography": [{"Name": zone.state}] if zone.state else [],
    }


ACTIONS: tuple[Action, ...] = (
    Read("DescribeRegions", stateless(describe_regions)),
    Read("DescribeAvailabilityZones", stateless(describe_availability_zones)),
)
