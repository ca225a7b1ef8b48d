"""The Regions of the `aws` partition and their zones: a built-in table, the same for everyone.

Region names, long names, countries, opt-in states and the naming of zones, zone ids and zone groups
are EC2's. Simplified on purpose: zone `a` is always `az1` (EC2 shuffles the letters per account),
every Region has the zones a, b and c, us-east-1 and us-west-2 have more, and there are no Local or
Wavelength Zones. Regions that need an opt-in count as opted in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

OPT_IN_NOT_REQUIRED = "opt-in-not-required"
OPTED_IN = "opted-in"

_DIRECTIONS = {
    "north": "n",
    "northeast": "ne",
    "east": "e",
    "southeast": "se",
    "south": "s",
    "west": "w",
    "central": "c",
}
_NAME = re.compile(r"(?P<area>[a-z]{2})-(?P<direction>[a-z]+)-(?P<number>\d)")


@dataclass(frozen=True, slots=True)
class Region:
    """A Region. `state` is the part of the country that EC2 names for its zones; empty for most."""

    name: str
    long_name: str
    country: str
    opt_in_status: str
    letters: str = "abc"
    state: str = ""

    @property
    def endpoint(self) -> str:
        return f"ec2.{self.name}.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Zone:
    """An Availability Zone. Requests use its `name`; its `id` is the same for every account."""

    name: str
    id: str
    region: str
    group_name: str
    group_long_name: str
    country: str
    state: str

    # The status EC2 gives every Availability Zone, in opted-in Regions too.
    opt_in_status: str = OPT_IN_NOT_REQUIRED
    type: str = "availability-zone"


_USA = "United States of America"

# The Regions from before March 2019 need no opt-in.
_ALWAYS_ON = (
    Region("ap-northeast-1", "Asia Pacific (Tokyo)", "Japan", OPT_IN_NOT_REQUIRED),
    Region("ap-northeast-2", "Asia Pacific (Seoul)", "South Korea", OPT_IN_NOT_REQUIRED),
    Region("ap-northeast-3", "Asia Pacific (Osaka)", "Japan", OPT_IN_NOT_REQUIRED),
    Region("ap-south-1", "Asia Pacific (Mumbai)", "India", OPT_IN_NOT_REQUIRED),
    Region("ap-southeast-1", "Asia Pacific (Singapore)", "Singapore", OPT_IN_NOT_REQUIRED),
    Region("ap-southeast-2", "Asia Pacific (Sydney)", "Australia", OPT_IN_NOT_REQUIRED),
    Region("ca-central-1", "Canada (Central)", "Canada", OPT_IN_NOT_REQUIRED),
    Region("eu-central-1", "Europe (Frankfurt)", "Germany", OPT_IN_NOT_REQUIRED),
    Region("eu-north-1", "Europe (Stockholm)", "Sweden", OPT_IN_NOT_REQUIRED),
    Region("eu-west-1", "Europe (Ireland)", "Ireland", OPT_IN_NOT_REQUIRED),
    Region("eu-west-2", "Europe (London)", "United Kingdom", OPT_IN_NOT_REQUIRED),
    Region("eu-west-3", "Europe (Paris)", "France", OPT_IN_NOT_REQUIRED),
    Region("sa-east-1", "South America (Sao Paulo)", "Brazil", OPT_IN_NOT_REQUIRED),
    Region(
        "us-east-1", "US East (N. Virginia)", _USA, OPT_IN_NOT_REQUIRED, "abcdef", state="Virginia"
    ),
    Region("us-east-2", "US East (Ohio)", _USA, OPT_IN_NOT_REQUIRED, state="Ohio"),
    Region("us-west-1", "US West (N. California)", _USA, OPT_IN_NOT_REQUIRED, state="California"),
    Region("us-west-2", "US West (Oregon)", _USA, OPT_IN_NOT_REQUIRED, "abcd", state="Oregon"),
)
_BY_OPT_IN = (
    Region("af-south-1", "Africa (Cape Town)", "South Africa", OPTED_IN),
    Region("ap-east-1", "Asia Pacific (Hong Kong)", "Hong Kong", OPTED_IN),
    Region("ap-east-2", "Asia Pacific (Taipei)", "Taiwan", OPTED_IN),
    Region("ap-south-2", "Asia Pacific (Hyderabad)", "India", OPTED_IN),
    Region("ap-southeast-3", "Asia Pacific (Jakarta)", "Indonesia", OPTED_IN),
    Region("ap-southeast-4", "Asia Pacific (Melbourne)", "Australia", OPTED_IN),
    Region("ap-southeast-5", "Asia Pacific (Malaysia)", "Malaysia", OPTED_IN),
    Region("ap-southeast-6", "Asia Pacific (New Zealand)", "New Zealand", OPTED_IN),
    Region("ap-southeast-7", "Asia Pacific (Thailand)", "Thailand", OPTED_IN),
    Region("ca-west-1", "Canada West (Calgary)", "Canada", OPTED_IN),
    Region("eu-central-2", "Europe (Zurich)", "Switzerland", OPTED_IN),
    Region("eu-south-1", "Europe (Milan)", "Italy", OPTED_IN),
    Region("eu-south-2", "Europe (Spain)", "Spain", OPTED_IN),
    Region("il-central-1", "Israel (Tel Aviv)", "Israel", OPTED_IN),
    Region("me-central-1", "Middle East (UAE)", "United Arab Emirates", OPTED_IN),
    Region("me-south-1", "Middle East (Bahrain)", "Bahrain", OPTED_IN),
    Region("mx-central-1", "Mexico (Central)", "Mexico", OPTED_IN),
)

REGIONS: Mapping[str, Region] = MappingProxyType(
    {
        region.name: region
        for region in sorted(_ALWAYS_ON + _BY_OPT_IN, key=lambda region: region.name)
    }
)


def _zone_id_prefix(region: str) -> str:
    """The prefix of a Region's zone ids: `use1` for us-east-1, `apse2` for ap-southeast-2."""
    found = _NAME.fullmatch(region)
    assert found is not None, f"{region} is not named as Regions are"
    return found["area"] + _DIRECTIONS[found["direction"]] + found["number"]


def _zones(region: Region) -> tuple[Zone, ...]:
    prefix = _zone_id_prefix(region.name)
    return tuple(
        Zone(
            name=f"{region.name}{letter}",
            id=f"{prefix}-az{number}",
            region=region.name,
            group_name=f"{region.name}-zg-1",
            group_long_name=f"{region.long_name} 1",
            country=region.country,
            state=region.state,
        )
        for number, letter in enumerate(region.letters, start=1)
    )


_ZONES = {region.name: _zones(region) for region in REGIONS.values()}
_BY_NAME = {zone.name: zone for zones in _ZONES.values() for zone in zones}
_BY_ID = {zone.id: zone for zone in _BY_NAME.values()}
assert len(_BY_ID) == len(_BY_NAME), "two zones share an id"


def zones_of(region: str) -> tuple[Zone, ...]:
    """The zones of a Region, in the order of their letters; none of an unknown Region."""
    return _ZONES.get(region, ())


def zone_by_name(name: str) -> Zone | None:
    return _BY_NAME.get(name)


def zone_id_of(name: str) -> str:
    """The id of an existing zone; "" for the empty name, which rows outside any zone have."""
    return _BY_NAME[name].id if name else ""


def zone_by_id(zone_id: str) -> Zone | None:
    return _BY_ID.get(zone_id)


def private_domain(region: str) -> str:
    """The domain of the private names of the Region's machines."""
    return "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
