"""The targets of routes: checked when a route is made, and looked at when it is shown.

A target must exist where the table's VPC can reach it. A route keeps the id of its target and no
state: whether it is `active` or a `blackhole`, and which instance an interface belongs to, is read
from the targets whenever the route is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sametoken.ec2.kit.request import Request
from sametoken.ec2.network.vpc_endpoints import ENDPOINT
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.catalogues import prefix_lists
from sametoken.resources.compute.instances import INSTANCE, InstanceState
from sametoken.resources.gateways import vpn
from sametoken.resources.gateways.nat_gateways import NAT_GATEWAY
from sametoken.resources.gateways.vpn import VPN_GATEWAY
from sametoken.resources.kit import kinds, rows
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import interfaces
from sametoken.resources.network.interfaces import INTERFACE
from sametoken.resources.network.vpcs import INTERNET_GATEWAY
from sametoken.store.port import Tx

LOCAL = "local"


@dataclass(frozen=True, slots=True)
class _Target:
    """A parameter that names a target: the kinds it may be of, and EC2's code for a missing one.

    `kinds` is empty for targets that do not exist here, so none is ever found.
    """

    code: str
    noun: str
    kinds: tuple[str, ...] = ()


# Targets by parameter. Source of the codes: "Error codes for the Amazon EC2 API" and, for gateways,
# answers seen.
_TARGETS: Mapping[str, _Target] = {
    "GatewayId": _Target("InvalidGatewayID", "gateway", (INTERNET_GATEWAY.name, VPN_GATEWAY.name)),
    "NatGatewayId": _Target("InvalidNatGatewayID", "natGateway", (NAT_GATEWAY.name,)),
    "InstanceId": _Target("InvalidInstanceID", "instance", (INSTANCE.name,)),
    "NetworkInterfaceId": _Target(
        "InvalidNetworkInterfaceID", "networkInterface", (INTERFACE.name,)
    ),
    "EgressOnlyInternetGatewayId": _Target(
        "InvalidGatewayID", "gateway", ("egress-only-internet-gateway",)
    ),
    "CarrierGatewayId": _Target("InvalidCarrierGatewayID", "carrierGateway", ("carrier-gateway",)),
    "VpcEndpointId": _Target("InvalidVpcEndpointId", "vpcEndpoint", (ENDPOINT.name,)),
    "TransitGatewayId": _Target("InvalidTransitGatewayID", "transitGateway"),
    "VpcPeeringConnectionId": _Target("InvalidVpcPeeringConnectionID", "vpcPeeringConnection"),
}
# EC2's targets that are unsupported here.
_UNSUPPORTED = ("LocalGatewayId", "CoreNetworkArn", "OdbNetworkArn")
# MEMBERS are those of a stored route that can name its target; each route has exactly one.
MEMBERS = tuple(name for name in _TARGETS if name not in ("InstanceId", "VpcEndpointId"))
_DEAD = frozenset({"failed", "deleting", "deleted"})


def asked(tx: Tx, request: Request, vpc: str) -> Document:
    """The checked member of a route that names the request's target. `vpc` is the table's."""
    params = request.params
    for name in _UNSUPPORTED:
        if name in params:
            raise refusals.unsupported(name)
    given = [name for name in _TARGETS if name in params]
    if params.get("LocalTarget"):
        given.append("LocalTarget")
    if len(given) != 1:
        raise refusals.invalid_combination("Name exactly one target of the route")
    [name] = given
    if name == "LocalTarget":
        return {"GatewayId": LOCAL}
    row = _find(tx, request, name)
    if row.kind == ENDPOINT.name:
        raise ServiceError(
            "InvalidVpcEndpointType",
            f"Routes lead to Gateway Load Balancer endpoints; {row.id} is a "
            f"{row.doc['VpcEndpointType']} endpoint.",
        )
    if vpc not in _networks(row):
        # EC2 was seen to say "network gateway" here, for internet gateways.
        noun = {"gateway": "network gateway"}.get(_TARGETS[name].noun, _TARGETS[name].noun)
        raise ServiceError(
            "InvalidParameterValue",
            f"route table {params['RouteTableId']} and {noun} {row.id} belong to different "
            "networks",
        )
    if row.kind == INSTANCE.name:
        return {"NetworkInterfaceId": interfaces.only_attached_to(tx, row.id).id}
    return {name: row.id}


def gateway_of(tx: Tx, request: Request, vpc: str) -> Row:
    """The gateway that the request names, which must be attached to the VPC."""
    row = _find(tx, request, "GatewayId")
    if vpc not in _networks(row):
        raise ServiceError(
            "Gateway.NotAttached", f"resource {row.id} is not attached to network {vpc}"
        )
    return row


def _find(tx: Tx, request: Request, name: str) -> Row:
    id, target = request.params[name], _TARGETS[name]
    row = rows.find(tx, id)
    owner = (request.account, request.region)
    is_there = row is not None and row.gone_at is None and (row.account, row.region) == owner
    if row is None or not is_there or row.kind not in target.kinds or row.state in _DEAD:
        raise kinds.not_found(target.code, target.noun, id[:200])
    return row


def _networks(row: Row) -> list[str]:
    """The VPCs that a target stands in, or is attached to."""
    if row.kind == VPN_GATEWAY.name:
        return [one for one in [vpn.attached_vpc(row)] if one is not None]
    if "Attachments" in row.doc:
        return [one["VpcId"] for one in row.doc["Attachments"]]
    return [row.doc["VpcId"]]


def shown(tx: Tx, tables: Sequence[Row]) -> list[Document]:
    """Return the routes of each table as they are now, with those that gateway endpoints make."""
    endpoints = rows.children(tx, sorted({table.doc["VpcId"] for table in tables}), ENDPOINT)
    found = rows.by_ids(tx, {id for table in tables for id in _named(table)})
    held = (_holder(row) for row in found.values())
    instances = rows.by_ids(tx, {id for id in held if id is not None})
    return [
        {
            "Routes": [
                *(
                    _shown_route(route, table.doc["VpcId"], found, instances)
                    for route in table.doc["Routes"]
                ),
                *routes_to(table, endpoints[table.doc["VpcId"]]),
            ]
        }
        for table in tables
    ]


def routes_to(table: Row, endpoints: Sequence[Row]) -> Iterator[Document]:
    """Yield the routes of a table that gateway endpoints make: they are theirs, not the table's."""
    for endpoint in endpoints:
        listed = prefix_lists.of_service(table.region, endpoint.doc["ServiceName"])
        if listed is not None and table.id in endpoint.doc["RouteTableIds"]:
            yield {
                "DestinationPrefixListId": listed.id,
                "GatewayId": endpoint.id,
                "Origin": "CreateRoute",
                "State": "active",
            }


def _named(table: Row) -> Iterator[str]:
    for route in table.doc["Routes"]:
        yield from (route[name] for name in MEMBERS if route.get(name, LOCAL) != LOCAL)


def _holder(row: Row) -> str | None:
    """The instance that an interface is attached to."""
    attachment = row.doc.get("Attachment") if row.kind == INTERFACE.name else None
    return None if attachment is None else attachment.get("InstanceId")


def _shown_route(
    route: Document, vpc: str, found: Mapping[str, Row], instances: Mapping[str, Row]
) -> Document:
    id = next(route[name] for name in MEMBERS if name in route)
    if id == LOCAL:
        return {**route, "State": "active"}
    row = found.get(id)
    if row is None or row.gone_at is not None:
        return {**route, "State": "blackhole"}
    instance = instances.get(_holder(row) or "")
    more: Document = (
        {} if instance is None else {"InstanceId": instance.id, "InstanceOwnerId": row.account}
    )
    leads = row.state not in _DEAD and vpc in _networks(row) and _forwards(row, instance)
    return {**route, **more, "State": "active" if leads else "blackhole"}


def _forwards(row: Row, instance: Row | None) -> bool:
    """True when the target passes traffic on; an interface does so only in a running instance."""
    if row.kind != INTERFACE.name or row.doc["InterfaceType"] != "interface":
        return True
    return instance is not None and instance.state in (
        InstanceState.PENDING, InstanceState.RUNNING,
    )  # fmt: skip
