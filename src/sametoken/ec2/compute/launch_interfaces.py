"""The interfaces of an instance that is launched: new ones, and existing ones that it attaches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sametoken.ec2.compute import launch_addresses
from sametoken.ec2.compute.launch_documents import Blueprint
from sametoken.ec2.protocol import refusals
from sametoken.errors import ServiceError
from sametoken.resources.kit import rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.regions import Place
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import interfaces, vpcs
from sametoken.resources.network.interfaces import INTERFACE
from sametoken.store.port import Tx


def primary(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request's interface at device index 0; empty when the request has none."""
    for interface in params.get("NetworkInterfaces", ()):
        if interface.get("DeviceIndex", 0) == 0:
            found: Mapping[str, Any] = interface
            return found
    return {}


def groups(
    tx: Tx,
    place: Place,
    params: Mapping[str, Any],
    subnet: Row,
    interface_groups: list[str] | None,
) -> list[Row]:
    """The security groups: by id, by name, those of the interface, else the VPC's default."""
    vpc = subnet.doc["VpcId"]
    ids = interface_groups or params.get("SecurityGroupIds", [])
    found = rows.get(tx, vpcs.SECURITY_GROUP, *place, ids) if ids else []
    for name in params.get("SecurityGroups", []):
        group = rows.find_named(tx, vpcs.SECURITY_GROUP, *place, f"{vpc}/{name}")
        if group is None:
            raise ServiceError(
                "InvalidGroup.NotFound",
                f"The security group '{name}' does not exist in VPC '{vpc}'",
            )
        found.append(group)
    for group in found:
        if group.doc["VpcId"] != vpc:
            raise ServiceError(
                "InvalidParameter",
                f"Security group {group.id} and subnet {subnet.id} belong to different networks.",
            )
    return found or [vpcs.default_group(tx, *place, vpc)]


def laid_out(tx: Tx, blueprint: Blueprint, instance: str) -> list[Row]:
    """Lay out new interfaces, and attach existing ones, by device index."""
    asked = blueprint.params.get("NetworkInterfaces") or [{"DeviceIndex": 0}]
    ordered = sorted(asked, key=lambda one: one.get("DeviceIndex", 0))
    return [_interface(tx, blueprint, instance, one) for one in ordered]


def _interface(tx: Tx, blueprint: Blueprint, instance: str, asked: Mapping[str, Any]) -> Row:
    account, region = blueprint.account, blueprint.region
    device = asked.get("DeviceIndex", 0)
    if "NetworkInterfaceId" in asked:
        given = rows.get(tx, INTERFACE, account, region, [asked["NetworkInterfaceId"]], lock=True)
        return interfaces.attach(
            tx, given[0], instance=instance, device_index=device, zone=blueprint.zone
        )
    subnet, found = blueprint.subnet, blueprint.groups
    if device != 0 and "SubnetId" in asked:
        subnet = rows.get(tx, vpcs.SUBNET, account, region, [asked["SubnetId"]])[0]
        if subnet.zone != blueprint.zone:
            raise refusals.invalid_combination("All interfaces must be in one Availability Zone")
    if device != 0:
        found = groups(tx, (account, region), blueprint.params, subnet, asked.get("Groups"))
    public = asked.get(
        "AssociatePublicIpAddress", subnet.doc["MapPublicIpOnLaunch"] and device == 0
    )
    address, addresses = launch_addresses.of(
        blueprint.params, asked, subnet, blueprint.instance_type
    )
    return interfaces.plan_row(
        tx,
        id=mint(tx, INTERFACE.prefix),
        account=account,
        region=region,
        subnet=subnet,
        groups=found,
        address=address,
        instance=instance,
        spec={
            "Description": asked.get("Description", ""),
            "DeviceIndex": device,
            "DeleteOnTermination": asked.get("DeleteOnTermination", True),
            "PublicIp": public,
            "Tags": blueprint.interface_tags,
            **addresses,
        },
    )
