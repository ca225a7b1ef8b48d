"""The blueprint of a launch, and the documents of its instances. No I/O.

Documents hold everything that RunInstances accepted, shown or private, with EC2's defaults for
members that the request leaves out. Members that all instances have alike are made once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sametoken.ec2.compute import hibernation, reserved_capacity
from sametoken.ec2.protocol.documents import Document
from sametoken.resources.catalogues.instance_types import InstanceType
from sametoken.resources.compute import instances
from sametoken.resources.kit.rows import Row


@dataclass(frozen=True)
class Blueprint:
    """The properties that all instances of a launch share, after every look-up.

    `params` are the request's, without its token: launches that ask for the same in the same zone
    may have one blueprint. `volumes` are without ids. `origin` are the tags by which EC2 shows
    which template an instance comes from.
    """

    account: str
    region: str
    params: Mapping[str, Any]
    image: Document
    instance_type: InstanceType
    zone: str
    subnet: Row
    groups: list[Row]
    volumes: list[dict[str, Any]]
    origin: list[Document]

    @cached_property
    def document(self) -> dict[str, Any]:
        """The members of EC2's Instance that are alike for all. Not to be changed in place."""
        return _shared(self)

    @cached_property
    def private(self) -> dict[str, Any]:
        """The members that EC2 does not show, and that are alike for all."""
        return _private(self)

    @cached_property
    def interface_tags(self) -> list[Document]:
        return tags(self.params, "network-interface")


def tags(params: Mapping[str, Any], resource_type: str) -> list[Document]:
    """The tags that a launch gives to its resources of a type."""
    return [
        {"Key": tag["Key"], "Value": tag.get("Value", "")}
        for specification in params.get("TagSpecifications", ())
        if specification["ResourceType"] == resource_type
        for tag in specification.get("Tags", ())
    ]


def instance_document(
    blueprint: Blueprint,
    reservation: str,
    index: int,
    primary: Row,
    id: str,
    token: str | None,
    *,
    place_in: str | None,
) -> dict[str, Any]:
    """EC2's Instance, without the members that change by themselves; see `instances.view`.

    `place_in` is the capacity reservation that it runs in; None for none.
    """
    doc: dict[str, Any] = {
        **blueprint.document,
        "AmiLaunchIndex": index,
        "PrivateIpAddress": primary.doc["PrivateIpAddress"],
        "PrivateDnsName": primary.doc["PrivateDnsName"],
        "SecurityGroups": primary.doc["Groups"],
        "SubnetId": primary.doc["SubnetId"],
        "VpcId": primary.doc["VpcId"],
        "private": {"ReservationId": reservation, **blueprint.private},
    }
    if token is not None:
        doc["ClientToken"] = token
    if place_in is not None:
        doc["CapacityReservationId"] = place_in
        doc["private"]["held"] = instances.held_in(place_in, blueprint.private["held"])
    profile = blueprint.params.get("IamInstanceProfile")
    if profile:
        doc["IamInstanceProfile"] = _profile(blueprint.account, profile, id)
    return doc


def _shared(blueprint: Blueprint) -> dict[str, Any]:
    params, image = blueprint.params, blueprint.image
    doc: dict[str, Any] = {
        "ImageId": image["ImageId"],
        "InstanceType": blueprint.instance_type.name,
        "Architecture": image["Architecture"],
        "EbsOptimized": params.get("EbsOptimized", False),
        "EnaSupport": image.get("EnaSupport", False),
        # "The value xen is used for both Xen and Nitro hypervisors" (EC2 API reference, Instance).
        "Hypervisor": "xen",
        "CurrentInstanceBootMode": _boot_mode(blueprint),
        "RootDeviceName": image["RootDeviceName"],
        "RootDeviceType": "ebs",
        "VirtualizationType": image["VirtualizationType"],
        "PlatformDetails": image["PlatformDetails"],
        "UsageOperation": image["UsageOperation"],
        "Placement": _placement(blueprint),
        "SourceDestCheck": True,
        "Monitoring": {
            "State": "enabled" if params.get("Monitoring", {}).get("Enabled") else "disabled"
        },
        "Tags": [*tags(params, "instance"), *blueprint.origin],
        "StateTransitionReason": "",
        **_options(blueprint),
    }
    if "KeyName" in params:
        doc["KeyName"] = params["KeyName"]
    for name in ("BootMode", "Platform"):
        if image.get(name):
            doc[name] = image[name]
    return doc


def _placement(blueprint: Blueprint) -> Document:
    given = blueprint.params.get("Placement", {})
    shown = {
        "AvailabilityZone": blueprint.zone,
        "AvailabilityZoneId": blueprint.subnet.doc["AvailabilityZoneId"],
        "GroupName": given.get("GroupName", ""),
        "Tenancy": given.get("Tenancy", "default"),
    }
    if "PartitionNumber" in given:
        shown["PartitionNumber"] = given["PartitionNumber"]
    return shown


def _boot_mode(blueprint: Blueprint) -> str:
    """The boot mode: the image's preference, as far as the instance type supports it."""
    wanted = blueprint.image.get("BootMode")
    if blueprint.image["Architecture"] == "arm64" or wanted == "uefi":
        return "uefi"
    return "uefi" if wanted == "uefi-preferred" and blueprint.instance_type.nitro else "legacy-bios"


def _options(blueprint: Blueprint) -> dict[str, Any]:
    """The option structures, with EC2's defaults for members that the request leaves out."""
    params, kind = blueprint.params, blueprint.instance_type
    given = params.get("MetadataOptions", {})
    # An image that supports version 2 of the metadata service makes it the only one, and reachable
    # from a container on the machine (EC2 user guide, "Configure the Instance Metadata Service").
    v2_only = blueprint.image.get("ImdsSupport") == "v2.0"
    cores = params.get("CpuOptions", {})
    names = params.get("PrivateDnsNameOptions", {})
    return {
        "MetadataOptions": {
            "State": "applied",
            "HttpTokens": given.get("HttpTokens", "required" if v2_only else "optional"),
            "HttpPutResponseHopLimit": given.get("HttpPutResponseHopLimit", 2 if v2_only else 1),
            "HttpEndpoint": given.get("HttpEndpoint", "enabled"),
            "HttpProtocolIpv6": given.get("HttpProtocolIpv6", "disabled"),
            "InstanceMetadataTags": given.get("InstanceMetadataTags", "disabled"),
        },
        "CpuOptions": {
            "CoreCount": cores.get("CoreCount", kind.cores),
            "ThreadsPerCore": cores.get("ThreadsPerCore", kind.threads_per_core),
        },
        "CapacityReservationSpecification": reserved_capacity.shown(
            params.get("CapacityReservationSpecification", {})
        ),
        "HibernationOptions": {"Configured": hibernation.is_asked(params)},
        "EnclaveOptions": {"Enabled": False},
        "MaintenanceOptions": {
            "AutoRecovery": params.get("MaintenanceOptions", {}).get("AutoRecovery", "default")
        },
        "PrivateDnsNameOptions": {
            "HostnameType": names.get("HostnameType", "ip-name"),
            "EnableResourceNameDnsARecord": names.get("EnableResourceNameDnsARecord", False),
            "EnableResourceNameDnsAAAARecord": names.get("EnableResourceNameDnsAAAARecord", False),
        },
    }


def _private(blueprint: Blueprint) -> dict[str, Any]:
    """Members that DescribeInstances does not show: attributes, and the capacity held."""
    params, kind = blueprint.params, blueprint.instance_type
    credits_default = "standard" if kind.name.startswith("t2.") else "unlimited"
    return {
        "UserData": params.get("UserData"),
        "DisableApiTermination": params.get("DisableApiTermination", False),
        "DisableApiStop": params.get("DisableApiStop", False),
        "InstanceInitiatedShutdownBehavior": params.get(
            "InstanceInitiatedShutdownBehavior", "stop"
        ),
        "CpuCredits": (
            params.get("CreditSpecification", {}).get("CpuCredits", credits_default)
            if kind.burstable
            else None
        ),
        "held": instances.holding(
            blueprint.account,
            blueprint.region,
            blueprint.zone,
            kind.name,
            kind.vcpus,
        ),
    }


def _profile(account: str, given: Mapping[str, Any], instance: str) -> Document:
    arn = given.get("Arn") or f"arn:aws:iam::{account}:instance-profile/{given['Name']}"
    return {"Arn": arn, "Id": "AIPA" + instance.removeprefix("i-").upper()}
