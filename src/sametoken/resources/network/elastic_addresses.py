"""Elastic IP addresses: allocated to an account, associated with private addresses of interfaces.

An association that has ended stays as a tombstone for a day, like every resource. So a repeated
DisassociateAddress, which succeeds, is told from one that names an association that never was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sametoken.resources.kit import endings, rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.kinds import Kind, Quota, states
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import interfaces, public_addresses
from sametoken.store.port import Tx

ELASTIC_ADDRESS = Kind(
    "elastic-ip",
    "eipalloc",
    "InvalidAllocationID",
    "allocation",
    hides_no_tags=True,
    transitions=states(available="released", released=""),
    ends=frozenset({"released"}),
    quota=Quota(5, "AddressLimitExceeded"),
)
# ASSOCIATION is no resource to EC2's callers: it has no tags and no Describe of its own.
ASSOCIATION = Kind(
    "elastic-ip-association",
    "eipassoc",
    "InvalidAssociationID",
    "association",
    malformed=None,
    transitions=states(associated="disassociated", disassociated=""),
    ends=frozenset({"disassociated"}),
)

# Members that only an associated address shows; None while it is not associated.
_TARGET = ("AssociationId", "NetworkInterfaceId", "NetworkInterfaceOwnerId", "PrivateIpAddress")


def lay_out(tx: Tx, account: str, region: str, tags: list[dict[str, str]]) -> Row:
    """Hold a public address for the account until it is released. Returns a row to be inserted."""
    id = mint(tx, ELASTIC_ADDRESS.prefix)
    address = public_addresses.hold(tx, id)
    doc: dict[str, Any] = {
        "PublicIp": address,
        "Domain": "vpc",
        "PublicIpv4Pool": "amazon",
        "NetworkBorderGroup": region,
        "Tags": tags,
    }
    return Row(id, ELASTIC_ADDRESS.name, account, region, "available", doc, tx.now, name=address)


def release(tx: Tx, row: Row) -> None:
    """Give the address back to the pool. It must be locked, and not associated."""
    assert row.doc.get("AssociationId") is None, f"{row.id} is associated"
    public_addresses.free(tx, row.id)
    endings.end(tx, ELASTIC_ADDRESS, row, cause="ReleaseAddress")


def associate(tx: Tx, row: Row, interface: Row, private_address: str) -> str:
    """Associate the address with one private address of an interface; the association's id.

    Both rows must be locked. Where they are associated already nothing changes. Any other
    association of either ends.
    """
    if is_associated(row, interface, private_address):
        return str(row.doc["AssociationId"])
    row = disassociate(tx, row, cause="associated with another")
    interface = rows.by_ids(tx, [interface.id], lock=True)[interface.id]
    interface = _clear(tx, interface, private_address)
    id = mint(tx, ASSOCIATION.prefix)
    association = Row(
        id, ASSOCIATION.name, row.account, row.region, "associated", {"AllocationId": row.id},
        tx.now,
    )  # fmt: skip
    rows.insert(tx, [association])
    target = (id, interface.id, interface.account, private_address)
    rows.change(tx, ELASTIC_ADDRESS, row, **dict(zip(_TARGET, target, strict=True)))
    address = row.doc["PublicIp"]
    shown = {
        "AllocationId": row.id,
        "AssociationId": id,
        "IpOwnerId": row.account,
        "PublicDnsName": interfaces.public_dns_name(row.region, address),
        "PublicIp": address,
    }
    interfaces.set_association(tx, interface, private_address, shown)
    return id


def is_associated(row: Row, interface: Row, private_address: str) -> bool:
    """True when the address is associated with that private address."""
    target = (row.doc.get("NetworkInterfaceId"), row.doc.get("PrivateIpAddress"))
    return target == (interface.id, private_address)


def disassociate(tx: Tx, row: Row, *, cause: str) -> Row:
    """End the address's association, if it has one. The row must be locked.

    "When you disassociate the Elastic IP address from your instance, it receives a new public IP
    address": so does a running instance here whose launch asked for one.
    """
    id = row.doc.get("NetworkInterfaceId")
    if id is None:
        return row
    interface = rows.by_ids(tx, [id], lock=True)[id]
    row, interface = _end(tx, row, interface, cause=cause)
    if _runs(tx, interface):
        interfaces.open_public(tx, interface)
    return row


def take_off(
    tx: Tx, interface: Row, *, cause: str, private_addresses: Sequence[str] | None = None
) -> Row:
    """End the associations of an interface, or of some of its private addresses.

    The interface must be locked. Returns its row after the change.
    """
    for row in rows.by_ids(tx, interfaces.allocations(interface), lock=True).values():
        if private_addresses is None or row.doc["PrivateIpAddress"] in private_addresses:
            _, interface = _end(tx, row, interface, cause=cause)
    return interface


def release_from(tx: Tx, instance: str, *, cause: str) -> None:
    """Delete or detach each interface of an instance that ends, as DeleteOnTermination says.

    Elastic addresses are disassociated from deleted interfaces, and stay with detached ones.
    """
    for interface in interfaces.attached_to(tx, instance):
        if interface.doc["Attachment"]["DeleteOnTermination"]:
            take_off(tx, interface, cause=cause)
    interfaces.release_from(tx, instance, cause=cause)


def _end(tx: Tx, row: Row, interface: Row, *, cause: str) -> tuple[Row, Row]:
    """End the association of both; return them as they are without it."""
    assert row.doc["NetworkInterfaceId"] == interface.id, f"{row.id} is not on {interface.id}"
    association = rows.by_ids(tx, [row.doc["AssociationId"]], lock=True)[row.doc["AssociationId"]]
    endings.end_regardless(tx, ASSOCIATION, association, cause=cause)
    interface = interfaces.set_association(tx, interface, row.doc["PrivateIpAddress"], None)
    nowhere: dict[str, Any] = dict.fromkeys(_TARGET)
    return rows.change(tx, ELASTIC_ADDRESS, row, **nowhere), interface


def _clear(tx: Tx, interface: Row, private_address: str) -> Row:
    """Remove the public address, Elastic or automatic, from a private one; the interface after."""
    interface = take_off(
        tx, interface, cause="replaced by another", private_addresses=[private_address]
    )
    if private_address == interface.doc["PrivateIpAddress"]:
        interface = interfaces.close_public(tx, interface)
    return interface


def _runs(tx: Tx, interface: Row) -> bool:
    """True when the interface is attached to a running instance."""
    attachment = interface.doc.get("Attachment")
    if attachment is None:
        return False
    instance = rows.find(tx, attachment["InstanceId"])
    return instance is not None and instance.state == "running"
