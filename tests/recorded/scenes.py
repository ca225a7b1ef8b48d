"""Scenes: the requests behind recordings that have none, made again on a ground of the suites.

A scene of LocalStack yields its answers by the label under which a test kept EC2's. A refusal that
cloud-custodian's tests met is asked for by its action and its code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore import xform_name

from ec2.ground import Ground
from exercises.catalogue import inputs
from recorded.comparing import ID
from recorded.recording import Call, Document

# Gives the label of an answer, and how it is asked for.
Step = tuple[str, str, Document]
Scene = Callable[[Ground], Iterator[Step]]

_BLOCK = "10.0.0.0/16"


def _made(ground: Ground, action: str, path: str, **params: Any) -> str:
    found: Any = ground.call(action, **params)
    for name in path.split("."):
        found = found[name]
    return str(found)


def _vpc(ground: Ground) -> str:
    return _made(ground, "CreateVpc", "Vpc.VpcId", CidrBlock=_BLOCK)


def _route_table_association(ground: Ground) -> Iterator[Step]:
    vpc = _vpc(ground)
    subnet = _made(ground, "CreateSubnet", "Subnet.SubnetId", VpcId=vpc, CidrBlock="10.0.1.0/24")
    table = _made(ground, "CreateRouteTable", "RouteTable.RouteTableId", VpcId=vpc)
    ground.call("AssociateRouteTable", RouteTableId=table, SubnetId=subnet)
    yield "route_tables", "DescribeRouteTables", {"RouteTableIds": [table]}


def _vpn_gateways(ground: Ground) -> Iterator[Step]:
    vpc = _vpc(ground)
    yield "gateway", "CreateVpnGateway", {"Type": "ipsec.1", "AmazonSideAsn": 64512}
    gateway = ground.call("DescribeVpnGateways")["VpnGateways"][0]["VpnGatewayId"]
    ground.call("AttachVpnGateway", VpcId=vpc, VpnGatewayId=gateway)
    ground.later()
    attached = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
    yield "attached-gateway", "DescribeVpnGateways", {"Filters": attached}


def _endpoint_names(ground: Ground) -> Iterator[Step]:
    vpc = _vpc(ground)
    ground.call("ModifyVpcAttribute", VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnet = _made(ground, "CreateSubnet", "Subnet.SubnetId", VpcId=vpc, CidrBlock="10.0.1.0/24")
    id = _made(
        ground, "CreateVpcEndpoint", "VpcEndpoint.VpcEndpointId", VpcId=vpc, SubnetIds=[subnet],
        VpcEndpointType="Interface", ServiceName=f"com.amazonaws.{ground.region}.execute-api",
    )  # fmt: skip
    yield "available-endpoint", "DescribeVpcEndpoints", {"VpcEndpointIds": [id]}


_BUCKET = "arn:aws:s3:::logs"


def _flow_logs(ground: Ground) -> Iterator[Step]:
    vpc = _vpc(ground)
    asked = {"ResourceIds": [vpc], "ResourceType": "VPC", "TrafficType": "ALL"}
    to_s3 = {**asked, "LogDestinationType": "s3", "LogDestination": _BUCKET}
    yield "create-flow-logs-s3", "CreateFlowLogs", to_s3
    yield "describe-flow-logs", "DescribeFlowLogs", {}
    below = {**to_s3, "LogDestination": f"{_BUCKET}/subfolder/"}
    yield "create-flow-logs-s3-subfolder", "CreateFlowLogs", below


def _flow_log_refusals(ground: Ground) -> Iterator[Step]:
    asked = {"ResourceIds": [_vpc(ground)], "ResourceType": "VPC", "TrafficType": "ALL"}
    nowhere = {**asked, "LogDestinationType": "s3", "LogDestination": "arn:aws:s3:::nobodys"}
    yield "non-existent-bucket", "CreateFlowLogs", nowhere
    both = {**asked, "LogGroupName": "logs", "LogDestination": _BUCKET}
    yield "with-log-group-name", "CreateFlowLogs", both
    yield "no-log-destination", "CreateFlowLogs", {**asked, "LogDestinationType": "s3"}
    wrong = {**asked, "LogDestinationType": "s3", "LogGroupName": "logs"}
    yield "log-group-name-s3-destination", "CreateFlowLogs", wrong


def _without_size(ground: Ground) -> Iterator[Step]:
    yield "request-missing-size", "CreateVolume", {"AvailabilityZone": ground.zone()}


def _zones(**params: Any) -> Scene:
    def asked(ground: Ground) -> Iterator[Step]:
        yield "availability_zones", "DescribeAvailabilityZones", params

    return asked


_BY_NAME = {"Name": "zone-name", "Values": ["us-east-1a"]}
# Scenes by the names of LocalStack's tests. The others are of actions that are not served, or of
# what varies alone.
LOCALSTACK: Mapping[str, Scene] = {
    "test_create_route_table_association": _route_table_association,
    "test_describe_availability_zones_filter_with_zone_ids": _zones(ZoneIds=["use1-az1"]),
    "test_describe_availability_zones_filter_with_zone_names": _zones(ZoneNames=["us-east-1a"]),
    "test_describe_availability_zones_filters": _zones(Filters=[_BY_NAME]),
    "test_describe_vpn_gateways_filter_by_vpc": _vpn_gateways,
    "test_ec2_flow_logs_s3": _flow_logs,
    "test_ec2_flow_logs_s3_validation": _flow_log_refusals,
    "test_raise_create_volume_without_size": _without_size,
    "test_vpc_endpoint_dns_names": _endpoint_names,
}


def _protected(attribute: str) -> Callable[[Ground], Document]:
    def asked(ground: Ground) -> Document:
        instance = ground.known("instance")
        ground.call("ModifyInstanceAttribute", InstanceId=instance, **{attribute: {"Value": True}})
        return {"InstanceIds": [instance]}

    return asked


def _used_subnet(ground: Ground) -> Document:
    subnet = ground.subnet()
    ground.call("CreateNetworkInterface", SubnetId=subnet)
    return {"SubnetId": subnet}


def _attached_gateway(ground: Ground) -> Document:
    [gateway] = ground.call("DescribeInternetGateways")["InternetGateways"]
    return {"InternetGatewayId": gateway["InternetGatewayId"]}


def _rule_twice(ground: Ground) -> Document:
    group = _made(ground, "CreateSecurityGroup", "GroupId", GroupName="twice", Description="twice")
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    asked = {"GroupId": group, "IpPermissions": [{**rule, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]}
    ground.call("AuthorizeSecurityGroupIngress", **asked)
    return asked


# How a refusal is met, by action, code, and a word of its text.
REFUSED: Mapping[tuple[str, str, str], Callable[[Ground], Document]] = {
    ("AuthorizeSecurityGroupIngress", "InvalidPermission.Duplicate", ""): _rule_twice,
    ("CreateTags", "MissingParameter", ""): lambda ground: {
        "Resources": [], "Tags": [{"Key": "a", "Value": "b"}],
    },
    ("DeleteInternetGateway", "DependencyViolation", ""): _attached_gateway,
    ("DeleteSubnet", "DependencyViolation", ""): _used_subnet,
    ("StopInstances", "OperationNotPermitted", "disableApiStop"): _protected("DisableApiStop"),
    ("TerminateInstances", "OperationNotPermitted", "disableApiStop"): _protected(
        "DisableApiStop"
    ),
    ("TerminateInstances", "OperationNotPermitted", "disableApiTermination"): _protected(
        "DisableApiTermination"
    ),
}  # fmt: skip
# Words of parameters for ids whose prefix does not say them.
_WORDS = {
    "eipalloc": "Allocation", "eni": "NetworkInterface", "igw": "InternetGateway",
    "lt": "LaunchTemplate", "sg": "Group", "snap": "Snapshot", "vol": "Volume",
}  # fmt: skip


def asked_again(call: Call, ground: Ground) -> Document | None:
    """Return the parameters of a recorded refusal's request; None if no scene tells them."""
    for (action, code, word), ask in REFUSED.items():
        if (action, code) == (call.action, call.code) and word in call.text:
            return ask(ground)
    named = ID.search(call.text)
    if named is None or "NotFound" not in call.code:
        return None
    prefix = named[0].rpartition("-")[0]
    word = _WORDS.get(prefix, prefix.capitalize())
    taken = inputs(call.action)
    if f"{word}Ids" in taken:
        return {f"{word}Ids": [named[0]]}
    return {f"{word}Id": named[0]} if f"{word}Id" in taken else None


def called(ground: Ground, action: str, params: Document) -> Call:
    """Make a call, and return it in the form of a recording."""
    client = ground.client
    try:
        answer = getattr(client, xform_name(action))(**params)
    except client.exceptions.ClientError as refused:
        error = refused.response["Error"]
        return Call(action, {}, error["Code"], error["Message"], params)
    answer.pop("ResponseMetadata")
    return Call(action, answer, params=params)


def only(label: str, given: Document) -> Document:
    """Return the part of an answer that LocalStack's test kept under the label."""
    kept = {"attached-gateway": "VpnGateways", "available-endpoint": "VpcEndpoints"}
    if label == "route_tables":
        return {"": given["RouteTables"]}
    found: Document = given[kept[label]][0] if label in kept else given
    if label == "available-endpoint":
        # The test looked at the first name alone.
        return {**found, "DnsEntries": found["DnsEntries"][:1]}
    return found


def with_policy(shown: Document) -> Document:
    """Return a document without the text of a policy, which LocalStack keeps as a document."""
    return {name: value for name, value in shown.items() if name != "PolicyDocument"}


def regional(value: Any, region: str) -> Any:
    """Put the Region and the partition where LocalStack has their names."""
    if isinstance(value, dict):
        return {name: regional(inner, region) for name, inner in value.items()}
    if isinstance(value, list):
        return [regional(inner, region) for inner in value]
    if isinstance(value, str):
        return re.sub("<partition>", "aws", re.sub("<region>", region, value))
    return value


def instead(call: Call, ground: Ground) -> Document | None:
    """Make by EC2's actions what a call of EBS' direct ones made: a snapshot of some size."""
    params = call.params or {}
    if call.action != "StartSnapshot":
        return None
    zone = ground.zone()
    volume = ground.call("CreateVolume", AvailabilityZone=zone, Size=params["VolumeSize"])
    ground.later()
    tags = {"ResourceType": "snapshot", "Tags": params["Tags"]}
    made = ground.call("CreateSnapshot", VolumeId=volume["VolumeId"], TagSpecifications=[tags])
    ground.later()
    return {"SnapshotId": made["SnapshotId"]}
