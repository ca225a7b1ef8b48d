"""Route tables: their routes and their associations. A table never loses its local route."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from sametoken.ec2.kit.actions import Action, Change
from sametoken.ec2.kit.nouns import Noun, Parents, named
from sametoken.ec2.kit.parameters import asked_block
from sametoken.ec2.kit.repeats import conflicts, doubles, same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating, deleting, describing
from sametoken.ec2.network import prefix_lists, route_targets
from sametoken.ec2.network.prefix_lists import PREFIX_LIST
from sametoken.ec2.network.vpc_endpoints import ENDPOINT
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.idempotency import TokenGrammar
from sametoken.resources.kit import listings, quotas, rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import vpcs
from sametoken.resources.network.vpcs import ROUTE_TABLE, SUBNET, VPC
from sametoken.store.port import Tx

# The wordings that EC2 was seen to use for route tables and network ACLs.
MISMATCH = "Wrong arguments for request with token {token}"
DELETED = (
    "An error occurred (IdempotentParameterMismatch) when calling this operation: The client token "
    "and arguments used in this request were used in a prior request that was associated with a "
    "resource which is now deleted."
)
# Count a token of only blanks as no token, as EC2 does for these actions alone (captured).
GRAMMAR = TokenGrammar(blank_is_absent=True)

# The origin of a table's local route, which stays even when it gets another target.
_OF_THE_VPC = "CreateRouteTable"
_Network = type[ipaddress.IPv4Network] | type[ipaddress.IPv6Network]
_BLOCKS: Mapping[str, _Network] = {
    "DestinationCidrBlock": ipaddress.IPv4Network,
    "DestinationIpv6CidrBlock": ipaddress.IPv6Network,
}
_DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    vpc = parents["VpcId"]
    routes = vpcs.local_routes(vpc)
    return {"VpcId": vpc.id, "Routes": routes, "Associations": [], "PropagatingVgws": []}


ROUTE_TABLES = Noun(
    ROUTE_TABLE,
    parents={"VpcId": VPC},
    build=_build,
    joins=route_targets.shown,
)


def _refuse_associated(tx: Tx, row: Row) -> None:
    if row.doc["Associations"]:
        raise ServiceError(
            "DependencyViolation",
            f"The routeTable '{row.id}' has dependencies and cannot be deleted.",
        )


def create_route(tx: Tx, request: Request) -> Document:
    """Add a route. The same route again succeeds; another target for it is refused."""
    table = _table(tx, request)
    new = _asked_route(tx, request, table)
    existing = _route_to(table, new) or _endpoint_route(tx, table, new)
    if existing is not None and _target(existing) != _target(new):
        destination = _destination(new)
        raise ServiceError(
            "RouteAlreadyExists", f"The route identified by {destination} already exists."
        )
    if existing is None:
        _check_quota(tx, table, new)
        _set_routes(tx, table, [*table.doc["Routes"], new])
    return {"Return": True}


def _check_quota(tx: Tx, table: Row, new: Document) -> None:
    """Check the quota.

    "This quota is enforced separately for IPv4 routes and IPv6 routes" (VPC user guide).
    """
    [family] = [name for name in _DESTINATIONS if name in new]
    standing = [
        one for one in table.doc["Routes"] if family in one and one["Origin"] == "CreateRoute"
    ]
    quotas.refuse_beyond(tx, "route", table.account, table.region, len(standing) + 1)


def replace_route(tx: Tx, request: Request) -> Document:
    """Give an existing route another target; only the VPC's local route may become local again."""
    table = _table(tx, request)
    new = _asked_route(tx, request, table)
    existing = _route_to(table, new)
    if existing is None:
        raise _no_route(table, new)
    if request.params.get("LocalTarget") and existing["Origin"] != _OF_THE_VPC:
        raise refusals.invalid_value(
            "localTarget", "true", f"{_destination(new)} is not the local route."
        )
    kept = [one for one in table.doc["Routes"] if one != existing]
    _set_routes(tx, table, [*kept, {**new, "Origin": existing["Origin"]}])
    return {}


def delete_route(tx: Tx, request: Request) -> Document:
    table, unwanted = _table(tx, request), _asked_destination(request)
    existing = _route_to(table, unwanted)
    if _endpoint_route(tx, table, unwanted) is not None:
        raise ServiceError(
            "InvalidParameterValue",
            f"cannot remove VPC endpoint route {_destination(unwanted)} in route table {table.id}",
        )
    if existing is None:
        raise _no_route(table, unwanted)
    if existing["Origin"] == _OF_THE_VPC:
        raise refusals.invalid_value(
            "destinationCidrBlock", _destination(unwanted), "The local route cannot be removed."
        )
    _set_routes(tx, table, [one for one in table.doc["Routes"] if one != existing])
    return {}


def associate_route_table(tx: Tx, request: Request) -> Document:
    """Associate a subnet or a gateway with a table. A repeat returns the same association."""
    params = request.params
    if "PublicIpv4Pool" in params:
        raise refusals.unsupported("PublicIpv4Pool")
    if "SubnetId" in params and "GatewayId" in params:
        raise refusals.invalid_combination("Associate a subnet or a gateway, not both.")
    if "SubnetId" not in params and "GatewayId" not in params:
        raise refusals.missing_parameter("subnetId or gatewayId")
    table = _table(tx, request)
    member = "SubnetId" if "SubnetId" in params else "GatewayId"
    if member == "GatewayId":
        other_end = route_targets.gateway_of(tx, request, table.doc["VpcId"])
    else:
        other_end = rows.get(tx, SUBNET, *request.place, [params["SubnetId"]], lock=True)[0]
    standing = _standing_association(tx, table, member, other_end.id)
    if standing is not None:
        return _associated(standing)
    if member == "SubnetId" and other_end.doc["VpcId"] != table.doc["VpcId"]:
        raise refusals.invalid_value(
            "subnetId", other_end.id, f"It is not in {table.doc['VpcId']}."
        )
    made = {
        "Main": False,
        "RouteTableAssociationId": mint(tx, "rtbassoc"),
        "RouteTableId": table.id,
        member: other_end.id,
        "AssociationState": {"State": "associated"},
    }
    rows.change(tx, ROUTE_TABLE, table, Associations=[*table.doc["Associations"], made])
    return _associated(made)


def _standing_association(tx: Tx, table: Row, member: str, id: str) -> Document | None:
    """The association of what is named with this table; refused if it has one with another."""
    standing = listings.every(tx, ROUTE_TABLE, *table.place, parent=table.doc["VpcId"])
    for other in standing:
        for one in other.doc["Associations"]:
            if one.get(member) != id:
                continue
            if other.id != table.id:
                raise ServiceError(
                    "Resource.AlreadyAssociated",
                    f"the specified association for route table {other.id} conflicts with an "
                    "existing association",
                )
            found: Document = one
            return found
    return None


def _associated(one: Document) -> Document:
    return {
        "AssociationId": one["RouteTableAssociationId"],
        "AssociationState": {"State": "associated"},
    }


def disassociate_route_table(tx: Tx, request: Request) -> Document:
    table, association = _by_association(tx, request)
    if association["Main"]:
        raise refusals.invalid_value(
            "associationId", request.params["AssociationId"], "The main association stays."
        )
    _drop_association(tx, table, association)
    return {}


def replace_route_table_association(tx: Tx, request: Request) -> Document:
    """Move an association, the main one too, to another table of the VPC: a new association."""
    old, association = _by_association(tx, request)
    new = _table(tx, request)
    if new.doc["VpcId"] != old.doc["VpcId"]:
        raise refusals.invalid_value("routeTableId", new.id, f"It is not in {old.doc['VpcId']}.")
    if new.id == old.id:
        return {"NewAssociationId": association["RouteTableAssociationId"]}
    _drop_association(tx, old, association)
    moved = {
        **association,
        "RouteTableAssociationId": mint(tx, "rtbassoc"),
        "RouteTableId": new.id,
    }
    rows.change(tx, ROUTE_TABLE, new, Associations=[*new.doc["Associations"], moved])
    return {
        "NewAssociationId": moved["RouteTableAssociationId"],
        "AssociationState": {"State": "associated"},
    }


def _by_association(tx: Tx, request: Request) -> tuple[Row, dict[str, Any]]:
    id = request.params["AssociationId"]
    for row in listings.every(tx, ROUTE_TABLE, request.account, request.region):
        for one in row.doc["Associations"]:
            if one["RouteTableAssociationId"] == id:
                return rows.by_ids(tx, [row.id], lock=True)[row.id], one
    raise ServiceError(
        "InvalidAssociationID.NotFound", f"The association ID '{id[:200]}' does not exist"
    )


def _drop_association(tx: Tx, table: Row, association: Document) -> None:
    kept = [one for one in table.doc["Associations"] if one != association]
    rows.change(tx, ROUTE_TABLE, table, Associations=kept)


def _table(tx: Tx, request: Request) -> Row:
    return named(tx, request, ROUTE_TABLE, "RouteTableId", lock=True)


def _set_routes(tx: Tx, table: Row, routes: list[Document]) -> None:
    rows.change(tx, ROUTE_TABLE, table, Routes=routes)


def _asked_destination(request: Request) -> Document:
    given = {name: request.params[name] for name in _DESTINATIONS if name in request.params}
    if len(given) != 1:
        raise refusals.invalid_combination("Name exactly one destination of the route")
    for name, network in _BLOCKS.items():
        if name in given:
            given[name] = str(asked_block(name, network, given[name]))
    return given


def _asked_route(tx: Tx, request: Request, table: Row) -> Document:
    """The route asked for: its destination, and its target, which exists."""
    destination = _asked_destination(request)
    if "DestinationPrefixListId" in destination:
        id = destination["DestinationPrefixListId"]
        PREFIX_LIST.check_id(id)
        if not prefix_lists.is_known(tx, request.account, request.region, id):
            raise PREFIX_LIST.not_found([id])
    target = route_targets.asked(tx, request, table.doc["VpcId"])
    return {**destination, **target, "Origin": "CreateRoute", "State": "active"}


def _destination(route: Document) -> str:
    return str(next(route[name] for name in _DESTINATIONS if name in route))


def _target(route: Document) -> str:
    return str(next(route[name] for name in route_targets.MEMBERS if name in route))


def _route_to(table: Row, wanted: Document) -> Document | None:
    routes: list[Document] = table.doc["Routes"]
    same = (one for one in routes if _destination(one) == _destination(wanted))
    return next(same, None)


def _endpoint_route(tx: Tx, table: Row, wanted: Document) -> Document | None:
    """The route to the same destination that a gateway endpoint makes."""
    vpc = table.doc["VpcId"]
    made = route_targets.routes_to(table, rows.children(tx, [vpc], ENDPOINT)[vpc])
    return next((one for one in made if _destination(one) == _destination(wanted)), None)


def _no_route(table: Row, wanted: Document) -> ServiceError:
    return ServiceError(
        "InvalidRoute.NotFound",
        f"no route with destination-cidr-block {_destination(wanted)} in route table {table.id}",
    )


ACTIONS: tuple[Action, ...] = (
    creating(
        ROUTE_TABLES,
        "CreateRouteTable",
        mismatch=MISMATCH,
        deleted=DELETED,
        grammar=GRAMMAR,
        repeats=doubles("NAT"),
    ),
    describing(ROUTE_TABLES),
    deleting(ROUTE_TABLES, "DeleteRouteTable", check=_refuse_associated),
    Change("CreateRoute", create_route, repeats=same("NAT")),
    Change("ReplaceRoute", replace_route, repeats=same("DER")),
    Change("DeleteRoute", delete_route, repeats=conflicts("InvalidRoute.NotFound", "MEM")),
    Change("AssociateRouteTable", associate_route_table, repeats=same("MEM")),
    Change(
        "DisassociateRouteTable",
        disassociate_route_table,
        repeats=conflicts("InvalidAssociationID.NotFound", "ERR"),
    ),
    Change(
        "ReplaceRouteTableAssociation",
        replace_route_table_association,
        repeats=conflicts("InvalidAssociationID.NotFound", "ERR"),
    ),
)
