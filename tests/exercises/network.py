"""Exercises of networks: VPCs, subnets, interfaces, addresses, endpoints, and traffic watching."""

from __future__ import annotations

from exercises import network_rules
from exercises.exercise import (
    Document,
    Exercise,
    Ground,
    Live,
    after,
    changed,
    nothing_more,
    of,
)
from exercises.gateways import default_gateway


def _without_default_vpc(ground: Live) -> Document:
    asked = {"InternetGatewayId": default_gateway(ground), "VpcId": ground.vpc()}
    ground.call("DetachInternetGateway", **asked)
    for subnet in ground.call("DescribeSubnets")["Subnets"]:
        ground.call("DeleteSubnet", SubnetId=subnet["SubnetId"])
    ground.call("DeleteVpc", VpcId=asked["VpcId"])
    return {}


def _without_default_subnet(ground: Live) -> Document:
    ground.call("DeleteSubnet", SubnetId=ground.subnet())
    return {"AvailabilityZone": ground.zone()}


def _subnet(ground: Ground) -> Document:
    # Few ranges, so that some requests meet one that is taken.
    block = f"10.0.{ground.number(3)}.0/24"
    return {"VpcId": ground.own("vpc"), "CidrBlock": block, "AvailabilityZone": ground.zone()}


def _dhcp_options(ground: Ground) -> Document:
    return {"DhcpConfigurations": [{"Key": "domain-name", "Values": ["example.com"]}]}


def _interface(ground: Ground) -> Document:
    # Mark the description, because EC2 was seen not to compare tags under a token here.
    asked: Document = {"SubnetId": ground.subnet(), "Description": ground.mark}
    if ground.happens(0.3):
        asked["SecondaryPrivateIpAddressCount"] = ground.either(1, 2)
    return asked


def _attaching(ground: Ground) -> Document:
    ids = {"NetworkInterfaceId": ground.own("network-interface")}
    return {**ids, "InstanceId": ground.known("instance"), "DeviceIndex": 1}


def _assigned(ground: Live) -> Document:
    named = {"NetworkInterfaceId": ground.own("network-interface")}
    made = ground.call("AssignPrivateIpAddresses", **named, SecondaryPrivateIpAddressCount=1)
    addresses = [one["PrivateIpAddress"] for one in made["AssignedPrivateIpAddresses"]]
    return {**named, "PrivateIpAddresses": addresses}


def _of_amazon(ground: Ground) -> Document:
    return {"VpcId": ground.own("vpc"), "AmazonProvidedIpv6CidrBlock": True}


def _secondary(ground: Ground) -> Document:
    return {"VpcId": ground.own("vpc"), "CidrBlock": "10.1.0.0/16"}


def _without_secondary(ground: Live) -> Document:
    made = ground.call("AssociateVpcCidrBlock", **_secondary(ground))
    return {"AssociationId": made["CidrBlockAssociation"]["AssociationId"]}


def _with_ipv6(ground: Live) -> Document:
    """Give a subnet's VPC an IPv6 block, and ask for a part of it."""
    [subnet] = ground.call("DescribeSubnets", SubnetIds=[ground.own("subnet")])["Subnets"]
    ground.call("AssociateVpcCidrBlock", VpcId=subnet["VpcId"], AmazonProvidedIpv6CidrBlock=True)
    [vpc] = ground.call("DescribeVpcs", VpcIds=[subnet["VpcId"]])["Vpcs"]
    block = vpc["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"].replace("/56", "/64")
    return {"SubnetId": subnet["SubnetId"], "Ipv6CidrBlock": block}


def _without_ipv6(ground: Live) -> Document:
    made = ground.call("AssociateSubnetCidrBlock", **_with_ipv6(ground))
    return {"AssociationId": made["Ipv6CidrBlockAssociation"]["AssociationId"]}


def _of_ipv6(ground: Live) -> Document:
    subnet = ground.call("AssociateSubnetCidrBlock", **_with_ipv6(ground))["SubnetId"]
    made = ground.call("CreateNetworkInterface", SubnetId=subnet)["NetworkInterface"]
    return {"NetworkInterfaceId": made["NetworkInterfaceId"]}


def _assigned_ipv6(ground: Live) -> Document:
    named = _of_ipv6(ground)
    made = ground.call("AssignIpv6Addresses", **named, Ipv6AddressCount=1)
    return {**named, "Ipv6Addresses": made["AssignedIpv6Addresses"]}


def _associating(ground: Ground) -> Document:
    interface = ground.own("network-interface")
    return {"AllocationId": ground.own("elastic-ip"), "NetworkInterfaceId": interface}


def _prefix_list(ground: Ground) -> Document:
    name = ground.name("partners")
    return {"PrefixListName": name, "AddressFamily": "IPv4", "MaxEntries": 5}


def _long_list(ground: Live) -> Document:
    asked = {**_prefix_list(ground), "MaxEntries": 20}
    blocks = [{"Cidr": f"10.{n}.0.0/16"} for n in range(7)]
    made = ground.call("CreateManagedPrefixList", **asked, Entries=blocks)
    return {"PrefixListId": made["PrefixList"]["PrefixListId"]}


def _flow_logs(ground: Ground) -> Document:
    asked: Document = {
        "TrafficType": ground.either("ALL", "REJECT"),
        "LogGroupName": ground.name("flows"),
        "DeliverLogsPermissionArn": f"arn:aws:iam::{ground.account}:role/flows",
    }
    if ground.happens(0.6):
        # Ask for two flow logs in one request, of which both are made or neither.
        both = dict.fromkeys((ground.subnet(), ground.subnet()))
        return {**asked, "ResourceType": "Subnet", "ResourceIds": list(both)}
    watched = [ground.known("network-interface")]
    return {**asked, "ResourceType": "NetworkInterface", "ResourceIds": watched}


def _endpoint(ground: Ground) -> Document:
    asked = {"VpcId": ground.vpc(), "ServiceName": f"com.amazonaws.{ground.region}.s3"}
    if ground.happens(0.5):
        return {**asked, "VpcEndpointType": "Interface", "SubnetIds": [ground.subnet()]}
    if ground.knows("route-table"):
        return {**asked, "RouteTableIds": [ground.known("route-table")]}
    return asked


EXERCISES = (
    *network_rules.EXERCISES,
    Exercise(
        kind="vpc",
        make="CreateVpc",
        ask=lambda ground: {"CidrBlock": "10.0.0.0/16"},
        end="DeleteVpc",
        brought_by="account",
        changes={
            "AssociateDhcpOptions": lambda ground: {
                "VpcId": ground.vpc(),
                "DhcpOptionsId": ground.own("dhcp-options"),
            },
            "CreateDefaultVpc": _without_default_vpc,
            "ModifyVpcAttribute": of("vpc", "VpcId", EnableDnsHostnames={"Value": True}),
        },
    ),
    Exercise(
        kind="vpc-cidr-block",
        make="AssociateVpcCidrBlock",
        ask=_of_amazon,
        changes={
            "AssociateVpcCidrBlock with a block": _secondary,
            "DisassociateVpcCidrBlock": _without_secondary,
        },
        unmixed="it is a part of its VPC",
    ),
    Exercise(
        kind="subnet",
        make="CreateSubnet",
        ask=_subnet,
        end="DeleteSubnet",
        changes={
            "AssociateSubnetCidrBlock": _with_ipv6,
            "DisassociateSubnetCidrBlock": _without_ipv6,
            "CreateDefaultSubnet": _without_default_subnet,
            "ModifySubnetAttribute": of("subnet", "SubnetId", MapPublicIpOnLaunch={"Value": True}),
        },
    ),
    Exercise(
        kind="dhcp-options",
        make="CreateDhcpOptions",
        ask=_dhcp_options,
        end="DeleteDhcpOptions",
        brought_by="account",
    ),
    Exercise(
        kind="network-interface",
        make="CreateNetworkInterface",
        ask=_interface,
        other=changed(Description="other"),
        end="DeleteNetworkInterface",
        brought_by="instance",
        changes={
            "AssignPrivateIpAddresses by address": after("UnassignPrivateIpAddresses", _assigned),
            "AssignPrivateIpAddresses by number": of(
                "network-interface", "NetworkInterfaceId", SecondaryPrivateIpAddressCount=1
            ),
            "AssignIpv6Addresses by address": after("UnassignIpv6Addresses", _assigned_ipv6),
            "AssignIpv6Addresses by number": lambda ground: {
                **_of_ipv6(ground),
                "Ipv6AddressCount": 1,
            },
            "UnassignIpv6Addresses": _assigned_ipv6,
            "AttachNetworkInterface": _attaching,
            "DetachNetworkInterface": after("AttachNetworkInterface", _attaching, "AttachmentId"),
            "ModifyNetworkInterfaceAttribute": of(
                "network-interface", "NetworkInterfaceId", Description={"Value": "of mine"}
            ),
            "UnassignPrivateIpAddresses": _assigned,
        },
    ),
    Exercise(
        kind="elastic-ip",
        make="AllocateAddress",
        ask=lambda ground: {"Domain": "vpc"},
        end="ReleaseAddress",
        id="AllocationId",
        lists={"DescribeAddressesAttribute": nothing_more},
        changes={
            "AssociateAddress": _associating,
            "DisassociateAddress": after("AssociateAddress", _associating, "AssociationId"),
        },
    ),
    Exercise(
        kind="prefix-list",
        make="CreateManagedPrefixList",
        ask=_prefix_list,
        other=changed(MaxEntries=6),
        end="DeleteManagedPrefixList",
        lists={"GetManagedPrefixListEntries": _long_list},
        changes={
            "ModifyManagedPrefixList": of("prefix-list", "PrefixListId", PrefixListName="renamed"),
            "ModifyManagedPrefixList of the current version": of(
                "prefix-list",
                "PrefixListId",
                CurrentVersion=1,
                AddEntries=[{"Cidr": "10.0.0.0/8"}],
            ),
        },
    ),
    Exercise(
        kind="vpc-flow-log",
        make="CreateFlowLogs",
        ask=_flow_logs,
        other=changed(TrafficType="REJECT"),
        end="DeleteFlowLogs",
    ),
    Exercise(
        kind="traffic-mirror-target",
        make="CreateTrafficMirrorTarget",
        ask=lambda ground: {"NetworkInterfaceId": ground.known("network-interface")},
        other=changed(Description="other"),
        end="DeleteTrafficMirrorTarget",
    ),
    Exercise(
        kind="vpc-endpoint",
        make="CreateVpcEndpoint",
        ask=_endpoint,
        other=changed(PolicyDocument="{}"),
        end="DeleteVpcEndpoints",
        changes={
            "CreateVpcEndpoint in the same route table": lambda ground: {
                **_endpoint(ground),
                "RouteTableIds": [ground.own("route-table")],
            },
            "CreateVpcEndpoint with private names": lambda ground: {
                **_endpoint(ground),
                "VpcEndpointType": "Interface",
                "PrivateDnsEnabled": True,
            },
            "ModifyVpcEndpoint": lambda ground: {
                "VpcEndpointId": ground.own("vpc-endpoint"),
                "AddRouteTableIds": [ground.own("route-table")],
            },
        },
    ),
)
