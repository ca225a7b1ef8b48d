"""RunInstances: look up what the request names, mint every id, insert the rows, queue the work.

All in the request's own transaction. The workflow drives the four services afterwards, which
provision the instances. Reads come first, then inserts. The debits of the counters that all
accounts share come last, so that these rows are locked only until the commit that follows.
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sametoken.ec2.compute import (
    hibernation,
    launch_addresses,
    launch_interfaces,
    launch_parameters,
    launch_templates,
    placement_groups,
    reserved_capacity,
)
from sametoken.ec2.compute.instances import view
from sametoken.ec2.compute.launch_capacity import insufficient_capacity, refuse_late
from sametoken.ec2.compute.launch_documents import Blueprint, instance_document, tags
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
from sametoken.resources.network import default_vpc, vpcs
from sametoken.resources.network.interfaces import INTERFACE
from sametoken.resources.storage import account_images
from sametoken.store.codec import Encoded
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
    blueprint, count, places = _plan(tx, resolved, origin)
    reservation, token = mint(tx, "r"), request.params.get("ClientToken")
    launched = [
        _lay_out(tx, blueprint, reservation, index, token, place_in)
        for index, place_in in enumerate([*places, *[None] * (count - len(places))])
    ]
    # Insert only new interfaces: they are pending until the network service brings them up. An
    # existing one is in use as soon as it is attached.
    new = [row for _, attached, _ in launched for row in attached if row.state == "pending"]
    rows.insert(tx, [*(row for row, _, _ in launched), *new])
    traced = {"trace": request.trace} if request.trace else {}
    work.enqueue_launches(tx, [(row, spec | traced) for row, _, spec in launched])
    reserved_capacity.take(tx, places)
    instances.hold(tx, [row for row, _, _ in launched])
    ids = [row.id for row, _, _ in launched]
    return Made({"reservation": reservation, "instances": ids}, resources=ids)


def rehearse(tx: Tx, request: Request) -> None:
    """Look up what a launch needs, and leave it at that."""
    resolved, origin = launch_templates.laid_under(tx, request)
    if resolved is not request:
        launch_parameters.validate(resolved)
    _plan(tx, resolved, origin)


@dataclass(frozen=True, slots=True)
class _Choice:
    """Subnets by zone, of which a launch takes one, and the counter of each zone's capacity.

    `counters` are all that tell whether there is room, the account's vCPUs first.
    """

    image: Document
    instance_type: InstanceType
    fit: Fit
    subnets: dict[str, Row]
    capacity: dict[str, str]
    counters: tuple[str, ...]


def _plan(tx: Tx, request: Request, origin: list[Document]) -> tuple[Blueprint, int, list[str]]:
    """Return the blueprint of a launch, and how many instances it makes.

    The first of them run in the capacity reservations that are returned last, one for each.
    Launches that ask for the same share what they look up, as long as the Region's stamp stays. If
    they name what may change without the stamp, each looks it up for itself.
    """
    place = request.place
    params = {name: value for name, value in request.params.items() if name != "ClientToken"}
    # The tags of a template are no parameters.
    asked = None if origin else _asked(request.region, params)

    def choose() -> _Choice:
        return _choice(tx, request)

    choice = choose() if asked is None else tx.cached_form(place, asked, choose)
    specification = params.get("CapacityReservationSpecification", {})
    usable = reserved_capacity.usable(tx, request, specification, choice.fit)
    zone, count = _choose_zone(tx, request, choice, usable)

    def draw() -> Blueprint:
        subnet = choice.subnets[zone]
        groups = launch_interfaces.groups(
            tx, place, params, subnet, launch_interfaces.primary(params).get("Groups")
        )
        volumes = block_devices.plan_volumes(tx, request, choice.image, tags(params, "volume"))
        hibernation.check_root(params, choice.image, volumes)
        return Blueprint(
            *place, params, choice.image, choice.instance_type, zone, subnet, groups, volumes,
            origin,
        )  # fmt: skip

    blueprint = draw() if asked is None else tx.cached_form(place, (asked, zone), draw)
    return blueprint, count, usable.assigned(zone, count)


# Parameters by which a launch looks up what may change although the Region's stamp stays.
_CHANGING = frozenset({"BlockDeviceMappings", "KeyName", "NetworkInterfaces"})
# A longer request is worth its look-ups, rather than the memory.
_ASKED_BYTES_MAX = 2_048
# A version without references: equal values are written alike.
_MARSHALLED = 2


def _asked(region: str, params: Mapping[str, Any]) -> bytes | None:
    """Return what tells a launch from others of its Region that look up something else.

    None for a launch that must look up for itself. Values of different types are never alike.
    """
    if not _CHANGING.isdisjoint(params) or "GroupName" in params.get("Placement", ()):
        return None
    image_id = params["ImageId"]
    if not image_id.startswith("resolve:") and images.find_described(region, image_id) is None:
        return None
    asked = marshal.dumps(dict(params), _MARSHALLED)
    return asked if len(asked) <= _ASKED_BYTES_MAX else None


def _choice(tx: Tx, request: Request) -> _Choice:
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
    subnets = _candidate_subnets(tx, request)
    capacity = {zone: counters.capacity_name(zone, instance_type.name) for zone in subnets}
    vcpus = counters.vcpus_name(request.account, request.region)
    tenancy = params.get("Placement", {}).get("Tenancy", "default")
    fit = Fit(instance_type.name, image["PlatformDetails"], tenancy)
    return _Choice(image, instance_type, fit, subnets, capacity, (vcpus, *capacity.values()))


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


def _candidate_subnets(tx: Tx, request: Request) -> dict[str, Row]:
    """The subnets that the launch may use, by zone: the named one, else the default ones."""
    params, account, region = request.params, request.account, request.region
    primary = launch_interfaces.primary(params)
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


def _choose_zone(tx: Tx, request: Request, choice: _Choice, usable: Usable) -> tuple[str, int]:
    """The zone, and the number of instances: as many as fit, from MinCount to MaxCount."""
    least, most = request.params["MinCount"], request.params["MaxCount"]
    instance_type, names = choice.instance_type, choice.capacity
    vcpus = choice.counters[0]
    free = counters.free(tx, request.place, choice.counters)
    for zone, name in names.items():
        free[name] = usable.room(zone) + (0 if usable.only else free[name])
    for zone in request.full_zones:
        if zone in names:
            free[names[zone]] = usable.room(zone)
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
    full = request.full_zones
    return [zone for zone, name in names.items() if free[name] >= least and zone not in full]


def _lay_out(
    tx: Tx,
    blueprint: Blueprint,
    reservation: str,
    index: int,
    token: str | None,
    place_in: str | None,
) -> tuple[Row, list[Row], dict[str, Any]]:
    """Lay out an instance: its row, its interfaces' rows, and the pinned spec of its launch."""
    id = mint(tx, INSTANCE.prefix)
    attached = launch_interfaces.laid_out(tx, blueprint, id)
    primary = attached[0]
    row = Row(
        id,
        INSTANCE.name,
        blueprint.account,
        blueprint.region,
        "pending",
        Encoded(
            instance_document(blueprint, reservation, index, primary, id, token, place_in=place_in)
        ),
        tx.now,
        blueprint.zone,
        client_token=token,
    )
    spec = {
        "instance_type": blueprint.instance_type.name,
        "volumes": block_devices.mint_volumes(tx, blueprint.volumes),
        "interfaces": [interface.id for interface in attached],
    }
    return row, attached, spec


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
        rehearse=rehearse,
    ),
)
