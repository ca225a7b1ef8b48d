"""The IPv6 addresses of interfaces: asked for at creation, assigned and unassigned later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sametoken.ec2.kit.actions import Action, Change
from sametoken.ec2.kit.nouns import named
from sametoken.ec2.kit.parameters import refuse_unsupported
from sametoken.ec2.kit.repeats import conflicts, doubles, same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.network.interface_addresses import ADDRESSES_MAX, count_of, type_of
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.catalogues.instance_types import InstanceType
from sametoken.resources.kit import rows
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import ipv6_addresses
from sametoken.resources.network.interfaces import INTERFACE
from sametoken.store.port import Tx

_NAMED = ("Ipv6AddressCount", "Ipv6Addresses", "NetworkInterfaceId")


def check_asked(params: Mapping[str, Any]) -> None:
    """Raise EC2's refusals of a new interface's IPv6 addresses, before any look-up."""
    listed, count = params.get("Ipv6Addresses", []), count_of(params, "Ipv6AddressCount")
    if listed and "Ipv6AddressCount" in params:
        raise refusals.invalid_combination("Give Ipv6Addresses or Ipv6AddressCount, not both.")
    for one in listed:
        if "Ipv6Address" not in one:
            raise refusals.missing_parameter("Ipv6Addresses.Ipv6Address")
        ipv6_addresses.parsed(one["Ipv6Address"])
    if max(count, len(listed)) > ADDRESSES_MAX:
        raise _too_many(ADDRESSES_MAX)


def asked(
    params: Mapping[str, Any], subnet: Row, *, primary: str = "EnablePrimaryIpv6"
) -> Document:
    """The IPv6 addresses that a new interface is to have, as `interfaces.plan_row` takes them.

    Where a request does not say, the subnet does; 0 says none. `primary` is the parameter that
    makes the first one primary.
    """
    listed = [one["Ipv6Address"] for one in params.get("Ipv6Addresses", [])]
    automatic = 1 if subnet.doc.get("AssignIpv6AddressOnCreation") and not listed else 0
    count = params.get("Ipv6AddressCount", automatic)
    return {"Ipv6": listed, "Ipv6Count": count, "Ipv6Primary": params.get(primary, False)}


def number_of(wanted: Mapping[str, Any]) -> int:
    """The number of addresses in what `asked` returned."""
    return len(wanted["Ipv6"]) + int(wanted["Ipv6Count"])


def check_room(instance_type: InstanceType, number: int) -> None:
    """Refuse more IPv6 addresses than an interface of an instance of that type can have."""
    if number > instance_type.ipv6_per_interface:
        raise ServiceError(
            "PrivateIpAddressLimitExceeded",
            f"{instance_type.name} takes {instance_type.ipv6_per_interface} IPv6 addresses per "
            f"interface; {number} were asked for.",
        )


def assign(tx: Tx, request: Request) -> Document:
    """Give an interface more IPv6 addresses: those named, or as many as asked.

    As with private addresses, a repeat with names changes nothing, one with a number assigns as
    many again.
    """
    params = request.params
    refuse_unsupported("", params, dict.fromkeys(_NAMED))
    count = count_of(params, "Ipv6AddressCount")
    texts = [str(ipv6_addresses.parsed(one)) for one in params.get("Ipv6Addresses", [])]
    if bool(texts) == bool(count):
        raise refusals.invalid_combination("Give either Ipv6Addresses or Ipv6AddressCount.")
    row = _lock(tx, request)
    present = [one["Ipv6Address"] for one in row.doc["Ipv6Addresses"]]
    new = [one for one in dict.fromkeys(texts) if one not in present]
    kind = type_of(tx, row)
    room = ADDRESSES_MAX if kind is None else kind.ipv6_per_interface
    if len(present) + len(new) + count > room:
        raise _too_many(room)
    subnet = rows.by_ids(tx, [row.doc["SubnetId"]])[row.doc["SubnetId"]]
    wanted = {"Ipv6": new, "Ipv6Count": count}
    held = ipv6_addresses.hold_asked(tx, subnet, row.id, wanted)
    rows.change(tx, INTERFACE, row, Ipv6Addresses=[*row.doc["Ipv6Addresses"], *held])
    return {
        "NetworkInterfaceId": row.id,
        "AssignedIpv6Addresses": texts or [one["Ipv6Address"] for one in held],
    }


def unassign(tx: Tx, request: Request) -> Document:
    """Take IPv6 addresses from an interface. A primary one stays until the interface ends."""
    params = request.params
    refuse_unsupported("", params, dict.fromkeys(("Ipv6Addresses", "NetworkInterfaceId")))
    texts = [str(ipv6_addresses.parsed(one)) for one in params.get("Ipv6Addresses", [])]
    if not texts:
        raise refusals.missing_parameter("Ipv6Addresses")
    row = _lock(tx, request)
    present = {one["Ipv6Address"]: one for one in row.doc["Ipv6Addresses"]}
    missing = [one for one in texts if one not in present]
    if missing:
        raise ServiceError(
            "InvalidParameterValue",
            f"Some of the specified addresses are not assigned to interface {row.id}: "
            f"{', '.join(missing)[:200]}",
        )
    if any(present[one]["IsPrimaryIpv6"] for one in texts):
        raise ServiceError(
            "OperationNotPermitted", f"The primary IPv6 address of {row.id} cannot be unassigned."
        )
    subnet = rows.by_ids(tx, [row.doc["SubnetId"]])[row.doc["SubnetId"]]
    given_up = list(dict.fromkeys(texts))
    ipv6_addresses.free_all(tx, subnet, given_up)
    kept = [one for text, one in present.items() if text not in given_up]
    rows.change(tx, INTERFACE, row, Ipv6Addresses=kept)
    return {"NetworkInterfaceId": row.id, "UnassignedIpv6Addresses": given_up}


def set_primary(tx: Tx, row: Row, *, enabled: bool) -> None:
    """Make the interface's first IPv6 address its primary one, for as long as it has it."""
    addresses = row.doc["Ipv6Addresses"]
    has_one = any(one["IsPrimaryIpv6"] for one in addresses)
    if not enabled and has_one:
        raise ServiceError(
            "OperationNotPermitted", f"The primary IPv6 address of {row.id} cannot be given up."
        )
    if enabled and not addresses:
        raise refusals.invalid_value("enablePrimaryIpv6", "true", f"{row.id} has no IPv6 address.")
    if enabled and not has_one:
        first, *others = addresses
        primary = {**first, "IsPrimaryIpv6": True}
        rows.change(tx, INTERFACE, row, Ipv6Addresses=[primary, *others])


def _too_many(room: int) -> ServiceError:
    return ServiceError(
        "PrivateIpAddressLimitExceeded", f"The interface may have {room} IPv6 addresses."
    )


def _lock(tx: Tx, request: Request) -> Row:
    return named(tx, request, INTERFACE, "NetworkInterfaceId", lock=True)


ACTIONS: tuple[Action, ...] = (
    Change(
        "AssignIpv6Addresses",
        assign,
        repeats=doubles("DER", way="by number") + same("DER", way="by address"),
    ),
    Change("UnassignIpv6Addresses", unassign, repeats=conflicts("InvalidParameterValue", "DER")),
)
