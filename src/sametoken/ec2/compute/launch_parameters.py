"""The parameters that RunInstances accepts, and the checks that need no look-up. Pure.

Every member of the model is either accepted (used, or stored and echoed where EC2 echoes it) or
refused by name. No member is silently dropped: the caller would be misled.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from sametoken.ec2.compute import hibernation, launch_addresses, reserved_capacity
from sametoken.ec2.kit.parameters import Accepted, check_tag_specifications, refuse_unsupported
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.zones import check_zone
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.catalogues import instance_types
from sametoken.resources.network.interfaces import INTERFACE
from sametoken.resources.network.vpcs import SECURITY_GROUP, SUBNET
from sametoken.resources.storage.account_images import IMAGE

_TAGS: Accepted = {"Key": None, "Value": None}
ACCEPTED: Accepted = {
    "BlockDeviceMappings": {
        "DeviceName": None,
        "NoDevice": None,
        "VirtualName": None,
        "Ebs": dict.fromkeys(
            (
                "DeleteOnTermination", "Encrypted", "Iops", "KmsKeyId", "SnapshotId",
                "Throughput", "VolumeSize", "VolumeType",
            )
        ),
    },
    "CapacityReservationSpecification": reserved_capacity.ACCEPTED,
    "ClientToken": None,
    "CpuOptions": {"CoreCount": None, "ThreadsPerCore": None},
    "CreditSpecification": {"CpuCredits": None},
    "DisableApiStop": None,
    "DisableApiTermination": None,
    "DryRun": None,
    "EbsOptimized": None,
    "EnablePrimaryIpv6": None,
    "EnclaveOptions": {"Enabled": None},
    "HibernationOptions": {"Configured": None},
    "IamInstanceProfile": {"Arn": None, "Name": None},
    "ImageId": None,
    "InstanceInitiatedShutdownBehavior": None,
    "InstanceType": None,
    "Ipv6AddressCount": None,
    "Ipv6Addresses": {"Ipv6Address": None},
    "KeyName": None,
    "LaunchTemplate": dict.fromkeys(("LaunchTemplateId", "LaunchTemplateName", "Version")),
    "MaintenanceOptions": {"AutoRecovery": None},
    "MaxCount": None,
    "MetadataOptions": {
        "HttpEndpoint": None,
        "HttpProtocolIpv6": None,
        "HttpPutResponseHopLimit": None,
        "HttpTokens": None,
        "InstanceMetadataTags": None,
    },
    "MinCount": None,
    "Monitoring": {"Enabled": None},
    "NetworkInterfaces": {
        "AssociatePublicIpAddress": None,
        "DeleteOnTermination": None,
        "Description": None,
        "DeviceIndex": None,
        "Groups": None,
        "InterfaceType": None,
        "Ipv6AddressCount": None,
        "Ipv6Addresses": {"Ipv6Address": None},
        "NetworkCardIndex": None,
        "NetworkInterfaceId": None,
        "PrimaryIpv6": None,
        "PrivateIpAddress": None,
        "PrivateIpAddresses": {"Primary": None, "PrivateIpAddress": None},
        "SecondaryPrivateIpAddressCount": None,
        "SubnetId": None,
    },
    "Placement": {
        "AvailabilityZone": None,
        "AvailabilityZoneId": None,
        "GroupName": None,
        "PartitionNumber": None,
        "Tenancy": None,
    },
    "PrivateDnsNameOptions": {
        "EnableResourceNameDnsAAAARecord": None,
        "EnableResourceNameDnsARecord": None,
        "HostnameType": None,
    },
    "PrivateIpAddress": None,
    "SecurityGroupIds": None,
    "SecurityGroups": None,
    "SubnetId": None,
    "TagSpecifications": {"ResourceType": None, "Tags": _TAGS},
    "UserData": None,
}  # fmt: skip

# TAGGABLE are the types that RunInstances can tag.
TAGGABLE = ("instance", "volume", "network-interface")
# EC2's own limit, before base64.
USER_DATA_BYTES_MAX = 16 * 1024
# EC2's default quotas allow at most this many in one request; more would only hold the writer.
COUNT_MAX = 1000
_PROFILE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:instance-profile/[!-~]{1,1600}\Z")
# HOPS_MAX is EC2's largest HttpPutResponseHopLimit (EC2 API reference).
HOPS_MAX = 64


def validate(request: Request) -> None:
    """Raise a refusal for every mistake that shows without a look-up."""
    params = request.params
    refuse_unsupported("", params, ACCEPTED)
    _check_counts(params)
    if "ImageId" not in params:
        if "LaunchTemplate" not in params:
            raise refusals.missing_parameter("ImageId")
    elif not params["ImageId"].startswith("resolve:ssm:"):
        IMAGE.check_id(params["ImageId"])
    _check_type(params.get("InstanceType"))
    _check_network(params)
    check_zone(request.region, params.get("Placement", {}))
    check_user_data(params.get("UserData"))
    check_tag_specifications(params, TAGGABLE)
    _check_options(params)


def _check_options(params: Mapping[str, Any]) -> None:
    reserved_capacity.check(params.get("CapacityReservationSpecification", {}))
    if hibernation.is_asked(params) and params.get("EnclaveOptions", {}).get("Enabled"):
        raise refusals.invalid_combination("Hibernation and enclaves exclude each other.")
    if params.get("EnclaveOptions", {}).get("Enabled"):
        raise refusals.unsupported("EnclaveOptions.Enabled=true")
    check_hops(params)
    _check_profile(params.get("IamInstanceProfile", {}))


def check_hops(params: Mapping[str, Any]) -> None:
    hops = params.get("MetadataOptions", {}).get("HttpPutResponseHopLimit", 1)
    if not 1 <= hops <= HOPS_MAX:
        raise ServiceError(
            "InvalidParameterValue",
            f"A value of ‘{hops}’ is not valid for http-put-response-hop-limit. Specify a value "
            f"between 1 and {HOPS_MAX}, and try again.",
        )


def _check_profile(given: Mapping[str, Any]) -> None:
    """Refuse an ARN that is none of an instance profile; whether the profile is there is IAM's."""
    if len(given) > 1:
        raise refusals.invalid_combination(
            "The parameter iamInstanceProfile.name may not be used in combination with "
            "iamInstanceProfile.arn"
        )
    if "Arn" in given and not _PROFILE.match(given["Arn"]):
        raise refusals.invalid_value(
            "iamInstanceProfile.arn", given["Arn"][:200], "Invalid IAM Instance Profile ARN"
        )


def _check_counts(params: Mapping[str, Any]) -> None:
    least, most = params["MinCount"], params["MaxCount"]
    if least < 1:
        raise refusals.invalid_value("MinCount", least, "It must be at least 1.")
    if most < least:
        raise refusals.invalid_value("MaxCount", most, "It must not be less than MinCount.")
    if most > COUNT_MAX:
        raise refusals.invalid_value("MaxCount", most, f"It must not exceed {COUNT_MAX}.")


def _check_type(instance_type: str | None) -> None:
    if instance_type is not None and instance_type not in instance_types.INSTANCE_TYPES:
        raise refusals.invalid_value(
            "InstanceType", instance_type, "See DescribeInstanceTypes for the types served here."
        )


def _check_network(params: Mapping[str, Any]) -> None:
    interfaces = params.get("NetworkInterfaces", [])
    for name, noun in (
        ("SubnetId", "subnet ID"),
        ("SecurityGroupIds", "security groups"),
        ("SecurityGroups", "security groups"),
        ("PrivateIpAddress", "private IP address"),
        ("Ipv6AddressCount", "IPv6 address count"),
        ("Ipv6Addresses", "IPv6 addresses"),
    ):
        if interfaces and name in params:
            raise refusals.invalid_combination(
                f"Network interfaces and an instance-level {noun} may not be specified on the "
                "same request"
            )
    if "SubnetId" in params:
        SUBNET.check_id(params["SubnetId"])
        if "SecurityGroups" in params:
            raise refusals.invalid_combination(
                "The parameter groupName cannot be used with the parameter subnet"
            )
    for group in params.get("SecurityGroupIds", []):
        SECURITY_GROUP.check_id(group)
    launch_addresses.check(params, params["MaxCount"])
    _check_interfaces(interfaces, params["MaxCount"])


def _check_interfaces(interfaces: list[Document], most: int) -> None:
    indexes = [interface.get("DeviceIndex", 0) for interface in interfaces]
    if interfaces and (0 not in indexes or len(set(indexes)) < len(indexes)):
        raise refusals.invalid_combination(
            "Network interfaces need distinct device indexes, one of them 0"
        )
    for interface in interfaces:
        _check_interface(interface, most, alone=len(interfaces) == 1)


# Members that EC2 takes only for an interface that the launch makes.
_NEW_INTERFACES_ONLY = (
    "SubnetId", "Groups", "PrivateIpAddress", "PrivateIpAddresses", "AssociatePublicIpAddress",
    "DeleteOnTermination", "Description", "Ipv6AddressCount", "Ipv6Addresses", "PrimaryIpv6",
    "SecondaryPrivateIpAddressCount",
)  # fmt: skip


def _check_interface(interface: Document, most: int, *, alone: bool) -> None:
    if "SubnetId" in interface:
        SUBNET.check_id(interface["SubnetId"])
    for group in interface.get("Groups", []):
        SECURITY_GROUP.check_id(group)
    if interface.get("InterfaceType", "interface") != "interface":
        raise refusals.unsupported(f"InterfaceType={interface['InterfaceType']}")
    if interface.get("NetworkCardIndex", 0) != 0:
        raise refusals.invalid_value(
            "NetworkCardIndex", interface["NetworkCardIndex"], "Only card 0 exists."
        )
    if interface.get("AssociatePublicIpAddress") and not alone:
        raise refusals.invalid_combination(
            "AssociatePublicIpAddress can be given for a single, new interface only"
        )
    given = interface.get("NetworkInterfaceId")
    if given is not None:
        INTERFACE.check_id(given)
        for name in _NEW_INTERFACES_ONLY:
            # Let false pass: it asks for nothing that an existing interface does not have.
            if interface.get(name, False) is not False:
                raise refusals.invalid_combination(
                    f"{name} cannot be given for the existing interface {given}"
                )
    if most > 1 and given is not None:
        raise refusals.invalid_combination("An existing interface serves one instance only")
    launch_addresses.check(interface, most)


def check_user_data(encoded: str | None) -> None:
    if encoded is None:
        return
    try:
        size = len(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):
        raise ServiceError(
            "InvalidUserData.Malformed", "Invalid BASE64 encoding of user data."
        ) from None
    if size > USER_DATA_BYTES_MAX:
        raise ServiceError(
            "InvalidParameterValue",
            f"User data is limited to {USER_DATA_BYTES_MAX} bytes; this has {size}.",
        )
