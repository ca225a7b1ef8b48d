"""RunInstances: look up what the request names, mint every id, insert the rows, queue the work.

All in the request's own transaction. The workflow drives the four services afterwards, which
provision the instances. Reads come first, then inserts. The debits of the counters that all
accounts share come last, so that these rows are locked only until the commit that follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sametoken.ec2.compute import (
    hibernation,
    launch_addresses,
    launch_parameters,
    launch_templates,
    placement_groups,
    reserved_capacity,
)
from sametoken.ec2.compute.instances import view
from sametoken.ec2.compute.launch_capacity import insufficient_capacity, refuse_late
from sametoken.ec2.compute.launch_documents import Blueprint, instance_document
from sametoken.ec2.compute.reserved_capacity import Usable
from sametoken.ec2.kit.actions import NOT_INTENT, Action, Tokened
from sametoken.ec2.kit.repeats import doubles
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.storage import block_devices
from sametoken.errors import ServiceError
from sametoken.idempotency import Made, Rules
from sametoken.resources.catalogues import geography, images, instance_types
from sametoken.resources.catalogues.instance_types import InstanceType
from sametoken.resources.compute import instances, key_pairs
from sametoken.resources.compute.capacity_reservations import Fit
from sametoken.resources.compute.instances import INSTANCE
from sametoken.resources.kit import counters, rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import default_vpc, interfaces, vpcs
from sametoken.resources.network.interfaces import INTERFACE
from sametoken.resources.storage import account_images
from sametoken.store.port import Tx
from sametoken.workflow import work

# DEFAULT_TYPE is launched when a request names no type, as by EC2.
DEFAULT_TYPE = "m1.small"


def zone_of(tx: Tx, request: Request) -> str:
    """The zone that the request names, by placement, subnet or interface; "" when it names none.

    A subnet's zone stays known after its deletion, so that a late retry still finds its outcome.
    """
    params = request.params
    placement = params.get("Placement", {})
    if "AvailabilityZone" in placement:
        return str(placement["AvailabilityZone"])
    if "AvailabilityZoneId" in placement:
        by_id = {zone.id: zone.name for zone in geography.zones_of(request.region)}
        return by_id[placement["AvailabilityZoneId"]]
    asked = (params, *params.get("NetworkInterfaces", ()))
    for one in asked:
        for member, kind in (("SubnetId", vpcs.SUBNET), ("NetworkInterfaceId", INTERFACE)):
            if member in one:
                return rows.zone_of(tx, kind, request.account, request.region, one[member])
    return ""


def perform(tx: Tx, request: Request) -> Made:
    """Launch. The identities are the reservation and its instances, in launch order."""
    refuse_late(request)
    resolved, origin = launch_templates.laid_under(tx, request)
    if resolved is not request:
        launch_parameters.validate(resolved)
    blueprint = _blueprint(tx, resolved, origin)
    reservation = mint(tx, "r")
    launched = [_lay_out(tx, blueprint, reservation, index) for index in range(blueprint.count)]
    # Insert only new interfaces: they are pending until the network service brings them up. An
    # existing one is in use as soon as it is attached.
    new = [row for _, attached, _ in launched for row in attached if row.state == "pending"]
    rows.insert(tx, [*(row for row, _, _ in launched), *new])
    work.enqueue_launches(tx, [(row, spec) for row, _, spec in launched])
    reserved_capacity.take(tx, blueprint.reserved)
    instances.hold(tx, [row for row, _, _ in launched])
    ids = [row.id for row, _, _ in launched]
    return Made({"reservation": reservation, "instances": ids}, resources=ids)


def _blueprint(tx: Tx, request: Request, origin: list[Document]) -> Blueprint:
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
    hibernation.check_type(params, instance_type)
    launch_addresses.check_room(instance_type, params.get("NetworkInterfaces", []))
    if "KeyName" in params:
        key_pairs.require(tx, request.account, request.region, params["KeyName"])
    group = params.get("Placement", {}).get("GroupName")
    if group is not None:
        placement_groups.require(tx, request.account, request.region, group)
    candidates = _candidate_subnets(tx, request)
    usable = _usable(tx, request, instance_type, image)
    zone, count = _choose_zone(tx, request, instance_type, candidates, usable)
    subnet = candidates[zone]
    groups = _groups(tx, request, subnet, _primary(params).get("Groups"))
    reserved = usable.assigned(zone, count)
    return Blueprint(request, image, instance_type, zone, subnet, groups, count, origin, reserved)


def _usable(tx: Tx, request: Request, instance_type: InstanceType, image: Document) -> Usable:
    tenancy = request.params.get("Placement", {}).get("Tenancy", "default")
    fit = Fit(instance_type.name, image["PlatformDetails"], tenancy)
    specification = request.params.get("CapacityReservationSpecification", {})
    return reserved_capacity.usable(tx, request, specification, fit)


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
    """The request's interface at device index 0; empty when the request has none."""
    for interface in params.get("NetworkInterfaces", ()):
        if interface.get("DeviceIndex", 0) == 0:
            found: Mapping[str, Any] = interface
            return found
    return {}


def _candidate_subnets(tx: Tx, request: Request) -> dict[str, Row]:
    """The subnets that the launch may use, by zone: the named one, else the default ones."""
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
    if found:
        return found
    vpc = default_vpc.find(tx, account, region)
    if vpc is None:
        raise ServiceError("VPCIdNotSpecified", "No default VPC for this user.")
    where = f" in {wanted_zone}" if wanted_zone else ""
    raise ServiceError(
        "MissingInput",
        f"No subnets found for the default VPC '{vpc.id}'{where}. Please specify a subnet.",
    )


def _choose_zone(
    tx: Tx,
    request: Request,
    instance_type: InstanceType,
    candidates: Mapping[str, Row],
    usable: Usable,
) -> tuple[str, int]:
    """The zone, and the number of instances: as many as fit, from MinCount to MaxCount."""
    least, most = request.params["MinCount"], request.params["MaxCount"]
    vcpus = counters.vcpus_name(request.account, request.region)
    names = {zone: counters.capacity_name(zone, instance_type.name) for zone in candidates}
    free = counters.free(tx, request.place, [vcpus, *names.values()])
    for zone, name in names.items():
        free[name] = usable.room(zone) + (0 if usable.only else free[name])
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
    if free[names[zone]] < least and usable.only:
        raise reserved_capacity.exceeded()
    if free[names[zone]] < least:
        asked = zone_of(tx, request)
        others = _zones_with(tx, request, instance_type.name, least) if asked else []
        raise insufficient_capacity(instance_type.name, asked, others)
    return zone, min(most, allowed, free[names[zone]])


def _zones_with(tx: Tx, request: Request, instance_type: str, least: int) -> list[str]:
    """The zones of the Region that have room for at least so many."""
    zones = [one.name for one in geography.zones_of(request.region)]
    names = {zone: counters.capacity_name(zone, instance_type) for zone in zones}
    free = counters.free(tx, request.place, list(names.values()))
    return [zone for zone, name in names.items() if free[name] >= least]


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
    tx: Tx, blueprint: Blueprint, reservation: str, index: int
) -> tuple[Row, list[Row], dict[str, Any]]:
    """Lay out an instance: its row, its interfaces' rows, and the pinned spec of its launch."""
    id = mint(tx, INSTANCE.prefix)
    attached = _interfaces(tx, blueprint, id)
    primary = attached[0]
    row = Row(
        id,
        INSTANCE.name,
        blueprint.request.account,
        blueprint.request.region,
        "pending",
        instance_document(blueprint, reservation, index, primary, id),
        tx.now,
        blueprint.zone,
        client_token=blueprint.params.get("ClientToken"),
    )
    volumes = block_devices.plan_volumes(
        tx, blueprint.request, blueprint.image, blueprint.tags("volume")
    )
    hibernation.check_root(blueprint.params, blueprint.image, volumes)
    spec = {
        "instance_type": blueprint.instance_type.name,
        "volumes": volumes,
        "interfaces": [interface.id for interface in attached],
    }
    return row, attached, spec


def _interfaces(tx: Tx, blueprint: Blueprint, instance: str) -> list[Row]:
    """Lay out new interfaces, and attach existing ones, by device index."""
    asked = blueprint.params.get("NetworkInterfaces") or [{"DeviceIndex": 0}]
    ordered = sorted(asked, key=lambda one: one.get("DeviceIndex", 0))
    return [_interface(tx, blueprint, instance, one) for one in ordered]


def _interface(tx: Tx, blueprint: Blueprint, instance: str, asked: Mapping[str, Any]) -> Row:
    account, region = blueprint.request.account, blueprint.request.region
    device = asked.get("DeviceIndex", 0)
    if "NetworkInterfaceId" in asked:
        given = rows.get(tx, INTERFACE, account, region, [asked["NetworkInterfaceId"]], lock=True)
        return interfaces.attach(
            tx, given[0], instance=instance, device_index=device, zone=blueprint.zone
        )
    subnet, groups = blueprint.subnet, blueprint.groups
    if device != 0 and "SubnetId" in asked:
        subnet = rows.get(tx, vpcs.SUBNET, account, region, [asked["SubnetId"]])[0]
        if subnet.zone != blueprint.zone:
            raise refusals.invalid_combination("All interfaces must be in one Availability Zone")
    if device != 0:
        groups = _groups(tx, blueprint.request, subnet, asked.get("Groups"))
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
        groups=groups,
        address=address,
        instance=instance,
        spec={
            "Description": asked.get("Description", ""),
            "DeviceIndex": device,
            "DeleteOnTermination": asked.get("DeleteOnTermination", True),
            "PublicIp": public,
            "Tags": blueprint.tags("network-interface"),
            **addresses,
        },
    )


# The parameters that are sets.
_RULES = Rules(
    version=1,
    ignored=NOT_INTENT,
    sets=frozenset(
        {
            "SecurityGroupIds",
            "SecurityGroups",
            "NetworkInterfaces[].Groups",
            "TagSpecifications",
            "TagSpecifications[].Tags",
        }
    ),
)
ACTIONS: tuple[Action, ...] = (
    Tokened(
        "RunInstances",
        perform,
        view,
        validate=launch_parameters.validate,
        zone=zone_of,
        rules=(_RULES,),
        repeats=doubles("DER"),
        shares=True,
    ),
)
