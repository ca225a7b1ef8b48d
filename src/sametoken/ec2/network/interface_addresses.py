"""The private addresses of interfaces: asked for at creation, assigned and unassigned later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sametoken.ec2.kit.actions import Action, Change
from sametoken.ec2.kit.nouns import named
from sametoken.ec2.kit.parameters import refuse_unsupported
from sametoken.ec2.kit.repeats import conflicts, doubles, same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.catalogues.instance_types import INSTANCE_TYPES, InstanceType
from sametoken.resources.kit import rows
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import addresses, elastic_addresses, interfaces
from sametoken.resources.network.interfaces import INTERFACE
from sametoken.store.port import Tx

# ADDRESSES_MAX is the limit of the largest instance types: no interface can use more.
ADDRESSES_MAX = 64


def check_asked(params: Mapping[str, Any]) -> None:
    """Raise EC2's refusals of a new interface's addresses, before any look-up."""
    listed, count = params.get("PrivateIpAddresses", []), _count(params)
    primaries = [one for one in listed if one.get("Primary")]
    if len(primaries) > 1 or (primaries and "PrivateIpAddress" in params):
        raise refusals.invalid_combination("Only one private address can be the primary one.")
    if count and len(listed) > len(primaries):
        raise refusals.invalid_combination(
            "Give secondary addresses or SecondaryPrivateIpAddressCount, not both."
        )
    if any("PrivateIpAddress" not in one for one in listed):
        raise refusals.missing_parameter("PrivateIpAddresses.PrivateIpAddress")
    if 1 + count + len(listed) - len(primaries) > ADDRESSES_MAX:
        raise _too_many(ADDRESSES_MAX)


def primary_asked(params: Mapping[str, Any]) -> str | None:
    """The primary address a request names; None where any will do."""
    listed = params.get("PrivateIpAddresses", [])
    named = [one["PrivateIpAddress"] for one in listed if one.get("Primary")]
    found: str | None = named[0] if named else params.get("PrivateIpAddress")
    return found


def secondary_asked(params: Mapping[str, Any]) -> Document:
    """The secondary addresses that a request names, as `interfaces.plan_row` takes them."""
    listed = params.get("PrivateIpAddresses", [])
    named = [one["PrivateIpAddress"] for one in listed if not one.get("Primary")]
    return {"Secondary": named, "SecondaryCount": _count(params)}


def _count(params: Mapping[str, Any]) -> int:
    return count_of(params, "SecondaryPrivateIpAddressCount")


def count_of(params: Mapping[str, Any], name: str) -> int:
    """The number of addresses that a parameter asks for."""
    count: int = params.get(name, 0)
    if count < 0:
        raise refusals.invalid_value(name[0].lower() + name[1:], count, "Give 0 or more.")
    return count


def type_of(tx: Tx, row: Row) -> InstanceType | None:
    """The type of the instance that the interface is attached to, if it is."""
    attachment = row.doc.get("Attachment")
    if attachment is None:
        return None
    owner = rows.by_ids(tx, [attachment["InstanceId"]])[attachment["InstanceId"]]
    return INSTANCE_TYPES[owner.doc["InstanceType"]]


def assign(tx: Tx, request: Request) -> Document:
    """Give an interface more addresses: those named, or as many as asked.

    Naming an address that the interface already has changes nothing, so a repeat with names
    succeeds. A repeat with a number assigns as many again: no client token tells it from a new
    request.
    """
    params = request.params
    refuse_unsupported("", params, dict.fromkeys(_ASSIGNED_WITH))
    named = list(dict.fromkeys(params.get("PrivateIpAddresses", [])))
    count = _count(params)
    if bool(named) == bool(count):
        raise refusals.invalid_combination(
            "Give either PrivateIpAddresses or SecondaryPrivateIpAddressCount."
        )
    row = _lock(tx, request)
    present = [one["PrivateIpAddress"] for one in interfaces.addresses_of(row)]
    new = [address for address in named if address not in present]
    kind = type_of(tx, row)
    room = ADDRESSES_MAX if kind is None else kind.ipv4_per_interface
    if len(present) + len(new) + count > room:
        raise _too_many(room)
    subnet = rows.by_ids(tx, [row.doc["SubnetId"]])[row.doc["SubnetId"]]
    if params.get("AllowReassignment"):
        for address in new:
            _take_from_other(tx, subnet, address)
    cidr = subnet.doc["CidrBlock"]
    held = [addresses.hold_exactly(tx, subnet.id, cidr, one, row.id) for one in new]
    held += [addresses.hold(tx, subnet.id, cidr, row.id) for _ in range(count)]
    interfaces.add_secondary(tx, row, held)
    return {
        "NetworkInterfaceId": row.id,
        "AssignedPrivateIpAddresses": [{"PrivateIpAddress": one} for one in named or held],
    }


_ASSIGNED_WITH = (
    "AllowReassignment", "NetworkInterfaceId", "PrivateIpAddresses",
    "SecondaryPrivateIpAddressCount",
)  # fmt: skip


def _take_from_other(tx: Tx, subnet: Row, address: str) -> None:
    """Free an address that another interface has as a secondary one. A primary one stays."""
    holder = addresses.holder_of(tx, subnet.id, subnet.doc["CidrBlock"], address)
    if holder is None:
        return
    other = rows.by_ids(tx, [holder], lock=True)[holder]
    if other.doc["PrivateIpAddress"] != address:
        _give_up(tx, other, [address])


def unassign(tx: Tx, request: Request) -> Document:
    """Take secondary addresses from an interface, and end their Elastic associations."""
    params = request.params
    refuse_unsupported("", params, dict.fromkeys(("NetworkInterfaceId", "PrivateIpAddresses")))
    row = _lock(tx, request)
    asked = params.get("PrivateIpAddresses", [])
    if not asked:
        raise refusals.missing_parameter("PrivateIpAddresses")
    present = {one["PrivateIpAddress"] for one in row.private["Secondary"]}
    missing = [address for address in asked if address not in present]
    if missing:
        raise ServiceError(
            "InvalidParameterValue",
            f"Some of the specified addresses are not assigned to interface {row.id} as secondary "
            f"ones: {', '.join(missing)[:200]}",
        )
    _give_up(tx, row, asked)
    return {}


def _give_up(tx: Tx, row: Row, given_up: list[str]) -> None:
    row = elastic_addresses.take_off(
        tx, row, cause="its private address was unassigned", private_addresses=given_up
    )
    interfaces.drop_secondary(tx, row, given_up)
    for address in dict.fromkeys(given_up):
        addresses.free_one(tx, row.doc["SubnetId"], address)


def _too_many(room: int) -> ServiceError:
    return ServiceError(
        "PrivateIpAddressLimitExceeded",
        f"The interface may have {room} private addresses, the primary one included.",
    )


def _lock(tx: Tx, request: Request) -> Row:
    return named(tx, request, INTERFACE, "NetworkInterfaceId", lock=True)


ADDRESS_ACTIONS: tuple[Action, ...] = (
    Change(
        "AssignPrivateIpAddresses",
        assign,
        repeats=doubles("DER", way="by number") + same("DER", way="by address"),
    ),
    Change(
        "UnassignPrivateIpAddresses", unassign, repeats=conflicts("InvalidParameterValue", "FLD")
    ),
)
