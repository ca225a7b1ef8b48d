"""VPCs: made with their main route table, default ACL and default group, which end with them.

CreateVpc takes no client token: a repeat makes a second VPC, as EC2 has it.
"""

from __future__ import annotations

import ipaddress

from sametoken.ec2.kit.actions import Action, Change, Read
from sametoken.ec2.kit.nouns import Noun, Parents, describing, making
from sametoken.ec2.kit.parameters import parse_block
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.kit import quotas, rows
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import default_vpc, security_groups, vpcs
from sametoken.resources.network.vpcs import NETWORK_ACL, ROUTE_TABLE, SECURITY_GROUP, VPC
from sametoken.store.port import Tx

# Source: EC2 API reference, DescribeVpcs, "Filters".
VPC_FILTERS = {
    "cidr": "CidrBlock",
    "cidr-block-association.association-id": "CidrBlockAssociationSet[].AssociationId",
    "cidr-block-association.cidr-block": "CidrBlockAssociationSet[].CidrBlock",
    "cidr-block-association.state": "CidrBlockAssociationSet[].CidrBlockState.State",
    "dhcp-options-id": "DhcpOptionsId",
    "ipv6-cidr-block-association.association-id": "",
    "ipv6-cidr-block-association.ipv6-cidr-block": "",
    "ipv6-cidr-block-association.ipv6-pool": "",
    "ipv6-cidr-block-association.state": "",
    "is-default": "IsDefault",
    # Older spellings the API still takes.
    "isDefault": "IsDefault",
    "dhcpOptionsId": "DhcpOptionsId",
    "owner-id": "OwnerId",
    "state": "State",
    "vpc-id": "VpcId",
}
# "You can specify a block between /16 and /28", for VPCs as for subnets.
PREFIX_MIN, PREFIX_MAX = 16, 28
# Attribute of DescribeVpcAttribute -> the member that holds it, here and in results.
_ATTRIBUTES = {
    "enableDnsSupport": "EnableDnsSupport",
    "enableDnsHostnames": "EnableDnsHostnames",
    "enableNetworkAddressUsageMetrics": "EnableNetworkAddressUsageMetrics",
}


def canonical_block(block: str, code: str) -> str:
    """The IPv4 block with its host bits cleared, as EC2 stores it. `code` refuses its size."""
    try:
        network = parse_block(ipaddress.IPv4Network, block)
    except ValueError:
        raise refusals.invalid_value(
            "cidrBlock", block[:200], "This is not a valid CIDR block."
        ) from None
    if not PREFIX_MIN <= network.prefixlen <= PREFIX_MAX:
        raise ServiceError(code, f"The CIDR '{block}' is invalid.")
    return str(network)


def refuse_ipv6(request: Request, *flags: str) -> None:
    """Flags that many clients send as false; true asks for what is not served."""
    for flag in flags:
        if request.params.get(flag):
            raise refusals.unsupported(flag)


def _validate(request: Request) -> None:
    if "CidrBlock" not in request.params:
        raise refusals.missing_parameter("cidrBlock")
    canonical_block(request.params["CidrBlock"], "InvalidVpc.Range")
    refuse_ipv6(request, "AmazonProvidedIpv6CidrBlock")
    tenancy = request.params.get("InstanceTenancy", "default")
    if tenancy not in ("default", "dedicated"):
        raise refusals.invalid_value("instanceTenancy", tenancy, "Use default or dedicated.")


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    block = canonical_block(request.params["CidrBlock"], "InvalidVpc.Range")
    dhcp = vpcs.default_dhcp_options(tx, request.account, request.region)
    document = vpcs.vpc_document(tx, block, dhcp, is_default=False)
    return {**document, "InstanceTenancy": request.params.get("InstanceTenancy", "default")}


def _furnish(tx: Tx, vpc: Row) -> None:
    rows.link(tx, vpc.doc["DhcpOptionsId"], vpc.id)
    rows.insert(tx, vpcs.new_fixtures(tx, vpc))


VPCS = Noun(
    VPC,
    id="VpcId",
    one="Vpc",
    many="Vpcs",
    ids="VpcIds",
    filters=VPC_FILTERS,
    accepts={"CidrBlock": None, "InstanceTenancy": None, "AmazonProvidedIpv6CidrBlock": None},
    build=_build,
    shows=frozenset({"OwnerId", "State", "Tags"}),
    created=_furnish,
)


def get_vpc(tx: Tx, request: Request, *, lock: bool = False) -> Row:
    """The VPC that the request names."""
    ids = [request.params["VpcId"]]
    return rows.get(tx, VPC, request.account, request.region, ids, lock=lock)[0]


def delete_vpc(tx: Tx, request: Request) -> Document:
    """Remove a VPC and what was made with it. Refused while anything else stands in it."""
    vpc = get_vpc(tx, request, lock=True)
    standing = rows.children(tx, [vpc.id])[vpc.id]
    if not all(vpcs.is_fixture(row) for row in standing):
        raise ServiceError(
            "DependencyViolation", f"The vpc '{vpc.id}' has dependencies and cannot be deleted."
        )
    fixtures = rows.by_ids(tx, [row.id for row in standing], lock=True).values()
    kinds = {kind.name: kind for kind in (ROUTE_TABLE, NETWORK_ACL, SECURITY_GROUP)}
    for row in fixtures:
        if row.kind == SECURITY_GROUP.name:
            rules = security_groups.rules_of(tx, [row.id])[row.id]
            security_groups.remove_rules(tx, rules, cause=request.action)
        rows.change(tx, kinds[row.kind], row, state="deleted", cause=request.action)
    rows.change(tx, VPC, vpc, state="deleted", cause=request.action)
    return {}


def create_default_vpc(tx: Tx, request: Request) -> Document:
    """Bring back a default VPC that was deleted."""
    account, region = request.account, request.region
    found = default_vpc.find(tx, account, region)
    if found is not None:
        raise ServiceError(
            "DefaultVpcAlreadyExists",
            f"A Default VPC already exists for this account in this region ({found.id}).",
        )
    standing = rows.listing(tx, VPC, account, region)
    quotas.refuse_beyond(tx, VPC.name, account, region, len(standing) + 1)
    return {"Vpc": VPCS.shown(default_vpc.make(tx, account, region))}


def describe_vpc_attribute(tx: Tx, request: Request) -> Document:
    attribute = request.params["Attribute"]
    if attribute not in _ATTRIBUTES:
        raise refusals.invalid_value("attribute", attribute)
    vpc, member = get_vpc(tx, request), _ATTRIBUTES[attribute]
    return {"VpcId": vpc.id, member: {"Value": vpc.private[member]}}


def modify_vpc_attribute(tx: Tx, request: Request) -> Document:
    """Set one attribute; EC2 takes no two at once."""
    asked = [member for member in _ATTRIBUTES.values() if member in request.params]
    if len(asked) != 1:
        raise refusals.invalid_combination("Modify exactly one attribute of the VPC in a request")
    vpc = get_vpc(tx, request, lock=True)
    value = request.params[asked[0]].get("Value")
    if value is None:
        raise refusals.missing_parameter(f"{asked[0]}.Value")
    rows.change(tx, VPC, vpc, private={**vpc.private, asked[0]: value})
    return {}


ACTIONS: tuple[Action, ...] = (
    making(VPCS, "CreateVpc", validate=_validate),
    describing(VPCS, "DescribeVpcs"),
    Change("DeleteVpc", delete_vpc),
    Change("CreateDefaultVpc", create_default_vpc),
    Read("DescribeVpcAttribute", describe_vpc_attribute),
    Change("ModifyVpcAttribute", modify_vpc_attribute),
)
