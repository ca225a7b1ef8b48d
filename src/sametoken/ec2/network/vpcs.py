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
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import cidr_blocks, default_vpc, ipv6_pool, vpcs
from sametoken.resources.network.cidr_blocks import IPV6
from sametoken.resources.network.vpcs import VPC
from sametoken.store.port import Tx

# Filters of DescribeVpcs whose names are not their paths.
VPC_PATHS = {
    "cidr": "CidrBlock",
    "cidr-block-association.state": "CidrBlockAssociationSet[].CidrBlockState.State",
    "ipv6-cidr-block-association.state": "Ipv6CidrBlockAssociationSet[].Ipv6CidrBlockState.State",
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


def _validate(request: Request) -> None:
    if "CidrBlock" not in request.params:
        raise refusals.missing_parameter("cidrBlock")
    canonical_block(request.params["CidrBlock"], "InvalidVpc.Range")
    check_border_group(request)
    tenancy = request.params.get("InstanceTenancy", "default")
    if tenancy not in ("default", "dedicated"):
        raise refusals.invalid_value("instanceTenancy", tenancy, "Use default or dedicated.")


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    block = canonical_block(request.params["CidrBlock"], "InvalidVpc.Range")
    dhcp = vpcs.default_dhcp_options(tx, request.account, request.region)
    document = vpcs.vpc_document(tx, block, dhcp, is_default=False)
    if request.params.get("AmazonProvidedIpv6CidrBlock"):
        document[IPV6] = [amazons_block(tx, request.region)]
    return {**document, "InstanceTenancy": request.params.get("InstanceTenancy", "default")}


def check_border_group(request: Request) -> None:
    """Refuse a network border group other than the Region's own: there are no Local Zones here."""
    group = request.params.get("Ipv6CidrBlockNetworkBorderGroup", request.region)
    if group != request.region:
        raise refusals.invalid_value(
            "ipv6CidrBlockNetworkBorderGroup", group, f"Use {request.region}."
        )


def amazons_block(tx: Tx, region: str) -> Document:
    """The association of a new VPC with an IPv6 block of Amazon's, which it holds from now on."""
    id = mint(tx, cidr_blocks.OF_VPC)
    made = cidr_blocks.associated(id, IPV6, ipv6_pool.hold(tx, id))
    return {**made, "NetworkBorderGroup": region, "Ipv6Pool": "Amazon"}


def awaited(one: Document) -> Document:
    """An association with a block of Amazon's while it is made, as EC2 shows it first."""
    return {**cidr_blocks.with_state(one, IPV6, "associating"), "Ipv6CidrBlock": ""}


def _give_back(tx: Tx, vpc: Row) -> None:
    for one in cidr_blocks.listed(vpc, IPV6):
        ipv6_pool.free(tx, one["AssociationId"])


def _furnish(tx: Tx, vpc: Row) -> None:
    rows.link(tx, vpc.doc["DhcpOptionsId"], vpc.id)
    rows.insert(tx, vpcs.new_fixtures(tx, vpc))


VPCS = Noun(
    VPC,
    paths=VPC_PATHS,
    accepts=dict.fromkeys(
        (
            "CidrBlock", "InstanceTenancy", "AmazonProvidedIpv6CidrBlock",
            "Ipv6CidrBlockNetworkBorderGroup",
        )
    ),
    build=_build,
    created=_furnish,
)  # fmt: skip


def _made(tx: Tx, row: Row) -> Document:
    """The result of a create, which alone shows lists that are empty.

    A block of Amazon's is not told before it is associated.
    """
    coming = [awaited(one) for one in cidr_blocks.listed(row, IPV6)]
    return {"Vpc": {"Tags": [], **VPCS.shown(row), IPV6: coming}}


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
    deleting(VPCS, "DeleteVpc", follow=_give_back),
    Change(
        "CreateDefaultVpc", create_default_vpc, repeats=conflicts("DefaultVpcAlreadyExists", "ERR")
    ),
    Read("DescribeVpcAttribute", describe_vpc_attribute),
    Change("ModifyVpcAttribute", modify_vpc_attribute, repeats=same("DER")),
)
