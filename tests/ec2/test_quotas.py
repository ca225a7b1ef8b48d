"""EC2's quotas: one case for each. What is full refuses one more, and answers repeats still."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore import xform_name

from ec2.asking import code
from ec2.requests_of_machines import PUBLIC_KEY
from ec2.samples import first_zone, in_subnet, root_volume, vpc
from plane import IMAGE, Plane
from sametoken.ec2.catalog import ACTIONS
from sametoken.ec2.kit.actions import Read
from sametoken.ec2.protocol.model import ServiceModel
from sametoken.resources.kit import counters, quotas
from sametoken.resources.kit.quotas import QUOTAS
from sdk import Keys

Document = dict[str, Any]
MODEL = ServiceModel.load("ec2")


@dataclass(frozen=True)
class Case:
    """`ground` prepares, and gives the request of the n-th resource; `standing` are there before,
    because every account or every parent has them."""

    action: str
    ground: Callable[[Any], Callable[[int], Document]]
    standing: int = 0


def each(**asked: Any) -> Callable[[Any], Callable[[int], Document]]:
    """The same request each time; `{}` stands for its number."""

    def put(value: Any, n: int) -> Any:
        return value.format(n) if isinstance(value, str) else value

    return lambda client: lambda n: {name: put(value, n) for name, value in asked.items()}


def on(base: Callable[[Any], Document], **asked: Any) -> Callable[[Any], Callable[[int], Document]]:
    """As `each`, on what `base` finds or makes."""

    def prepare(client: Any) -> Callable[[int], Document]:
        found, more = base(client), each(**asked)(client)
        return lambda n: {**found, **more(n)}

    return prepare


def default(client: Any) -> Document:
    return {"VpcId": vpc(client)}


def zone(client: Any) -> Document:
    return {"AvailabilityZone": first_zone(client)}


def new_vpc(client: Any) -> Document:
    return {"VpcId": client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]}


def table(client: Any) -> Document:
    [gateway] = client.describe_internet_gateways()["InternetGateways"]
    made = client.create_route_table(**default(client))["RouteTable"]["RouteTableId"]
    return {"RouteTableId": made, "GatewayId": gateway["InternetGatewayId"]}


def entries(client: Any) -> Callable[[int], Document]:
    acl = client.create_network_acl(**default(client))["NetworkAcl"]["NetworkAclId"]
    entry = {"Protocol": "-1", "RuleAction": "allow", "Egress": True, "CidrBlock": "10.0.0.0/8"}
    return lambda n: {"NetworkAclId": acl, "RuleNumber": n, **entry}


def group(client: Any) -> Document:
    made = client.create_security_group(GroupName="g", Description="d")["GroupId"]
    return {"GroupId": made, "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}


def template(client: Any) -> Document:
    data = {"ImageId": IMAGE}
    client.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
    return {"LaunchTemplateName": "web", "LaunchTemplateData": data}


def subnets(client: Any) -> Callable[[int], Document]:
    """Two subnets of one zone: the quota is the zone's."""
    base = {"VpcId": vpc(client), "AvailabilityZone": first_zone(client)}
    more = client.create_subnet(**base, CidrBlock="172.31.200.0/24")["Subnet"]["SubnetId"]
    both = [in_subnet(client)["SubnetId"], more]
    return lambda n: {"SubnetId": both[n % 2], "ConnectivityType": "private"}


def ends(client: Any) -> Callable[[int], Document]:
    def asked(n: int) -> Document:
        made = client.create_customer_gateway(Type="ipsec.1", IpAddress=f"198.51.100.{n}")
        return {
            "Type": "ipsec.1",
            "CustomerGatewayId": made["CustomerGateway"]["CustomerGatewayId"],
        }

    return asked


CASES: dict[str, Case] = {
    "capacity-reservation": Case("CreateCapacityReservation", on(
        zone, InstanceType="t3.micro", InstancePlatform="Linux/UNIX", InstanceCount=1)),
    "carrier-gateway": Case("CreateCarrierGateway", on(default)),
    "customer-gateway": Case(
        "CreateCustomerGateway", each(Type="ipsec.1", IpAddress="198.51.100.{}")),
    "dhcp-options": Case("CreateDhcpOptions", lambda client: lambda n: {
        "DhcpConfigurations": [{"Key": "domain-name", "Values": [f"{n}.example.com"]}]}, 1),
    "egress-only-internet-gateway": Case("CreateEgressOnlyInternetGateway", on(default)),
    "elastic-ip": Case("AllocateAddress", each()),
    "image": Case("RegisterImage", each(Name="image-{}", RootDeviceName="/dev/xvda")),
    "internet-gateway": Case("CreateInternetGateway", each(), 1),
    "key-pair": Case("ImportKeyPair", each(KeyName="key-{}", PublicKeyMaterial=PUBLIC_KEY)),
    "launch-template": Case("CreateLaunchTemplate", each(
        LaunchTemplateName="template-{}", LaunchTemplateData={"ImageId": IMAGE})),
    "launch-template-version": Case("CreateLaunchTemplateVersion", on(template), 1),
    "natgateway": Case("CreateNatGateway", subnets),
    "network-acl": Case("CreateNetworkAcl", on(default), 1),
    "network-acl-entry": Case("CreateNetworkAclEntry", entries),
    "network-interface": Case("CreateNetworkInterface", on(in_subnet)),
    "placement-group": Case("CreatePlacementGroup", each(GroupName="group-{}")),
    "prefix-list": Case("CreateManagedPrefixList", each(
        PrefixListName="list-{}", AddressFamily="IPv4", MaxEntries=1)),
    "route": Case("CreateRoute", on(table, DestinationCidrBlock="203.0.113.{}/32")),
    "route-table": Case("CreateRouteTable", on(default), 1),
    "security-group": Case("CreateSecurityGroup", each(GroupName="group-{}", Description="d"), 1),
    "security-group-rule": Case(
        "AuthorizeSecurityGroupIngress", on(group, CidrIp="203.0.113.{}/32")),
    "snapshot": Case("CreateSnapshot", on(lambda client: {"VolumeId": root_volume(client)})),
    "subnet": Case("CreateSubnet", on(new_vpc, CidrBlock="10.0.{}.0/24")),
    "volume": Case("CreateVolume", on(zone, Size=1)),
    "vpc": Case("CreateVpc", each(CidrBlock="10.{}.0.0/16"), 1),
    "vpc-endpoint": Case("CreateVpcEndpoint", on(
        default, ServiceName="com.amazonaws.us-east-1.service-{}")),
    "vpc-flow-log": Case("CreateFlowLogs", on(
        lambda client: {"ResourceIds": [vpc(client)]}, ResourceType="VPC", TrafficType="ALL",
        LogGroupName="flows-{}")),
    "vpn-connection": Case("CreateVpnConnection", ends),
    "vpn-gateway": Case("CreateVpnGateway", each(Type="ipsec.1")),
}  # fmt: skip


def test_every_quota_has_a_case_and_every_kind_that_is_created_a_quota() -> None:
    assert CASES.keys() == QUOTAS.keys()
    asked = {case.action for case in CASES.values()}
    # They make one more of a kind that another action makes, too, or are vCPUs' to limit.
    others = {
        "CopyImage", "CopySnapshot", "CopyVolumes", "CreateCapacityReservationBySplitting",
        "CreateDefaultSubnet", "CreateDefaultVpc", "CreateImage", "CreateKeyPair", "CreateTags",
    }  # fmt: skip
    creates = {
        name for name, action in ACTIONS.items()
        if name.startswith(("Create", "Copy", "Allocate", "Import", "Register"))
        and not isinstance(action, Read)
    }  # fmt: skip
    assert creates - asked == others


@pytest.fixture
def keys(plane: Plane, request: pytest.FixtureRequest) -> Keys:
    return plane.account(request.node.name[-60:])


def limit(plane: Plane, keys: Keys, kind: str, maximum: int) -> None:
    """What `sametoken limits set` does."""
    name = quotas.name_of(kind, keys.account, "us-east-1")
    plane.run(lambda tx: counters.set_maximum(tx, name, maximum))


@pytest.mark.parametrize("kind", CASES)
def test_one_too_many_is_refused_and_the_repeat_of_the_last_is_not(
    plane: Plane, keys: Keys, kind: str
) -> None:
    case, client = CASES[kind], plane.client(keys=keys)
    call = getattr(client, xform_name(case.action))
    asked = case.ground(client)
    limit(plane, keys, kind, case.standing + 1)
    has_token = MODEL.codec(case.action).has_client_token

    def token(value: str) -> Document:
        return {"ClientToken": value} if has_token else {}

    params = asked(1)
    first = call(**params, **token("first"))
    second = asked(2)
    refused = code(call, **second, **token("second"))
    assert refused == QUOTAS[kind].code
    if has_token:
        again = call(**params, **token("first"))
        assert {**again, "ResponseMetadata": None} == {**first, "ResponseMetadata": None}
    # The refusal has bound nothing: with room for it the same request is done.
    limit(plane, keys, kind, case.standing + 2)
    call(**second, **token("second"))


def test_other_accounts_and_regions_have_quotas_of_their_own(plane: Plane, keys: Keys) -> None:
    client = plane.client(keys=keys)
    limit(plane, keys, "vpn-gateway", 0)
    asked = {"Type": "ipsec.1"}
    assert code(client.create_vpn_gateway, **asked) == "VpnGatewayLimitExceeded"
    plane.client(keys=keys, region="eu-west-1").create_vpn_gateway(**asked)
    plane.client(keys=plane.account("another")).create_vpn_gateway(**asked)


def test_what_is_gone_is_counted_no_more(plane: Plane, keys: Keys) -> None:
    client = plane.client(keys=keys)
    limit(plane, keys, "placement-group", 1)
    for name in ("one", "two"):
        client.create_placement_group(GroupName=name)
        assert code(client.create_placement_group, GroupName="more") == (
            "PlacementGroupLimitExceeded"
        )
        client.delete_placement_group(GroupName=name)


def test_a_quota_is_of_one_parent_where_ec2_has_it_so(plane: Plane, keys: Keys) -> None:
    client = plane.client(keys=keys)
    one, other = vpc(client), new_vpc(client)["VpcId"]
    limit(plane, keys, "route-table", 2)
    for id in (one, other):
        client.create_route_table(VpcId=id)
        assert code(client.create_route_table, VpcId=id) == "RouteTableLimitExceeded"


def test_the_account_attributes_tell_the_quota_that_is_set(plane: Plane, keys: Keys) -> None:
    client = plane.client(keys=keys)

    def told() -> set[str]:
        shown = client.describe_account_attributes()["AccountAttributes"]
        return {
            one["AttributeValues"][0]["AttributeValue"]
            for one in shown
            if one["AttributeName"].endswith("max-elastic-ips")
        }

    assert told() == {"5"}
    limit(plane, keys, "elastic-ip", 7)
    assert told() == {"7"}


def test_the_refusal_says_how_to_raise_the_quota(plane: Plane, keys: Keys) -> None:
    client = plane.client(keys=keys)
    limit(plane, keys, "vpn-gateway", 0)
    with pytest.raises(client.exceptions.ClientError) as refused:
        client.create_vpn_gateway(Type="ipsec.1")
    words = f"sametoken limits set vpn-gateway/{keys.account}/us-east-1 N"
    assert words in str(refused.value)
