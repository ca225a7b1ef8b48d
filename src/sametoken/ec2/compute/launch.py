"""RunInstances: look up what the request names, mint every id, insert the rows, queue the work.

All in the request's own transaction. Nothing is provisioned here: the workflow drives the four
services to it. Order: reads first, then inserts, and the debits of the counters everybody shares
last, so that they are held only until the commit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sametoken.ec2.compute import launch_parameters, launch_templates, placement_groups
from sametoken.ec2.compute.launch_capacity import insufficient_capacity
from sametoken.ec2.compute.launch_documents import Plan, instance_document
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.storage import block_devices
from sametoken.errors import ServiceError
from sametoken.idempotency import Made
from sametoken.resources.catalogues import geography, images, instance_types
from sametoken.resources.catalogues.instance_types import InstanceType
from sametoken.resources.compute import instances, key_pairs
from sametoken.resources.compute.instances import INSTANCE
from sametoken.resources.kit import counters, rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import default_vpc, interfaces, vpcs
from sametoken.resources.network.interfaces import INTERFACE
from sametoken.resources.storage import account_images
from sametoken.store.port import Tx
from sametoken.workflow import work

# What EC2 launches when a request names no type.
DEFAULT_TYPE = "m1.small"


def zone_of(tx: Tx, request: Request) -> str:
    """The zone the request itself names: by placement, subnet or interface; "" when it does not.

    A subnet's zone stays known after its deletion, so that a late retry still finds its outcome.
    """
    params = request.params
    placement = params.get("Placement", {})
    if "AvailabilityZone" in placement:
        return str(placement["AvailabilityZone"])
    if "AvailabilityZoneId" in placement:
        by_id = {zone.id: zone.name for zone in geography.zones_of(request.region)}
        return by_id[placement["AvailabilityZoneId"]]
    named = [params.get("SubnetId")]
    for interface in params.get("NetworkInterfaces", ()):
        named += [interface.get("SubnetId"), interface.get("NetworkInterfaceId")]
    for id in named:
        if id is not None:
            return rows.zone_of(tx, request.account, id)
    return ""


def perform(tx: Tx, request: Request) -> Made:
    """Launch. Identities: the reservation and its instances, in launch order."""
    resolved, origin = launch_templates.laid_under(tx, request)
    if resolved is not request:
        launch_parameters.validate(resolved)
    plan = _plan(tx, resolved, origin)
    reservation = mint(tx, "r")
    launched = [_lay_out(tx, plan, reservation, index) for index in range(plan.count)]
    # A new interface is pending until the network service brings it up; an existing one, attached
    # to the instance, is in use already.
    new = [row for _, attached, _ in launched for row in attached if row.state == "pending"]
    rows.insert(tx, [*(row for row, _, _ in launched), *new])
    work.enqueue_launches(tx, [(row, spec) for row, _, spec in launched])
    instances.hold(tx, launched[0][0], count=plan.count, maxima_read=plan.maxima)
    ids = [row.id for row, _, _ in launched]
    return Made({"reservation": reservation, "instances": ids}, resources=ids)


def _plan(tx: Tx, request: Request, origin: list[Document]) -> Plan:
    params = request.params
    image = _find_image(tx, request)
    instance_type = instance_types.INSTANCE_TYPES[params.get("InstanceType", DEFAULT_TYPE)]
    if image["Architecture"] not in instance_type.architectures:
        raise ServiceError(
            "InvalidParameterValue",
            f"The architecture '{','.join(instance_type.architectures)}' of the specified instance "
            f"type does not match the architecture '{image['Architecture']}' of the specified AMI. "
            "Specify an instance type and an AMI that have matching architectures, and try again.",
        )
    if "KeyName" in params:
        key_pairs.require(tx, request.account, request.region, params["KeyName"])
    group = params.get("Placement", {}).get("GroupName")
    if group is not None:
        placement_groups.require(tx, request.account, request.region, group)
    candidates = _candidate_subnets(tx, request)
    zone, count, maxima = _choose_zone(tx, request, instance_type, candidates)
    subnet = candidates[zone]
    groups = _groups(tx, request, subnet, _primary(params).get("Groups"))
    return Plan(request, image, instance_type, zone, subnet, groups, count, origin, maxima)


def _find_image(tx: Tx, request: Request) -> Document:
    wanted: str = request.params["ImageId"]
    alias = wanted.removeprefix("resolve:ssm:")
    image_id: str | None = wanted
    if alias != wanted:
        image_id = images.resolve_parameter(request.region, alias)
        if image_id is None:
            raise refusals.invalid_value(
                "imageId", wanted, "No such parameter is in the built-in catalogue."
            )
    assert image_id is not None, "an alias resolves or is refused"
    image = account_images.find_document(tx, request.account, request.region, image_id)
    if image is None:
        raise ServiceError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    if image["State"] != "available":
        raise ServiceError(
            "InvalidAMIID.Unavailable", f"The image id '[{image_id}]' is {image['State']}"
        )
    return image


def _primary(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The interface at device index 0, as the request gives it; empty when it gives none."""
    for interface in params.get("NetworkInterfaces", ()):
        if interface.get("DeviceIndex", 0) == 0:
            found: Mapping[str, Any] = interface
            return found
    return {}


def _candidate_subnets(tx: Tx, request: Request) -> dict[str, Row]:
    """The subnets the launch may use, by zone: the named one's, else the default ones."""
    params, account, region = request.params, request.account, request.region
    primary = _primary(params)
    named = params.get("SubnetId", primary.get("SubnetId"))
    if "NetworkInterfaceId" in primary:
        given = rows.get(tx, INTERFACE, account, region, [primary["NetworkInterfaceId"]])[0]
        named = given.doc["SubnetId"]
    wanted_zone = zone_of(tx, request)
    if named is not None:
        subnet = rows.get(tx, vpcs.SUBNET, account, region, [named])[0]
        if wanted_zone and subnet.zone != wanted_zone:
            raise refusals.invalid_value(
                "AvailabilityZone", wanted_zone, f"{named} is in {subnet.zone}."
            )
        return {subnet.zone: subnet}
    found = {row.zone: row for row in default_vpc.subnets(tx, account, region)}
    if wanted_zone:
        found = {zone: row for zone, row in found.items() if zone == wanted_zone}
    if not found:
        raise ServiceError(
            "MissingInput",
            f"No default subnet{f' for {wanted_zone}' if wanted_zone else ''} was found in "
            f"{region}. Name a subnet with SubnetId.",
        )
    return found


def _choose_zone(
    tx: Tx, request: Request, instance_type: InstanceType, candidates: Mapping[str, Row]
) -> tuple[str, int, Mapping[str, int]]:
    """The zone, and how many: as many as fit, up to MaxCount, if MinCount do.

    And the maxima that it was chosen by, so that the debit need not read them again.
    """
    least, most = request.params["MinCount"], request.params["MaxCount"]
    vcpus = counters.vcpus_name(request.account, request.region)
    names = {zone: counters.capacity_name(zone, instance_type.name) for zone in candidates}
    maxima = counters.maxima(tx, [vcpus, *names.values()])
    free = counters.free(tx, list(maxima), maxima_read=maxima)
    allowed = free[vcpus] // instance_type.vcpus
    if allowed < least:
        raise ServiceError(
            "VcpuLimitExceeded",
            f"You have requested more vCPU capacity than your current vCPU limit leaves "
            f"({free[vcpus]}); {least} of {instance_type.name} need {least * instance_type.vcpus}.",
        )
    fitting = [zone for zone, name in names.items() if free[name] >= most]
    if fitting:
        zone = fitting[int(tx.world.random() * len(fitting))]
    else:
        zone = max(names, key=lambda zone: free[names[zone]])
    if free[names[zone]] < least:
        others = [one for one in geography.zones_of(request.region) if one.name != zone]
        raise insufficient_capacity(instance_type.name, zone, [one.name for one in others])
    return zone, min(most, allowed, free[names[zone]]), maxima


def _groups(tx: Tx, request: Request, subnet: Row, interface_groups: list[str] | None) -> list[Row]:
    """The security groups: by id, by name, those of the interface, else the VPC's default."""
    account, region, vpc = request.account, request.region, subnet.doc["VpcId"]
    ids = interface_groups or request.params.get("SecurityGroupIds", [])
    found = rows.get(tx, vpcs.SECURITY_GROUP, account, region, ids) if ids else []
    for name in request.params.get("SecurityGroups", []):
        group = rows.find_named(tx, vpcs.SECURITY_GROUP, account, region, f"{vpc}/{name}")
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
    return found or [vpcs.default_group(tx, account, region, vpc)]


def _lay_out(
    tx: Tx, plan: Plan, reservation: str, index: int
) -> tuple[Row, list[Row], dict[str, Any]]:
    """One instance: its row, its interfaces' rows, and the pinned spec of its launch."""
    id = mint(tx, INSTANCE.prefix)
    attached = _interfaces(tx, plan, id)
    primary = attached[0]
    row = Row(
        id,
        INSTANCE.name,
        plan.request.account,
        plan.request.region,
        "pending",
        instance_document(plan, reservation, index, primary, id),
        tx.now,
        plan.zone,
        client_token=plan.params.get("ClientToken"),
    )
    spec = {
        "instance_type": plan.instance_type.name,
        "volumes": block_devices.plan_volumes(tx, plan.request, plan.image, plan.tags("volume")),
        "interfaces": [interface.id for interface in attached],
    }
    return row, attached, spec


def _interfaces(tx: Tx, plan: Plan, instance: str) -> list[Row]:
    """New interfaces laid out and existing ones attached, by device index."""
    asked = plan.params.get("NetworkInterfaces") or [{"DeviceIndex": 0}]
    ordered = sorted(asked, key=lambda one: one.get("DeviceIndex", 0))
    return [_interface(tx, plan, instance, one) for one in ordered]


def _interface(tx: Tx, plan: Plan, instance: str, asked: Mapping[str, Any]) -> Row:
    account, region = plan.request.account, plan.request.region
    device = asked.get("DeviceIndex", 0)
    if "NetworkInterfaceId" in asked:
        given = rows.get(tx, INTERFACE, account, region, [asked["NetworkInterfaceId"]], lock=True)
        return interfaces.attach(
            tx, given[0], instance=instance, device_index=device, zone=plan.zone
        )
    subnet, groups = plan.subnet, plan.groups
    if device != 0 and "SubnetId" in asked:
        subnet = rows.get(tx, vpcs.SUBNET, account, region, [asked["SubnetId"]])[0]
        if subnet.zone != plan.zone:
            raise refusals.invalid_combination("All interfaces must be in one Availability Zone")
    if device != 0:
        groups = _groups(tx, plan.request, subnet, asked.get("Groups"))
    public = asked.get(
        "AssociatePublicIpAddress", subnet.doc["MapPublicIpOnLaunch"] and device == 0
    )
    return interfaces.plan_row(
        tx,
        id=mint(tx, INTERFACE.prefix),
        account=account,
        region=region,
        subnet=subnet,
        groups=groups,
        address=asked.get("PrivateIpAddress", plan.params.get("PrivateIpAddress")),
        instance=instance,
        spec={
            "Description": asked.get("Description", ""),
            "DeviceIndex": device,
            "DeleteOnTermination": asked.get("DeleteOnTermination", True),
            "PublicIp": public,
            "Tags": plan.tags("network-interface"),
        },
    )
