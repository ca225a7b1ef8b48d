"""VPCs: made with their main route table, default ACL and default group, which end with them.

CreateVpc takes no client token: a repeat makes a second VPC, as in EC2.
"""

from __future__ import annotations

import ipaddress

from sametoken.ec2.kit.actions import Action, Change, Read
from sametoken.ec2.kit.nouns import Noun, Parents, named
from sametoken.ec2.kit.parameters import asked_block
from sametoken.ec2.kit.repeats import conflicts, same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating, deleting, describing
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.kit import listings, quotas, rows
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import default_vpc, vpcs
from sametoken.resources.network.vpcs import VPC
from sametoken.store.port import Tx

# Filters of DescribeVpcs whose names are not their paths.
VPC_PATHS = {
    "cidr": "CidrBlock",
    "cidr-block-association.state": "CidrBlockAssociationSet[].CidrBlockState.State",
    "ipv6-cidr-block-association.ipv6-cidr-block": "",
    "ipv6-cidr-block-association.ipv6-pool": "",
    "ipv6-cidr-block-association.association-id": "",
    "ipv6-cidr-block-association.state": "",
    # Spellings of subnets and older ones, which EC2 takes too (Ansible asks by cidr-block).
    "cidr-block": "CidrBlock",
    "cidrBlock": "CidrBlock",
    "isDefault": "IsDefault",
    "dhcpOptionsId": "DhcpOptionsId",
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
    """The IPv4 block with its host bits cleared, as EC2 stores it; `code` refuses its size."""
    network = asked_block("CidrBlock", ipaddress.IPv4Network, block)
    if not PREFIX_MIN <= network.prefixlen <= PREFIX_MAX:
        raise ServiceError(code, f"The CIDR '{block}' is invalid.")
    return str(network)


def refuse_ipv6(request: Request, *flags: str) -> None:
    """Refuse true for these flags; false, which many clients send, asks for nothing."""
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
    paths=VPC_PATHS,
    accepts={"CidrBlock": None, "InstanceTenancy": None, "AmazonProvidedIpv6CidrBlock": None},
    build=_build,
    created=_furnish,
)


def _made(row: Row) -> Document:
    """The result of a create, which alone shows lists that are empty."""
    return {"Vpc": {"Ipv6CidrBlockAssociationSet": [], "Tags": [], **VPCS.shown(row)}}


def get_vpc(tx: Tx, request: Request, *, lock: bool = False) -> Row:
    """Return the VPC that the request names."""
    return named(tx, request, VPC, "VpcId", lock=lock)


def create_default_vpc(tx: Tx, request: Request) -> Document:
    """Bring back a default VPC that was deleted."""
    account, region = request.account, request.region
    found = default_vpc.find(tx, account, region)
    if found is not None:
        raise ServiceError(
            "DefaultVpcAlreadyExists",
            f"A Default VPC already exists for this account in this region ({found.id}).",
        )
    standing = listings.every(tx, VPC, account, region)
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
    creating(VPCS, "CreateVpc", validate=_validate, result=_made),
    describing(VPCS),
    deleting(VPCS, "DeleteVpc"),
    Change(
        "CreateDefaultVpc", create_default_vpc, repeats=conflicts("DefaultVpcAlreadyExists", "ERR")
    ),
    Read("DescribeVpcAttribute", describe_vpc_attribute),
    Change("ModifyVpcAttribute", modify_vpc_attribute, repeats=same("DER")),
)
