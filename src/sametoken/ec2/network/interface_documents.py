"""Network interfaces in EC2's form, by themselves and inside their instance. Pure."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from sametoken.ec2.protocol.documents import Document
from sametoken.resources.catalogues import geography
from sametoken.resources.kit.moments import get_moment, without_moments
from sametoken.resources.kit.rows import Row
from sametoken.resources.network.interfaces import addresses_of, is_served

# Source: EC2 API reference, DescribeNetworkInterfaces, "Filters".
INTERFACE_PATHS = {
    "addresses.association.owner-id": "PrivateIpAddresses[].Association.IpOwnerId",
    "addresses.association.public-ip": "PrivateIpAddresses[].Association.PublicIp",
    "addresses.primary": "PrivateIpAddresses[].Primary",
    "addresses.private-ip-address": "PrivateIpAddresses[].PrivateIpAddress",
    "group-id": "Groups[].GroupId",
    "ipv6-addresses.ipv6-address": "Ipv6Addresses[].Ipv6Address",
    "operator.managed": "=false",
    "operator.principal": "",
    "private-ip-address": "PrivateIpAddress",
    "requester-id": "RequesterId",
    "attachment.nat-gateway-id": "",
    "group-name": "Groups[].GroupName",
}


def attachment_form(stored: dict[str, Any]) -> Document:
    """EC2's NetworkInterfaceAttachment."""
    return {**without_moments(stored), "AttachTime": get_moment(stored, "attached")}


def show(row: Row) -> Document:
    """EC2's NetworkInterface."""
    document = {
        name: value
        for name, value in row.doc.items()
        if name not in ("private", "Tags") and value is not None
    }
    if "Attachment" in document:
        document["Attachment"] = attachment_form(row.doc["Attachment"])
    return {
        **document,
        "AvailabilityZoneId": geography.zone_id_of(row.zone),
        "NetworkInterfaceId": row.id,
        "OwnerId": row.account,
        # EC2 shows a launched interface as in use at once, though its attachment takes a moment.
        "Status": "in-use" if document.get("Attachment") or is_served(row) else row.state,
        "PrivateIpAddresses": addresses_of(row),
        "TagSet": row.doc.get("Tags", []),
        # Every request here is signed by the account itself.
        "RequesterId": row.account,
        "Operator": {"Managed": False},
    }


# Members of an interface, and of its attachment, that an instance shows as they are.
_SHARED = (
    "Description", "Groups", "Ipv6Addresses", "MacAddress", "PrivateDnsName",
    "PrivateIpAddress", "SourceDestCheck", "SubnetId", "VpcId", "InterfaceType",
)  # fmt: skip
_ATTACHMENT = (
    "AttachmentId", "DeleteOnTermination", "DeviceIndex", "Status", "NetworkCardIndex",
)  # fmt: skip
_PICK_SHARED, _PICK_ATTACHMENT = itemgetter(*_SHARED), itemgetter(*_ATTACHMENT)


def instance_interface(row: Row) -> Document:
    """EC2's InstanceNetworkInterface: the same interface in the form its instance shows."""
    attachment = row.doc["Attachment"]
    private = addresses_of(row)
    for address in private:
        if "Association" in address:
            address["Association"] = {
                name: address["Association"][name]
                for name in ("IpOwnerId", "PublicDnsName", "PublicIp")
            }
    primary = {"Association": private[0]["Association"]} if "Association" in private[0] else {}
    return {
        **dict(zip(_SHARED, _PICK_SHARED(row.doc), strict=True)),
        **primary,
        "Attachment": {
            "AttachTime": get_moment(attachment, "attached"),
            **dict(zip(_ATTACHMENT, _PICK_ATTACHMENT(attachment), strict=True)),
        },
        "NetworkInterfaceId": row.id,
        "OwnerId": row.account,
        "PrivateIpAddresses": private,
        "Status": "in-use",
        "Operator": {"Managed": False},
    }  # fmt: skip
