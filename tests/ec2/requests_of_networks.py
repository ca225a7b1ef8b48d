"""A request of each action on networks, and what it stands on.

Each is valid the first time it is made, and says the same the second time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ec2.ground import CUSTOMER, INBOUND, OTHER, OUTBOUND, Ground

Document = dict[str, Any]
Ask = Callable[[Ground], Document]

_ANYWHERE = "0.0.0.0/0"
_ENTRY: Document = {
    "RuleNumber": 100, "Protocol": "-1", "RuleAction": "allow", "Egress": False,
    "CidrBlock": "10.0.0.0/8",
}  # fmt: skip
_DOMAIN = {"DhcpConfigurations": [{"Key": "domain-name", "Values": ["example.com"]}]}


def _options(ground: Ground) -> str:
    made = ground.call("CreateDhcpOptions", **_DOMAIN)
    return str(made["DhcpOptions"]["DhcpOptionsId"])


def _without_default_subnet(ground: Ground) -> Document:
    ground.call("DeleteSubnet", SubnetId=ground.default_subnet)
    return {"AvailabilityZone": ground.zone}


def _without_default_vpc(ground: Ground) -> Document:
    vpc, gateway = ground.default_vpc, ground.default_gateway()
    ground.call("DetachInternetGateway", InternetGatewayId=gateway, VpcId=vpc)
    for subnet in ground.call("DescribeSubnets")["Subnets"]:
        ground.call("DeleteSubnet", SubnetId=subnet["SubnetId"])
    ground.call("DeleteVpc", VpcId=vpc)
    return {}


def _route(ground: Ground, *, made: bool) -> Document:
    asked = {"RouteTableId": ground.table(), "DestinationCidrBlock": _ANYWHERE}
    if made:
        ground.call("CreateRoute", **asked, GatewayId=ground.default_gateway())
    return asked


def _routed(ground: Ground, *, made: bool) -> Document:
    return {**_route(ground, made=made), "GatewayId": ground.default_gateway()}


def _entry(ground: Ground) -> Document:
    asked = {"NetworkAclId": ground.acl(), **_ENTRY}
    ground.call("CreateNetworkAclEntry", **asked)
    return asked


def _entry_named(ground: Ground) -> Document:
    asked = _entry(ground)
    return {name: asked[name] for name in ("NetworkAclId", "RuleNumber", "Egress")}


def _acl_association(ground: Ground) -> Document:
    [default] = ground.call("DescribeNetworkAcls")["NetworkAcls"]
    association = default["Associations"][0]["NetworkAclAssociationId"]
    return {"AssociationId": association, "NetworkAclId": ground.acl()}


def _permission(ground: Ground, permissions: Document, *, default: bool = False) -> Document:
    vpc = ground.default_vpc if default else None
    return {"GroupId": ground.group(vpc), **permissions}


def _by_rule(ground: Ground, *, outbound: bool) -> Document:
    group = ground.group()
    return {"GroupId": group, "SecurityGroupRuleIds": ground.rules(group, outbound=outbound)}


def _modified_rule(ground: Ground) -> Document:
    group = ground.group()
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIpv4": _ANYWHERE}
    return {
        "GroupId": group,
        "SecurityGroupRules": [
            {"SecurityGroupRuleId": id, "SecurityGroupRule": rule}
            for id in ground.rules(group, outbound=False)
        ],
    }


def _described(permissions: Document, ranges: str = "IpRanges") -> Document:
    [one] = permissions["IpPermissions"]
    described = [{**block, "Description": "why"} for block in one[ranges]]
    return {"IpPermissions": [{**one, ranges: described}]}


def _secondary(ground: Ground) -> Document:
    interface = ground.interface()
    asked = {"NetworkInterfaceId": interface, "SecondaryPrivateIpAddressCount": 1}
    given = ground.call("AssignPrivateIpAddresses", **asked)["AssignedPrivateIpAddresses"]
    addresses = [one["PrivateIpAddress"] for one in given]
    return {"NetworkInterfaceId": interface, "PrivateIpAddresses": addresses}


def _free_address(ground: Ground) -> Document:
    asked = _secondary(ground)
    ground.call("UnassignPrivateIpAddresses", **asked)
    return asked


def _eigw(ground: Ground) -> str:
    made = ground.call("CreateEgressOnlyInternetGateway", VpcId=ground.default_vpc)
    return str(made["EgressOnlyInternetGateway"]["EgressOnlyInternetGatewayId"])


def _nat(ground: Ground) -> str:
    asked = {"SubnetId": ground.default_subnet, "ConnectivityType": "private"}
    id = str(ground.call("CreateNatGateway", **asked)["NatGateway"]["NatGatewayId"])
    ground.later()
    return id


def _endpoint(ground: Ground, **more: Any) -> Document:
    service = f"com.amazonaws.{ground.region}.s3"
    return {"VpcId": ground.default_vpc, "ServiceName": service, **more}


def _endpoint_id(ground: Ground) -> str:
    made = ground.call("CreateVpcEndpoint", **_endpoint(ground))
    return str(made["VpcEndpoint"]["VpcEndpointId"])


def _flow_log(ground: Ground) -> str:
    made = ground.call(
        "CreateFlowLogs", ResourceIds=[ground.default_vpc], ResourceType="VPC", TrafficType="ALL",
        LogGroupName="flows",
        DeliverLogsPermissionArn=f"arn:aws:iam::{ground.keys.account}:role/flows",
    )  # fmt: skip
    return str(made["FlowLogIds"][0])


def _carrier(ground: Ground) -> str:
    made = ground.call("CreateCarrierGateway", VpcId=ground.default_vpc)
    return str(made["CarrierGateway"]["CarrierGatewayId"])


def _propagation(ground: Ground, *, enabled: bool) -> Document:
    vpc = ground.default_vpc
    asked = {"RouteTableId": ground.table(vpc), "GatewayId": ground.vpn_gateway(vpc)}
    if enabled:
        ground.call("EnableVgwRoutePropagation", **asked)
    return asked


def _vpn_attachment(ground: Ground) -> Document:
    vpc = ground.default_vpc
    return {"VpnGatewayId": ground.vpn_gateway(vpc), "VpcId": vpc}


REQUESTS: dict[str, Ask] = {
    "AllocateAddress": lambda ground: {"Domain": "vpc"},
    "AssignPrivateIpAddresses by address": _free_address,
    "AssignPrivateIpAddresses by number": lambda ground: {
        "NetworkInterfaceId": ground.interface(), "SecondaryPrivateIpAddressCount": 1,
    },
    "AssociateAddress": lambda ground: {
        "AllocationId": ground.allocation(), "NetworkInterfaceId": ground.interface(),
    },
    "AssociateDhcpOptions": lambda ground: {
        "VpcId": ground.default_vpc, "DhcpOptionsId": _options(ground),
    },
    "AssociateRouteTable": lambda ground: {
        "RouteTableId": ground.table(), "SubnetId": ground.default_subnet,
    },
    "AttachInternetGateway": lambda ground: {
        "InternetGatewayId": ground.gateway(), "VpcId": ground.vpc(),
    },
    "AttachNetworkInterface": lambda ground: {
        "NetworkInterfaceId": ground.interface(), "InstanceId": ground.instance(),
        "DeviceIndex": 1,
    },
    "AttachVpnGateway": lambda ground: {
        "VpnGatewayId": ground.vpn_gateway(), "VpcId": ground.default_vpc,
    },
    "AuthorizeSecurityGroupEgress": lambda ground: _permission(ground, OTHER),
    "AuthorizeSecurityGroupIngress": lambda ground: _permission(ground, OTHER),
    "CreateCustomerGateway": lambda ground: CUSTOMER,
    "CreateDefaultSubnet": _without_default_subnet,
    "CreateDefaultVpc": _without_default_vpc,
    "CreateDhcpOptions": lambda ground: _DOMAIN,
    "CreateInternetGateway": lambda ground: {},
    "CreateNatGateway with the same address": lambda ground: {
        "SubnetId": ground.default_subnet, "AllocationId": ground.allocation(),
    },
    "CreateNetworkAclEntry": lambda ground: {"NetworkAclId": ground.acl(), **_ENTRY},
    "CreateRoute": lambda ground: _routed(ground, made=False),
    "CreateSecurityGroup": lambda ground: {
        "VpcId": ground.vpc(), "GroupName": "mine", "Description": "of mine",
    },
    "CreateSubnet": lambda ground: {"VpcId": ground.vpc(), "CidrBlock": "10.0.1.0/24"},
    "CreateVpc": lambda ground: {"CidrBlock": "10.0.0.0/16"},
    "CreateVpcEndpoint in the same route table": lambda ground: _endpoint(
        ground, RouteTableIds=[ground.table()]
    ),
    "CreateVpcEndpoint with private names": lambda ground: _endpoint(
        ground, VpcEndpointType="Interface", PrivateDnsEnabled=True
    ),
    "CreateVpnConnection": lambda ground: ground.vpn_ends(),
    "CreateVpnGateway": lambda ground: {"Type": "ipsec.1"},
    "DeleteCarrierGateway": lambda ground: {"CarrierGatewayId": _carrier(ground)},
    "DeleteCustomerGateway": lambda ground: {"CustomerGatewayId": ground.customer_gateway()},
    "DeleteDhcpOptions": lambda ground: {"DhcpOptionsId": _options(ground)},
    "DeleteEgressOnlyInternetGateway": lambda ground: {
        "EgressOnlyInternetGatewayId": _eigw(ground),
    },
    "DeleteFlowLogs": lambda ground: {"FlowLogIds": [_flow_log(ground)]},
    "DeleteInternetGateway": lambda ground: {"InternetGatewayId": ground.gateway()},
    "DeleteManagedPrefixList": lambda ground: {"PrefixListId": ground.prefix_list()},
    "DeleteNatGateway": lambda ground: {"NatGatewayId": _nat(ground)},
    "DeleteNetworkAcl": lambda ground: {"NetworkAclId": ground.acl()},
    "DeleteNetworkAclEntry": _entry_named,
    "DeleteNetworkInterface": lambda ground: {"NetworkInterfaceId": ground.interface()},
    "DeleteRoute": lambda ground: _route(ground, made=True),
    "DeleteRouteTable": lambda ground: {"RouteTableId": ground.table()},
    "DeleteSecurityGroup": lambda ground: {"GroupId": ground.group()},
    "DeleteSubnet": lambda ground: {"SubnetId": ground.subnet()},
    "DeleteVpc": lambda ground: {"VpcId": ground.vpc()},
    "DeleteVpcEndpoints": lambda ground: {"VpcEndpointIds": [_endpoint_id(ground)]},
    "DeleteVpnConnection": lambda ground: {"VpnConnectionId": ground.vpn_connection()},
    "DeleteVpnGateway": lambda ground: {"VpnGatewayId": ground.vpn_gateway()},
    "DetachInternetGateway": lambda ground: {
        "InternetGatewayId": ground.default_gateway(), "VpcId": ground.default_vpc,
    },
    "DetachNetworkInterface": lambda ground: {"AttachmentId": ground.attachment()},
    "DetachVpnGateway": _vpn_attachment,
    "DisableVgwRoutePropagation": lambda ground: _propagation(ground, enabled=True),
    "DisassociateAddress": lambda ground: {"AssociationId": ground.association()},
    "DisassociateRouteTable": lambda ground: {"AssociationId": ground.table_association()},
    "EnableVgwRoutePropagation": lambda ground: _propagation(ground, enabled=False),
    "ModifyManagedPrefixList": lambda ground: {
        "PrefixListId": ground.prefix_list(), "PrefixListName": "renamed",
    },
    "ModifyManagedPrefixList of the current version": lambda ground: {
        "PrefixListId": ground.prefix_list(), "CurrentVersion": 1,
        "AddEntries": [{"Cidr": "10.0.0.0/8"}],
    },
    "ModifyNetworkInterfaceAttribute": lambda ground: {
        "NetworkInterfaceId": ground.interface(), "Description": {"Value": "of mine"},
    },
    "ModifySecurityGroupRules": _modified_rule,
    "ModifySubnetAttribute": lambda ground: {
        "SubnetId": ground.subnet(), "MapPublicIpOnLaunch": {"Value": True},
    },
    "ModifyVpcAttribute": lambda ground: {
        "VpcId": ground.vpc(), "EnableDnsHostnames": {"Value": True},
    },
    "ModifyVpcEndpoint": lambda ground: {
        "VpcEndpointId": _endpoint_id(ground), "AddRouteTableIds": [ground.table()],
    },
    "ReleaseAddress": lambda ground: {"AllocationId": ground.allocation()},
    "ReplaceNetworkAclAssociation": _acl_association,
    "ReplaceNetworkAclEntry": lambda ground: {**_entry(ground), "RuleAction": "deny"},
    "ReplaceRoute": lambda ground: {
        **_route(ground, made=True), "NetworkInterfaceId": ground.interface(),
    },
    "ReplaceRouteTableAssociation": lambda ground: {
        "AssociationId": ground.table_association(), "RouteTableId": ground.table(),
    },
    "RevokeSecurityGroupEgress": lambda ground: _permission(ground, OUTBOUND),
    "RevokeSecurityGroupEgress by rule id": lambda ground: _by_rule(ground, outbound=True),
    "RevokeSecurityGroupEgress in the default VPC": lambda ground: _permission(
        ground, OUTBOUND, default=True
    ),
    "RevokeSecurityGroupIngress": lambda ground: _permission(ground, INBOUND),
    "RevokeSecurityGroupIngress by rule id": lambda ground: _by_rule(ground, outbound=False),
    "RevokeSecurityGroupIngress in the default VPC": lambda ground: _permission(
        ground, INBOUND, default=True
    ),
    "UnassignPrivateIpAddresses": _secondary,
    "UpdateSecurityGroupRuleDescriptionsEgress": lambda ground: _permission(
        ground, _described(OUTBOUND)
    ),
    "UpdateSecurityGroupRuleDescriptionsIngress": lambda ground: _permission(
        ground, _described(INBOUND)
    ),
}  # fmt: skip
