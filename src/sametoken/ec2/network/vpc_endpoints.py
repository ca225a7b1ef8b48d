"""VPC endpoints: gateways in route tables, and interfaces in subnets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from sametoken.ec2.kit.actions import Action, Change
from sametoken.ec2.kit.nouns import Noun, Parents, named, shown_members
from sametoken.ec2.kit.parameters import refuse_unsupported
from sametoken.ec2.kit.repeats import conflicts, doubles, same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating, describing
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.kit import endings, rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.kinds import Kind, Quota
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import interfaces, vpcs
from sametoken.resources.network.interfaces import INTERFACE
from sametoken.resources.network.vpcs import ROUTE_TABLE, SECURITY_GROUP, SUBNET, VPC
from sametoken.store.port import Tx

# EC2 counts gateway endpoints by Region, others by VPC: here each VPC has its own count.
ENDPOINT = Kind(
    "vpc-endpoint",
    "vpce",
    "InvalidVpcEndpointId",
    "VPC endpoint",
    quota=Quota(50, "VpcEndpointLimitExceeded", per="VpcId"),
)
# Filters of DescribeVpcEndpoints whose names are not their paths.
PATHS = {
    "vpc-endpoint-state": "State",
}
# The policy of an endpoint whose caller gives none: it lets everything pass.
FULL_ACCESS = json.dumps(
    {
        "Version": "2008-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}],
    }
)
_GATEWAY, _INTERFACE = "Gateway", "Interface"


def _validate(request: Request) -> None:
    params = request.params
    kind = params.get("VpcEndpointType", _GATEWAY)
    if kind not in (_GATEWAY, _INTERFACE):
        raise refusals.unsupported(f"VpcEndpointType={kind}")
    if "ServiceName" not in params:
        raise refusals.missing_parameter("ServiceName")
    strange = ("SubnetIds", "SecurityGroupIds") if kind == _GATEWAY else ("RouteTableIds",)
    for name in strange:
        if name in params:
            raise refusals.invalid_combination(f"{name} is not for endpoints of type {kind}")
    policy = params.get("PolicyDocument")
    if policy is not None:
        _check_policy(policy)


def _check_policy(policy: str) -> None:
    try:
        json.loads(policy)
    except ValueError:
        raise ServiceError(
            "InvalidPolicyDocument", "The policy document is not valid JSON."
        ) from None


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    params = request.params
    vpc = parents["VpcId"]
    tables = _of_vpc(tx, request, ROUTE_TABLE, params.get("RouteTableIds", []), vpc)
    subnets = _of_vpc(tx, request, SUBNET, params.get("SubnetIds", []), vpc)
    groups = _of_vpc(tx, request, SECURITY_GROUP, params.get("SecurityGroupIds", []), vpc)
    kind = params.get("VpcEndpointType", _GATEWAY)
    if kind == _INTERFACE and not groups:
        groups = [vpcs.default_group(tx, request.account, request.region, vpc.id)]
    document: Document = {
        "VpcId": vpc.id,
        "VpcEndpointType": kind,
        "ServiceName": params["ServiceName"],
        "PolicyDocument": params.get("PolicyDocument", FULL_ACCESS),
        "RouteTableIds": [row.id for row in tables],
        "SubnetIds": [row.id for row in subnets],
        "Groups": [{"GroupId": row.id, "GroupName": row.doc["GroupName"]} for row in groups],
        "IpAddressType": params.get("IpAddressType", "ipv4"),
        "PrivateDnsEnabled": params.get("PrivateDnsEnabled", kind == _INTERFACE),
        "RequesterManaged": False,
        "NetworkInterfaceIds": [],
        "DnsEntries": [],
        **({"DnsOptions": {"DnsRecordIpType": "ipv4"}} if kind == _INTERFACE else {}),
        "ServiceRegion": request.region,
    }
    _refuse_conflict(tx, document)
    return document


def _refuse_conflict(tx: Tx, wanted: Document, *, but: str = "") -> None:
    """Refuse a second endpoint for one service in a route table, or with the same private names.

    `but` is the endpoint itself, when it exists. Wordings as seen in eksctl's and Terraform's
    issues.
    """
    # Lock the VPC, so that of two such endpoints asked for at once the second sees the first.
    vpc = rows.by_ids(tx, [wanted["VpcId"]], lock=True)[wanted["VpcId"]].id
    for other in rows.children(tx, [vpc], ENDPOINT)[vpc]:
        if other.id == but or other.doc["ServiceName"] != wanted["ServiceName"]:
            continue
        for table in wanted["RouteTableIds"]:
            if table in other.doc["RouteTableIds"]:
                raise ServiceError(
                    "RouteAlreadyExists",
                    f"route table {table} already has a route to the prefix list of "
                    f"{wanted['ServiceName']}",
                )
        if wanted["PrivateDnsEnabled"] and other.doc["PrivateDnsEnabled"]:
            domain = ".".join(reversed(wanted["ServiceName"].split(".")))
            raise ServiceError(
                "InvalidParameter",
                "private-dns-enabled cannot be set because there is already a conflicting DNS "
                f"domain for {domain} in the VPC {vpc}",
            )


def _of_vpc(tx: Tx, request: Request, kind: Kind, ids: Sequence[str], vpc: Row) -> list[Row]:
    found = rows.get(tx, kind, request.account, request.region, ids) if ids else []
    for row in found:
        if row.doc["VpcId"] != vpc.id:
            raise refusals.invalid_value(kind.noun, row.id, f"It is not in {vpc.id}.")
    return found


def _furnish(tx: Tx, row: Row) -> None:
    """Make an interface in each subnet that the request names."""
    subnets = rows.by_ids(tx, row.doc["SubnetIds"])
    ids = _new_interfaces(tx, row, list(subnets.values()))
    if row.doc["VpcEndpointType"] == _INTERFACE:
        zones = sorted({subnet.zone for subnet in subnets.values()})
        entries = _dns_entries(row, zones, private=row.doc["PrivateDnsEnabled"])
        rows.change(tx, ENDPOINT, row, NetworkInterfaceIds=ids, DnsEntries=entries)


def _new_interfaces(tx: Tx, row: Row, subnets: Sequence[Row]) -> list[str]:
    """Make an interface of the endpoint in each subnet; return their ids."""
    ids = []
    groups = rows.by_ids(tx, [group["GroupId"] for group in row.doc["Groups"]])
    for subnet in subnets:
        interface = interfaces.plan_row(
            tx,
            id=mint(tx, INTERFACE.prefix),
            account=row.account,
            region=row.region,
            subnet=subnet,
            groups=list(groups.values()),
            address=None,
            instance=None,
            spec={
                "Description": f"VPC Endpoint Interface {row.id}",
                "InterfaceType": "vpc_endpoint",
            },
        )
        rows.insert(tx, [interface])
        ids.append(interface.id)
    return ids


def _dns_entries(row: Row, zones: Sequence[str], *, private: bool) -> list[Document]:
    """The names of an interface endpoint: its own, one in each zone, and the service's private one.

    Source: answers of EC2; the word after the id and the ids of hosted zones are made up.
    """
    service = row.doc["ServiceName"].removeprefix("com.amazonaws.").removeprefix(f"{row.region}.")
    word = row.id[-8:]
    own = f"{row.id}-{word}"
    within = f"{service.removeprefix('vpce.')}.{row.region}.vpce.amazonaws.com"
    if service.startswith("vpce."):
        within = f"{service.rpartition('.')[2]}.{row.region}.vpce.amazonaws.com"
    names = [f"{own}.{within}", *(f"{own}-{zone}.{within}" for zone in zones)]
    entries: list[Document] = [
        {"DnsName": name, "HostedZoneId": _hosted_zone(row.region)} for name in names
    ]
    if private:
        mine = {"DnsName": f"{service}.{row.region}.amazonaws.com"}
        entries.append({**mine, "HostedZoneId": _hosted_zone(row.id)})
    return entries


def _hosted_zone(of: str) -> str:
    return f"Z{hashlib.sha256(of.encode()).hexdigest()[:13].upper()}"


def show(row: Row) -> Document:
    """EC2's VpcEndpoint."""
    return {
        **shown_members(row),
        "VpcEndpointId": row.id,
        "OwnerId": row.account,
        "State": row.state,
        "CreationTimestamp": row.created_at,
    }


ENDPOINTS = Noun(
    ENDPOINT,
    paths=PATHS,
    parents={"VpcId": VPC},
    accepts=dict.fromkeys(
        (
            "IpAddressType", "PolicyDocument", "PrivateDnsEnabled", "RouteTableIds",
            "SecurityGroupIds", "ServiceName", "SubnetIds", "VpcEndpointType",
        )
    ),
    build=_build,
    show=show,
    created=_furnish,
)  # fmt: skip


def delete(tx: Tx, request: Request) -> Document:
    """Delete endpoints with their interfaces; return ids that do not exist as unsuccessful."""
    missing: list[Document] = []
    for id in request.params["VpcEndpointIds"]:
        row = rows.find_living(tx, ENDPOINT, request.account, request.region, id, lock=True)
        if row is None:
            refused = ENDPOINT.not_found([id[:200]])
            missing.append(
                {"ResourceId": id, "Error": {"Code": refused.code, "Message": refused.message}}
            )
            continue
        for interface in rows.by_ids(tx, row.doc["NetworkInterfaceIds"], lock=True).values():
            interfaces.delete(tx, interface, cause="its endpoint is deleted")
        endings.end(tx, ENDPOINT, row, cause="DeleteVpcEndpoints")
    return {"Unsuccessful": missing}


_CHANGED_WITH = (
    "AddRouteTableIds", "AddSecurityGroupIds", "AddSubnetIds", "DryRun", "PolicyDocument",
    "PrivateDnsEnabled", "RemoveRouteTableIds", "RemoveSecurityGroupIds", "RemoveSubnetIds",
    "ResetPolicy", "VpcEndpointId",
)  # fmt: skip


def _validate_change(request: Request) -> None:
    refuse_unsupported("", request.params, dict.fromkeys(_CHANGED_WITH))


def modify(tx: Tx, request: Request) -> Document:
    """Change the policy, the route tables, the subnets or the groups of an endpoint."""
    params = request.params
    row = named(tx, request, ENDPOINT, "VpcEndpointId", lock=True)
    vpc = rows.by_ids(tx, [row.doc["VpcId"]])[row.doc["VpcId"]]
    row = _resubnet(tx, request, row, vpc)
    changes: Document = {}
    if params.get("ResetPolicy"):
        changes["PolicyDocument"] = FULL_ACCESS
    if "PolicyDocument" in params:
        _check_policy(params["PolicyDocument"])
        changes["PolicyDocument"] = params["PolicyDocument"]
    if "PrivateDnsEnabled" in params and row.doc["VpcEndpointType"] == _INTERFACE:
        private = params["PrivateDnsEnabled"]
        zones = sorted({one.zone for one in rows.by_ids(tx, row.doc["SubnetIds"]).values()})
        changes["PrivateDnsEnabled"] = private
        changes["DnsEntries"] = _dns_entries(row, zones, private=private)
    added = _of_vpc(tx, request, ROUTE_TABLE, params.get("AddRouteTableIds", []), vpc)
    removed = set(params.get("RemoveRouteTableIds", []))
    kept = [id for id in row.doc["RouteTableIds"] if id not in removed]
    changes["RouteTableIds"] = list(dict.fromkeys([*kept, *(table.id for table in added)]))
    joined = _of_vpc(tx, request, SECURITY_GROUP, params.get("AddSecurityGroupIds", []), vpc)
    left = set(params.get("RemoveSecurityGroupIds", []))
    groups = [group for group in row.doc["Groups"] if group["GroupId"] not in left]
    groups += [
        {"GroupId": group.id, "GroupName": group.doc["GroupName"]}
        for group in joined
        if group.id not in {one["GroupId"] for one in groups}
    ]
    _refuse_conflict(tx, {**row.doc, **changes}, but=row.id)
    if groups != row.doc["Groups"]:
        for interface in rows.by_ids(tx, row.doc["NetworkInterfaceIds"], lock=True).values():
            interfaces.set_groups(tx, interface, groups)
    rows.change(tx, ENDPOINT, row, **changes, Groups=groups)
    return {"Return": True}


def _resubnet(tx: Tx, request: Request, row: Row, vpc: Row) -> Row:
    """Move an interface endpoint into other subnets, with an interface in each of them."""
    params = request.params
    if "AddSubnetIds" not in params and "RemoveSubnetIds" not in params:
        return row
    if row.doc["VpcEndpointType"] != _INTERFACE:
        raise refusals.invalid_combination("Subnets are not for endpoints of type Gateway")
    joined = _of_vpc(tx, request, SUBNET, params.get("AddSubnetIds", []), vpc)
    left = set(params.get("RemoveSubnetIds", []))
    standing = rows.by_ids(tx, row.doc["NetworkInterfaceIds"], lock=True).values()
    kept = {one.doc["SubnetId"]: one.id for one in standing if one.doc["SubnetId"] not in left}
    for one in standing:
        if one.id not in kept.values():
            interfaces.delete(tx, one, cause="its endpoint left the subnet")
    new = [subnet for subnet in joined if subnet.id not in kept]
    ids = [*kept.values(), *_new_interfaces(tx, row, new)]
    subnets = [*kept, *(subnet.id for subnet in new)]
    zones = sorted({one.zone for one in rows.by_ids(tx, subnets).values()})
    entries = _dns_entries(row, zones, private=row.doc["PrivateDnsEnabled"])
    return rows.change(
        tx, ENDPOINT, row, SubnetIds=subnets, NetworkInterfaceIds=ids, DnsEntries=entries
    )


ACTIONS: tuple[Action, ...] = (
    creating(
        ENDPOINTS,
        "CreateVpcEndpoint",
        sets=frozenset({"RouteTableIds", "SubnetIds", "SecurityGroupIds"}),
        validate=_validate,
        repeats=doubles("DER")
        + conflicts("RouteAlreadyExists", "FLD", way="in the same route table")
        + conflicts("InvalidParameter", "FLD", way="with private names"),
    ),
    describing(ENDPOINTS),
    Change("ModifyVpcEndpoint", modify, validate=_validate_change, repeats=same("DER")),
    Change("DeleteVpcEndpoints", delete, repeats=conflicts("InvalidVpcEndpointId.NotFound", "MEM")),
)
