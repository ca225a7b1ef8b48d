"""Network interfaces as EC2 shows them, by themselves and inside their instance."""

from __future__ import annotations

from typing import Any

from sametoken.ec2.operations.describing import describe
from sametoken.ec2.request import Document, Request
from sametoken.resources.interfaces import INTERFACE
from sametoken.resources.rows import Row
from sametoken.store.columns import from_microseconds
from sametoken.store.port import Tx

# Source: EC2 API reference, DescribeNetworkInterfaces, "Filters".
INTERFACE_FILTERS = {
    "addresses.association.owner-id": "PrivateIpAddresses[].Association.IpOwnerId",
    "addresses.association.public-ip": "PrivateIpAddresses[].Association.PublicIp",
    "addresses.primary": "PrivateIpAddresses[].Primary",
    "addresses.private-ip-address": "PrivateIpAddresses[].PrivateIpAddress",
    "association.allocation-id": "Association.AllocationId",
    "association.association-id": "Association.AssociationId",
    "association.ip-owner-id": "Association.IpOwnerId",
    "association.public-dns-name": "Association.PublicDnsName",
    "association.public-ip": "Association.PublicIp",
    "attachment.attach-time": "Attachment.AttachTime",
    "attachment.attachment-id": "Attachment.AttachmentId",
    "attachment.delete-on-termination": "Attachment.DeleteOnTermination",
    "attachment.device-index": "Attachment.DeviceIndex",
    "attachment.instance-id": "Attachment.InstanceId",
    "attachment.instance-owner-id": "Attachment.InstanceOwnerId",
    "attachment.nat-gateway-id": "",
    "attachment.status": "Attachment.Status",
    "availability-zone": "AvailabilityZone",
    "availability-zone-id": "AvailabilityZoneId",
    "description": "Description",
    "group-id": "Groups[].GroupId",
    "group-name": "Groups[].GroupName",
    "interface-type": "InterfaceType",
    "ipv6-addresses.ipv6-address": "",
    "mac-address": "MacAddress",
    "network-interface-id": "NetworkInterfaceId",
    "operator.managed": "=false",
    "operator.principal": "",
    "owner-id": "OwnerId",
    "private-dns-name": "PrivateDnsName",
    "private-ip-address": "PrivateIpAddress",
    "requester-id": "",
    "requester-managed": "RequesterManaged",
    "source-dest-check": "SourceDestCheck",
    "status": "Status",
    "subnet-id": "SubnetId",
    "vpc-id": "VpcId",
}


def _addresses(row: Row) -> list[Document]:
    primary: Document = {
        "Primary": True,
        "PrivateIpAddress": row.doc["PrivateIpAddress"],
        "PrivateDnsName": row.doc["PrivateDnsName"],
    }
    if row.doc.get("Association"):
        primary["Association"] = row.doc["Association"]
    return [primary]


def _attachment(stored: dict[str, Any]) -> Document:
    shown = {name: value for name, value in stored.items() if name != "attached_us"}
    return {**shown, "AttachTime": from_microseconds(stored["attached_us"])}


def show(row: Row) -> Document:
    """EC2's NetworkInterface."""
    document = {
        name: value
        for name, value in row.doc.items()
        if name not in ("private", "Tags") and value is not None
    }
    if "Attachment" in document:
        document["Attachment"] = _attachment(row.doc["Attachment"])
    return {
        **document,
        "NetworkInterfaceId": row.id,
        "OwnerId": row.account,
        "Status": row.state,
        "PrivateIpAddresses": _addresses(row),
        "TagSet": row.doc.get("Tags", []),
    }


def instance_interface(row: Row) -> Document:
    """EC2's InstanceNetworkInterface: the same as its instance shows it."""
    attachment = _attachment(row.doc["Attachment"])
    shared = (
        "Description", "Groups", "Ipv6Addresses", "MacAddress", "PrivateDnsName",
        "PrivateIpAddress", "SourceDestCheck", "SubnetId", "VpcId", "InterfaceType",
    )  # fmt: skip
    document = {name: row.doc[name] for name in shared}
    if row.doc.get("Association"):
        document["Association"] = row.doc["Association"]
    return {
        **document,
        "Attachment": {
            name: attachment[name]
            for name in (
                "AttachTime", "AttachmentId", "DeleteOnTermination", "DeviceIndex",
                "Status", "NetworkCardIndex",
            )
        },
        "NetworkInterfaceId": row.id,
        "OwnerId": row.account,
        "PrivateIpAddresses": _addresses(row),
        "Status": "in-use",
    }  # fmt: skip


def describe_network_interfaces(tx: Tx, request: Request) -> Document:
    return describe(
        tx, request, INTERFACE, show, "NetworkInterfaces", INTERFACE_FILTERS,
        ids="NetworkInterfaceIds", parent_filter="attachment.instance-id",
    )  # fmt: skip
