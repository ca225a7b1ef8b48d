"""Network interfaces: their states, addresses and who holds them. Alone writes their rows."""

from __future__ import annotations

import ipaddress
from typing import Any

from sametoken.errors import ServiceError
from sametoken.resources import addresses, refusals, rows
from sametoken.resources.kinds import Kind, states
from sametoken.resources.rows import Row
from sametoken.store.columns import to_microseconds
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
    ends=frozenset({"deleted"}),
    malformed="InvalidNetworkInterfaceId",
)

# Public addresses are drawn from here: TEST-NET-like ranges would be filtered by some clients, so
# this is the shared address space of RFC 6598 no public host can have.
_PUBLIC_POOL = ipaddress.IPv4Network("100.64.0.0/10")


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
    has brought it up. `spec` has EC2's names: Description, DeviceIndex, DeleteOnTermination,
    Tags, PublicIp (wanted or not), SourceDestCheck. Raises what `addresses` refuses with.
    """
    cidr = subnet.doc["CidrBlock"]
    if address is None:
        address = addresses.hold(tx, subnet.id, cidr, id)
    else:
        addresses.hold_exactly(tx, subnet.id, cidr, address, id)
    doc: dict[str, Any] = {
        "AvailabilityZone": subnet.zone,
        "Description": spec.get("Description", ""),
        "Groups": [{"GroupId": one.id, "GroupName": one.doc["GroupName"]} for one in groups],
        "InterfaceType": "interface",
        "MacAddress": _mac_address(tx),
        "PrivateIpAddress": address,
        "PrivateDnsName": private_dns_name(region, address),
        "RequesterManaged": False,
        "SourceDestCheck": spec.get("SourceDestCheck", True),
        "SubnetId": subnet.id,
        "VpcId": subnet.doc["VpcId"],
        "Ipv6Addresses": [],
        "Tags": spec.get("Tags", []),
        "private": {"PublicIp": bool(spec.get("PublicIp"))},
    }
    parents = [subnet.id, *(one.id for one in groups)]
    if instance is not None:
        parents.append(instance)
        doc["Attachment"] = _attachment(
            tx, account, instance, spec["DeviceIndex"], deletes=spec["DeleteOnTermination"]
        )
    return Row(
        id, INTERFACE.name, account, region, "pending", doc, tx.now, subnet.zone,
        parents=tuple(parents),
    )  # fmt: skip


def attach(tx: Tx, row: Row, *, instance: str, device_index: int, zone: str) -> Row:
    """Attach an existing interface to a new instance of its zone. The row must be locked.

    Raises `InvalidNetworkInterface.InUse` and `InvalidParameterCombination`.
    """
    if row.state != "available":
        raise ServiceError(
            "InvalidNetworkInterface.InUse", f"Interface {row.id} is in use ({row.state})."
        )
    if row.zone != zone:
        raise refusals.invalid_combination(f"{row.id} is in {row.zone}, the launch in {zone}")
    rows.link(tx, instance, row.id)
    attachment = _attachment(tx, row.account, instance, device_index, deletes=False)
    return rows.change(tx, INTERFACE, row, state="in-use", cause="launch", Attachment=attachment)


def _attachment(
    tx: Tx, account: str, instance: str, device_index: int, *, deletes: bool
) -> dict[str, Any]:
    return {
        "AttachmentId": tx.mint("eni-attach"),
        "DeleteOnTermination": deletes,
        "DeviceIndex": device_index,
        "InstanceId": instance,
        "InstanceOwnerId": account,
        "NetworkCardIndex": 0,
        "Status": "attaching",
        "attached_us": to_microseconds(tx.now),
    }


def bring_up(tx: Tx, id: str, *, cause: str) -> None:
    """Attach the interface for good, with a public address when one was asked for."""
    row = rows.by_ids(tx, [id], lock=True)[id]
    if row.doc["Attachment"]["Status"] == "attached":
        return
    attachment = {**row.doc["Attachment"], "Status": "attached"}
    changes: dict[str, Any] = {"Attachment": attachment}
    if row.private["PublicIp"]:
        changes["Association"] = _public_association(tx, row.region)
    rows.change(tx, INTERFACE, row, state="in-use", cause=cause, **changes)


def set_groups(tx: Tx, row: Row, groups: list[dict[str, str]]) -> None:
    """Put an interface into other security groups. The row must be locked."""
    for old in row.doc["Groups"]:
        rows.unlink(tx, old["GroupId"], row.id)
    for new in groups:
        rows.link(tx, new["GroupId"], row.id)
    rows.change(tx, INTERFACE, row, Groups=groups)


def release_from(tx: Tx, instance: str, *, cause: str) -> None:
    """Delete or detach each interface of an instance that ends, as DeleteOnTermination says."""
    for child in rows.children(tx, [instance])[instance]:
        if child.kind != INTERFACE.name:
            continue
        row = rows.by_ids(tx, [child.id], lock=True)[child.id]
        rows.unlink(tx, instance, row.id)
        deletes = row.doc["Attachment"]["DeleteOnTermination"]
        if deletes:
            addresses.free(tx, row.id)
        state = "deleted" if deletes else "available"
        rows.change(tx, INTERFACE, row, state=state, cause=cause, Attachment=None, Association=None)


def _public_association(tx: Tx, region: str) -> dict[str, Any]:
    number = int(tx.world.token_hex(8), 16) % _PUBLIC_POOL.num_addresses
    address = str(_PUBLIC_POOL[number])
    return {
        "IpOwnerId": "amazon",
        "PublicDnsName": public_dns_name(region, address),
        "PublicIp": address,
    }


def private_dns_name(region: str, address: str) -> str:
    domain = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
    return f"ip-{address.replace('.', '-')}.{domain}"


def public_dns_name(region: str, address: str) -> str:
    domain = "compute-1" if region == "us-east-1" else f"{region}.compute"
    return f"ec2-{address.replace('.', '-')}.{domain}.amazonaws.com"


def _mac_address(tx: Tx) -> str:
    digits = tx.world.token_hex(10)
    return ":".join(["02", *(digits[i : i + 2] for i in range(0, 10, 2))])
