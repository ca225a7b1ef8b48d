"""VPC-side resources as EC2 shows them."""

from __future__ import annotations

from sametoken.ec2.operations.describing import describe
from sametoken.ec2.request import Document, Request
from sametoken.resources import addresses, vpcs
from sametoken.resources.rows import Row
from sametoken.store.port import Tx

# Sources: EC2 API reference, "Filters" of DescribeVpcs, DescribeSubnets, DescribeSecurityGroups,
# DescribeRouteTables and DescribeNetworkAcls.
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
SUBNET_FILTERS = {
    "availability-zone": "AvailabilityZone",
    "availabilityZone": "AvailabilityZone",
    "availability-zone-id": "AvailabilityZoneId",
    "availabilityZoneId": "AvailabilityZoneId",
    "available-ip-address-count": "AvailableIpAddressCount",
    "cidr-block": "CidrBlock",
    "cidr": "CidrBlock",
    "cidrBlock": "CidrBlock",
    "customer-owned-ipv4-pool": "",
    "default-for-az": "DefaultForAz",
    "defaultForAz": "DefaultForAz",
    "enable-dns64": "EnableDns64",
    "enable-lni-at-device-index": "",
    "ipv6-cidr-block-association.association-id": "",
    "ipv6-cidr-block-association.ipv6-cidr-block": "",
    "ipv6-cidr-block-association.state": "",
    "ipv6-native": "Ipv6Native",
    "map-customer-owned-ip-on-launch": "MapCustomerOwnedIpOnLaunch",
    "map-public-ip-on-launch": "MapPublicIpOnLaunch",
    "outpost-arn": "",
    "owner-id": "OwnerId",
    "private-dns-name-options-on-launch.enable-resource-name-dns-a-record": (
        "PrivateDnsNameOptionsOnLaunch.EnableResourceNameDnsARecord"
    ),
    "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record": (
        "PrivateDnsNameOptionsOnLaunch.EnableResourceNameDnsAAAARecord"
    ),
    "private-dns-name-options-on-launch.hostname-type": (
        "PrivateDnsNameOptionsOnLaunch.HostnameType"
    ),
    "state": "State",
    "subnet-arn": "SubnetArn",
    "subnet-id": "SubnetId",
    "vpc-id": "VpcId",
}
_PERMISSION = {
    "cidr": "IpRanges[].CidrIp",
    "from-port": "FromPort",
    "group-id": "UserIdGroupPairs[].GroupId",
    "group-name": "UserIdGroupPairs[].GroupName",
    "ipv6-cidr": "Ipv6Ranges[].CidrIpv6",
    "prefix-list-id": "PrefixListIds[].PrefixListId",
    "protocol": "IpProtocol",
    "to-port": "ToPort",
    "user-id": "UserIdGroupPairs[].UserId",
}
SECURITY_GROUP_FILTERS = {
    "description": "Description",
    **{f"egress.ip-permission.{name}": f"IpPermissionsEgress[].{path}"
       for name, path in _PERMISSION.items()},
    "group-id": "GroupId",
    "group-name": "GroupName",
    **{f"ip-permission.{name}": f"IpPermissions[].{path}" for name, path in _PERMISSION.items()},
    "owner-id": "OwnerId",
    "vpc-id": "VpcId",
}  # fmt: skip
ROUTE_TABLE_FILTERS = {
    "association.gateway-id": "Associations[].GatewayId",
    "association.main": "Associations[].Main",
    "association.route-table-association-id": "Associations[].RouteTableAssociationId",
    "association.route-table-id": "Associations[].RouteTableId",
    "association.subnet-id": "Associations[].SubnetId",
    "owner-id": "OwnerId",
    "route-table-id": "RouteTableId",
    "route.destination-cidr-block": "Routes[].DestinationCidrBlock",
    "route.destination-ipv6-cidr-block": "",
    "route.destination-prefix-list-id": "",
    "route.egress-only-internet-gateway-id": "",
    "route.gateway-id": "Routes[].GatewayId",
    "route.instance-id": "Routes[].InstanceId",
    "route.nat-gateway-id": "Routes[].NatGatewayId",
    "route.origin": "Routes[].Origin",
    "route.state": "Routes[].State",
    "route.transit-gateway-id": "",
    "route.vpc-peering-connection-id": "",
    "vpc-id": "VpcId",
}
NETWORK_ACL_FILTERS = {
    "association.association-id": "Associations[].NetworkAclAssociationId",
    "association.network-acl-id": "Associations[].NetworkAclId",
    "association.subnet-id": "Associations[].SubnetId",
    "default": "IsDefault",
    "entry.cidr": "Entries[].CidrBlock",
    "entry.icmp.code": "Entries[].IcmpTypeCode.Code",
    "entry.icmp.type": "Entries[].IcmpTypeCode.Type",
    "entry.ipv6-cidr": "",
    "entry.port-range.from": "Entries[].PortRange.From",
    "entry.port-range.to": "Entries[].PortRange.To",
    "entry.protocol": "Entries[].Protocol",
    "entry.rule-action": "Entries[].RuleAction",
    "entry.egress": "Entries[].Egress",
    "entry.rule-number": "Entries[].RuleNumber",
    "network-acl-id": "NetworkAclId",
    "owner-id": "OwnerId",
    "vpc-id": "VpcId",
}


def _show(row: Row, id_member: str, **more: object) -> Document:
    document = {name: value for name, value in row.doc.items() if name != "private"}
    return {**document, "Tags": row.doc.get("Tags", []), "OwnerId": row.account,
            id_member: row.id, **more}  # fmt: skip


def _arn(row: Row, noun: str) -> str:
    return f"arn:aws:ec2:{row.region}:{row.account}:{noun}/{row.id}"


def describe_vpcs(tx: Tx, request: Request) -> Document:
    def show(row: Row) -> Document:
        return _show(row, "VpcId", State=row.state)

    return describe(tx, request, vpcs.VPC, show, "Vpcs", VPC_FILTERS, ids="VpcIds")


def describe_subnets(tx: Tx, request: Request) -> Document:
    def show(row: Row) -> Document:
        held = addresses.taken(tx, [row.id])[row.id]
        free = addresses.size(row.doc["CidrBlock"]) - held
        arn = _arn(row, "subnet")
        return _show(row, "SubnetId", State=row.state, AvailableIpAddressCount=free, SubnetArn=arn)

    return describe(
        tx, request, vpcs.SUBNET, show, "Subnets", SUBNET_FILTERS,
        ids="SubnetIds", parent_filter="vpc-id",
    )  # fmt: skip


def describe_security_groups(tx: Tx, request: Request) -> Document:
    def show(row: Row) -> Document:
        return _show(row, "GroupId", SecurityGroupArn=_arn(row, "security-group"))

    found = describe(
        tx, request, vpcs.SECURITY_GROUP, show, "SecurityGroups", SECURITY_GROUP_FILTERS,
        ids="GroupIds", parent_filter="vpc-id",
    )  # fmt: skip
    names = request.params.get("GroupNames")
    if names:
        kept = [one for one in found["SecurityGroups"] if one["GroupName"] in names]
        missing = set(names) - {one["GroupName"] for one in kept}
        if missing:
            raise vpcs.SECURITY_GROUP.not_found(sorted(missing))
        found["SecurityGroups"] = kept
    return found


def describe_route_tables(tx: Tx, request: Request) -> Document:
    def show(row: Row) -> Document:
        return _show(row, "RouteTableId")

    return describe(
        tx, request, vpcs.ROUTE_TABLE, show, "RouteTables", ROUTE_TABLE_FILTERS,
        ids="RouteTableIds", parent_filter="vpc-id",
    )  # fmt: skip


def describe_network_acls(tx: Tx, request: Request) -> Document:
    def show(row: Row) -> Document:
        return _show(row, "NetworkAclId")

    return describe(
        tx, request, vpcs.NETWORK_ACL, show, "NetworkAcls", NETWORK_ACL_FILTERS,
        ids="NetworkAclIds", parent_filter="vpc-id",
    )  # fmt: skip
