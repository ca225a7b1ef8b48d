"""Network interfaces: their states, addresses and attachments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sametoken.errors import ServiceError
from sametoken.resources.catalogues import geography
from sametoken.resources.kit import endings, rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.kinds import Kind, Quota, states
from sametoken.resources.kit.moments import get_moment, kept_moment
from sametoken.resources.kit.rows import Move, Row
from sametoken.resources.network import addresses, ipv6_addresses, public_addresses
from sametoken.store.codec import Encoded
from sametoken.store.port import Tx

# Source: EC2 API reference, NetworkInterface `Status`: available, associated, attaching, in-use,
# detaching. "pending" is what CreateNetworkInterface was seen to answer.
INTERFACE = Kind(
    "network-interface",
    "eni",
    "InvalidNetworkInterfaceID",
    "networkInterface",
    transitions=states(
        pending="available in-use deleted",
        available="in-use deleted",
        in_use="available deleted",
        deleted="",
    ),
    malformed="InvalidNetworkInterfaceId.Malformed",
    quota=Quota(5_000, "NetworkInterfaceLimitExceeded"),
    traits={
        # An attachment that has ended is still shown for a while (`lately_detached`).
        "Attachment.InstanceId": ("Attachment.InstanceId", "private.Detached.InstanceId"),
    },
    through={"VpcId": ("SubnetId", "subnet")},
)

# DETACHED_SHOWN: Terraform's provider waits until it has seen an attachment `detached`, and asks at
# least every ten seconds. If it never sees it, it waits on for minutes.
DETACHED_SHOWN = timedelta(seconds=15)
# The way an interface ends: `endings.end` or `endings.end_regardless`.
End = Callable[..., Row]
# Types that a gateway or an endpoint makes for itself: they come and go with it, and no caller can
# attach or delete them.
_SERVED = frozenset({"nat_gateway", "vpc_endpoint"})


def plan_row(
    tx: Tx,
    *,
    id: str,
    account: str,
    region: str,
    subnet: Row,
    groups: list[Row],
    address: str | None,
    instance: str | None,
    spec: dict[str, Any],
) -> Row:
    """Hold an address (`address`, or any) for a new interface, and lay out its row.

    With `instance` it is attached at once as EC2 shows it, `attaching` until the network service
    has brought it up; without, it is available. `spec` has EC2's names: Description, DeviceIndex,
    DeleteOnTermination, InterfaceType, Tags, PublicIp (wanted or not), SourceDestCheck. Others
    are not EC2's: Secondary lists more addresses, SecondaryCount is the number of addresses that
    the subnet chooses; for IPv6 see `ipv6_addresses.hold_asked`. Raises the refusals of both.
    """
    address, secondary = _hold_addresses(tx, subnet, id, address, spec)
    doc: dict[str, Any] = {
        "AvailabilityZone": subnet.zone,
        "Description": spec.get("Description", ""),
        "Groups": [{"GroupId": one.id, "GroupName": one.doc["GroupName"]} for one in groups],
        "InterfaceType": spec.get("InterfaceType", "interface"),
        "MacAddress": _mac_address(tx),
        "PrivateIpAddress": address,
        "PrivateDnsName": private_dns_name(region, address),
        "RequesterManaged": spec.get("InterfaceType") in _SERVED,
        "SourceDestCheck": spec.get("SourceDestCheck", True),
        "SubnetId": subnet.id,
        "VpcId": subnet.doc["VpcId"],
        "Ipv6Addresses": ipv6_addresses.hold_asked(tx, subnet, id, spec),
        "Tags": spec.get("Tags", []),
        "private": {
            "PublicIp": bool(spec.get("PublicIp")),
            "Secondary": [{"PrivateIpAddress": one} for one in secondary],
        },
    }
    parents = [subnet.id, *(one.id for one in groups)]
    if instance is not None:
        parents.append(instance)
        doc["Attachment"] = _attachment(
            tx, account, instance, spec["DeviceIndex"], deletes=spec["DeleteOnTermination"]
        )
    state = "available" if instance is None else "pending"
    return Row(
        id, INTERFACE.name, account, region, state, Encoded(doc), tx.now, subnet.zone,
        name=None if instance is None else doc["Attachment"]["AttachmentId"],
        parents=tuple(parents),
    )  # fmt: skip


def _hold_addresses(
    tx: Tx, subnet: Row, id: str, address: str | None, spec: dict[str, Any]
) -> tuple[str, list[str]]:
    """Hold the interface's address (`address`, or any) and its secondary ones, and return them."""
    cidr = subnet.doc["CidrBlock"]
    # Hold the secondary addresses named in the request first: one drawn at random might be one of
    # them.
    secondary = [
        addresses.hold_exactly(tx, subnet.id, cidr, one, id) for one in spec.get("Secondary", ())
    ]
    if address is None:
        address = addresses.hold(tx, subnet.id, cidr, id)
    else:
        addresses.hold_exactly(tx, subnet.id, cidr, address, id)
    for _ in range(spec.get("SecondaryCount", 0)):
        secondary.append(addresses.hold(tx, subnet.id, cidr, id))
    return address, secondary


def attach(
    tx: Tx, row: Row, *, instance: str, device_index: int, zone: str, status: str = "attaching"
) -> Row:
    """Attach an existing interface to an instance of its zone. The row must be locked.

    `status` is `attached` where the machine runs already, and no network service will bring the
    interface up. Raises `InvalidNetworkInterface.InUse` and `InvalidParameterCombination`.
    """
    refuse_used(row)
    if row.zone != zone:
        raise ServiceError(
            "InvalidParameterCombination", f"{row.id} is in {row.zone}, the instance in {zone}"
        )
    rows.link(tx, instance, row.id)
    attachment = _attachment(tx, row.account, instance, device_index, deletes=False)
    attachment["Status"] = status
    return _rename(tx, row, attachment, "in-use", f"attached to {instance}")


def _rename(tx: Tx, row: Row, attachment: dict[str, Any] | None, state: str, cause: str) -> Row:
    """Write an attachment, with its id as the row's name: callers find the row by either id."""
    row = replace(row, name=None if attachment is None else attachment["AttachmentId"])
    move = Move(row, {"Attachment": attachment}, state, cause, renames=True)
    [changed] = rows.change_many(tx, INTERFACE, [move])
    return changed


def is_served(row: Row) -> bool:
    """True when the interface belongs to a gateway or an endpoint, which always uses it."""
    return row.doc["InterfaceType"] in _SERVED


def refuse_used(row: Row) -> None:
    """Raise `InvalidNetworkInterface.InUse` when the interface is in use.

    For an interface of a gateway or an endpoint EC2 uses another code (cloud-nuke, issue 431).
    """
    if is_served(row):
        raise ServiceError(
            "InvalidParameterValue", f"Network interface '{row.id}' is currently in use."
        )
    if row.state != "available":
        raise ServiceError(
            "InvalidNetworkInterface.InUse",
            f"Network interface '{row.id}' is currently in use ({row.state}).",
        )


def detach(tx: Tx, row: Row, *, cause: str) -> Row:
    """Detach an interface from its instance. The row must be locked. Elastic addresses stay."""
    attachment = row.doc["Attachment"]
    rows.unlink(tx, attachment["InstanceId"], row.id)
    row = close_public(tx, row)
    was = {**attachment, "Status": "detached", **kept_moment("detached", tx.now)}
    row = _rename(tx, row, None, "available", cause)
    return set_private(tx, row, Detached=was)


def lately_detached(tx: Tx, row: Row) -> dict[str, Any] | None:
    """The attachment that ended a moment ago, for callers that still wait to see it end."""
    was: dict[str, Any] | None = row.private.get("Detached")
    if was is None or row.state != "available":
        return None
    ended_at = get_moment(was, "detached")
    return was if tx.now < ended_at + DETACHED_SHOWN else None


def by_attachment(tx: Tx, account: str, region: str, id: str) -> Row:
    """The interface attached by `id`, locked. Raises `InvalidAttachmentID.NotFound`."""
    found = rows.find_named(tx, INTERFACE, account, region, id)
    if found is None:
        raise ServiceError(
            "InvalidAttachmentID.NotFound",
            f"The networkInterface attachment with ID '{id[:200]}' does not exist",
        )
    return rows.by_ids(tx, [found.id], lock=True)[found.id]


def attached_to(tx: Tx, instance: str) -> list[Row]:
    """The interfaces of an instance, locked, by device index."""
    ids = [one.id for one in rows.children(tx, [instance])[instance] if one.kind == INTERFACE.name]
    found = rows.by_ids(tx, ids, lock=True).values()
    return sorted(found, key=lambda one: int(one.doc["Attachment"]["DeviceIndex"]))


def only_attached_to(tx: Tx, instance: str) -> Row:
    """The only interface of an instance, locked. Raises where the caller must name one."""
    attached = attached_to(tx, instance)
    if len(attached) != 1:
        raise ServiceError(
            "InvalidInstanceID",
            f"There are multiple interfaces attached to instance '{instance}'. Please specify an "
            "interface ID for the operation instead.",
        )
    return attached[0]


def _attachment(
    tx: Tx, account: str, instance: str, device_index: int, *, deletes: bool
) -> dict[str, Any]:
    return {
        "AttachmentId": mint(tx, "eni-attach"),
        "DeleteOnTermination": deletes,
        "DeviceIndex": device_index,
        "InstanceId": instance,
        "InstanceOwnerId": account,
        "NetworkCardIndex": 0,
        "Status": "attaching",
        **kept_moment("attached", tx.now),
    }


def bring_up(tx: Tx, instances: Mapping[str, str], *, cause: str) -> None:
    """Attach interfaces for good, with public addresses where their launches asked for one.

    `instances` has the instance of each interface, by id. An interface that is no longer attached
    to its instance stays as it is.
    """
    found = rows.by_ids(tx, instances, lock=True)
    attaching = [row for row in found.values() if _is_attaching(row, instances[row.id])]
    opening = [row.id for row in attaching if _lacks_public(row)]
    addresses = public_addresses.hold_many(tx, opening) if opening else {}
    moves = []
    for row in attaching:
        doc: dict[str, Any] = {"Attachment": {**row.doc["Attachment"], "Status": "attached"}}
        if row.id in addresses:
            doc["Association"] = _automatic(row, addresses[row.id])
        moves.append(Move(row, doc, "in-use", cause))
    rows.change_many(tx, INTERFACE, moves)


def _is_attaching(row: Row, instance: str) -> bool:
    attachment = row.doc.get("Attachment") or {}
    return attachment.get("InstanceId") == instance and attachment["Status"] != "attached"


def _lacks_public(row: Row) -> bool:
    return bool(row.private["PublicIp"]) and not row.doc.get("Association")


def _automatic(row: Row, address: str) -> dict[str, Any]:
    return {
        "IpOwnerId": "amazon",
        "PublicDnsName": public_dns_name(row.region, address),
        "PublicIp": address,
    }


def open_public(tx: Tx, row: Row) -> Row:
    """Give the interface an automatic public address, when it is to have one and has none."""
    if not _lacks_public(row):
        return row
    address = public_addresses.hold(tx, row.id)
    return rows.change(tx, INTERFACE, row, Association=_automatic(row, address))


def close_public(tx: Tx, row: Row) -> Row:
    """Give back the automatic public address, if there is one. An Elastic one stays."""
    association = row.doc.get("Association")
    if not association or "AllocationId" in association:
        return row
    public_addresses.free(tx, row.id)
    return rows.change(tx, INTERFACE, row, Association=None)


def addresses_of(row: Row) -> list[dict[str, Any]]:
    """The interface's private addresses with their public ones, in EC2's form; primary first."""
    stored = [row.doc, *row.private.get("Secondary", ())]
    listed = []
    for one in stored:
        address = one["PrivateIpAddress"]
        shown = {
            "Primary": one is row.doc,
            "PrivateIpAddress": address,
            "PrivateDnsName": private_dns_name(row.region, address),
        }
        if one.get("Association"):
            shown["Association"] = one["Association"]
        listed.append(shown)
    return listed


def set_association(tx: Tx, row: Row, address: str, association: dict[str, Any] | None) -> Row:
    """Set the Elastic address of one private address; None removes it. The row is locked."""
    if address == row.doc["PrivateIpAddress"]:
        return rows.change(tx, INTERFACE, row, Association=association)
    secondary = [
        {**one, "Association": association} if one["PrivateIpAddress"] == address else one
        for one in row.private["Secondary"]
    ]
    return set_private(tx, row, Secondary=secondary)


def add_secondary(tx: Tx, row: Row, held: Sequence[str]) -> Row:
    """Show more private addresses, which the interface already holds."""
    more = [{"PrivateIpAddress": address} for address in held]
    return set_private(tx, row, Secondary=[*row.private["Secondary"], *more])


def drop_secondary(tx: Tx, row: Row, given_up: Sequence[str]) -> Row:
    """Stop showing private addresses that the interface has given up."""
    kept = [one for one in row.private["Secondary"] if one["PrivateIpAddress"] not in given_up]
    return set_private(tx, row, Secondary=kept)


def set_private(tx: Tx, row: Row, **members: Any) -> Row:
    """Change members that EC2 does not show in a Describe."""
    return rows.change(tx, INTERFACE, row, private={**row.private, **members})


def set_groups(tx: Tx, row: Row, groups: list[dict[str, str]]) -> None:
    """Put an interface into other security groups. The row must be locked."""
    for old in row.doc["Groups"]:
        rows.unlink(tx, old["GroupId"], row.id)
    for new in groups:
        rows.link(tx, new["GroupId"], row.id)
    rows.change(tx, INTERFACE, row, Groups=groups)


def release_from(tx: Tx, instance: str, *, cause: str) -> None:
    """Delete or detach each interface of an instance that ends, as DeleteOnTermination says.

    An interface to be deleted must have no Elastic address any more, so call
    `elastic_addresses.release_from` instead: it removes them first.
    """
    for row in attached_to(tx, instance):
        if row.doc["Attachment"]["DeleteOnTermination"]:
            delete(tx, row, cause=cause)
        else:
            detach(tx, row, cause=cause)


def delete(tx: Tx, row: Row, *, cause: str, end: End = endings.end_regardless) -> Row:
    """End an interface and free its addresses. The row must be locked.

    `end` is `endings.end` where a caller asks for it: with something under it, it stays.
    """
    assert not allocations(row), f"{row.id} still has Elastic addresses"
    addresses.free(tx, row.id)
    public_addresses.free(tx, row.id)
    return end(tx, INTERFACE, row, cause=cause, Attachment=None, Association=None)


def allocations(row: Row) -> list[str]:
    """The Elastic addresses associated with the interface."""
    associations = [one.get("Association", {}) for one in addresses_of(row)]
    return [one["AllocationId"] for one in associations if "AllocationId" in one]


def private_dns_name(region: str, address: str) -> str:
    return f"ip-{address.replace('.', '-')}.{geography.private_domain(region)}"


def public_dns_name(region: str, address: str) -> str:
    domain = "compute-1" if region == "us-east-1" else f"{region}.compute"
    return f"ec2-{address.replace('.', '-')}.{domain}.amazonaws.com"


def _mac_address(tx: Tx) -> str:
    digits = tx.world.token_hex(10)
    return f"02:{digits[:2]}:{digits[2:4]}:{digits[4:6]}:{digits[6:8]}:{digits[8:]}"
