"""P8 between rows: a row refers only to living rows, and they refer back to it.

Checks volumes and interfaces of instances, private and public addresses, Elastic addresses and
their associations, and the parts made with a gateway, an endpoint or a template.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from simulation.promises import require
from simulation.snapshot import ResourceRow, Snapshot

# Kinds whose interfaces or versions are made and ended with them; and, by the type of such an
# interface, the kind that it serves.
_WITH_COMPANIONS = ("natgateway", "vpc-endpoint", "launch-template")
_SERVED = {"nat_gateway": "natgateway", "vpc_endpoint": "vpc-endpoint"}


def check_all(seen: Snapshot) -> None:
    _stand_under_what_exists(seen)
    _attached_both_ways(seen)
    _interfaces_hold_their_addresses(seen)
    _public_addresses_have_one_use(seen)
    _companions_have_their_own(seen)


def holders(row: ResourceRow) -> list[str]:
    """Return the instances that a volume or an interface says it is attached to."""
    if row.kind == "volume":
        return [one["InstanceId"] for one in row.doc["Attachments"]]
    attachment = row.doc.get("Attachment")
    return [] if attachment is None else [attachment["InstanceId"]]


def _stand_under_what_exists(seen: Snapshot) -> None:
    for child, parents in seen.parents.items():
        row = seen.resources.get(child)
        require(
            row is not None and row.is_living, "P8", "{} stands under {}", row or child, parents
        )
        for parent in parents:
            require(
                parent in seen.resources, "P8", "{} stands under {}, which is gone", row, parent
            )


def _attached_both_ways(seen: Snapshot) -> None:
    """A volume or interface and its instance agree, and no two have the same device of it."""
    taken: dict[tuple[str, str, Any], str] = {}
    for row in (*seen.of_kind("volume"), *seen.of_kind("network-interface")):
        held_by = holders(row)
        under = [one for one in seen.parents.get(row.id, ()) if one.startswith("i-")]
        require(
            held_by == under, "P8", "{} is attached to {}, and stands under {}", row, held_by, under
        )
        require(len(held_by) <= 1, "P8", "{} is attached more than once: {}", row, held_by)
        if row.state == "in-use" or held_by:
            fits = row.is_living and bool(held_by) and row.state in ("in-use", "pending")
            require(fits, "P8", "{} is attached to {}", row, held_by)
            at = row.doc["Attachments"][0] if row.kind == "volume" else row.doc["Attachment"]
            place = (held_by[0], row.kind, at.get("Device", at.get("DeviceIndex")))
            require(place not in taken, "P8", "{} and {} share {}", row, taken.get(place), place)
            taken[place] = row.id


def _interfaces_hold_their_addresses(seen: Snapshot) -> None:
    """Every living interface holds exactly the addresses it shows.

    An address of a subnet is one row, so no two interfaces that show the same can both hold it.
    """
    shown = {
        row.id: sorted((row.doc["SubnetId"], _number(one)) for one, _ in _addresses(row))
        for row in seen.of_kind("network-interface")
        if row.is_living
    }
    require(shown == seen.addresses, "P8", "held are {}, shown {}", seen.addresses, shown)


def _public_addresses_have_one_use(seen: Snapshot) -> None:
    """An Elastic address maps to at most one private address, and both of them show it."""
    public: dict[str, list[int]] = {}
    pointed: dict[str, tuple[str, str, str]] = {}
    for row in seen.of_kind("network-interface"):
        for private, before in _addresses(row) if row.is_living else ():
            if before is None:
                continue
            allocation = before.get("AllocationId")
            if allocation is None:
                public[row.id] = [_number(before["PublicIp"])]
                continue
            require(allocation not in pointed, "P8", "{} is before two addresses", allocation)
            pointed[allocation] = (before["AssociationId"], row.id, private)
    ended = dict.fromkeys(one.id for one in seen.of_kind("elastic-ip-association") if one.is_living)
    for row in seen.of_kind("elastic-ip"):
        doc = row.doc
        names = (doc.get("AssociationId"), doc.get("NetworkInterfaceId"))
        target = (*names, doc.get("PrivateIpAddress"))
        if row.is_living:
            public[row.id] = [_number(doc["PublicIp"])]
        expected = pointed.pop(row.id, (None, None, None))
        require(target == expected, "P8", "{} is before {}, but {} has it", row, target, expected)
        if names[0] is not None:
            association = seen.living(names[0])
            known = association is not None and association.doc["AllocationId"] == row.id
            require(known and row.is_living, "P8", "{} is associated by {}", row, association)
            del ended[names[0]]
    for row in seen.of_kind("vpn-connection"):
        if row.is_living and row.state != "deleting":
            outside = [one["OutsideIpAddress"] for one in row.private["tunnels"]]
            public[row.id] = sorted(map(_number, outside))
    require(not pointed, "P8", "addresses that do not exist are shown: {}", pointed)
    require(not ended, "P8", "associations of nothing are left: {}", list(ended))
    require(public == seen.public, "P8", "public addresses {}, for {}", seen.public, public)


def _companions_have_their_own(seen: Snapshot) -> None:
    """Parts made with a gateway, an endpoint or a template live exactly as long as it does."""
    served: dict[str, str] = {}
    owners = (row for kind in _WITH_COMPANIONS for row in seen.of_kind(kind))
    for row in (one for one in owners if one.is_living):
        for id in _companions(row):
            require(seen.living(id) is not None, "P8", "{} has lost {}", row, id)
            served[id] = row.kind
    for row in seen.of_kind("network-interface"):
        owner = _SERVED.get(row.doc["InterfaceType"])
        if row.is_living and owner is not None:
            require(served.get(row.id) == owner, "P8", "{} is left of its {}", row, owner)
    for row in seen.of_kind("launch-template-version"):
        if row.is_living:
            template = seen.living(row.id.partition(":")[0])
            require(template is not None, "P8", "{} is left of its template", row)


def _companions(row: ResourceRow) -> Iterator[str]:
    match row.kind:
        case "natgateway" if row.state != "deleting":
            # A gateway whose Elastic address was taken has no interface: it ends `failed`.
            for address in row.doc["NatGatewayAddresses"]:
                if "NetworkInterfaceId" in address:
                    yield address["NetworkInterfaceId"]
        case "vpc-endpoint":
            yield from row.doc["NetworkInterfaceIds"]
        case "launch-template":
            for number in (row.doc["DefaultVersionNumber"], row.doc["LatestVersionNumber"]):
                yield f"{row.id}:{number}"


def _addresses(row: ResourceRow) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yield the private addresses of an interface, each with its association."""
    yield row.doc["PrivateIpAddress"], row.doc.get("Association")
    for one in row.private["Secondary"]:
        yield one["PrivateIpAddress"], one.get("Association")


def _number(address: str) -> int:
    first, second, third, fourth = map(int, address.split("."))
    return ((first << 8 | second) << 8 | third) << 8 | fourth


def available_addresses(seen: Snapshot, subnet: str) -> int:
    """Return the free addresses that DescribeSubnets must show for a subnet.

    EC2 reserves the first four addresses of a subnet and the last. Source: VPC user guide, "Subnet
    CIDR blocks".
    """
    size = ipaddress.IPv4Network(seen.resources[subnet].doc["CidrBlock"]).num_addresses
    return size - 5 - sum(place == subnet for held in seen.addresses.values() for place, _ in held)
