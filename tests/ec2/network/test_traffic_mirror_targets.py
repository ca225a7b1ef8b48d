"""Traffic mirror targets: exactly one of three kinds of destination; an interface in use stays."""

from __future__ import annotations

from typing import Any

import pytest

from ec2.asking import code, described, refusal, running, wait
from plane import Plane

BALANCER = "arn:aws:elasticloadbalancing:us-east-1:000000000001:loadbalancer/net/mirror/0123456789"


@pytest.fixture
def ec2(plane: Plane, request: pytest.FixtureRequest) -> Any:
    return plane.client(keys=plane.account(request.node.name[-60:]))


def interface(ec2: Any) -> str:
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    made = ec2.create_network_interface(SubnetId=subnet)
    return str(made["NetworkInterface"]["NetworkInterfaceId"])


def target(ec2: Any, **asked: Any) -> dict[str, Any]:
    made: dict[str, Any] = ec2.create_traffic_mirror_target(**asked)["TrafficMirrorTarget"]
    return made


def test_its_type_follows_from_what_names_it(ec2: Any) -> None:
    assert target(ec2, NetworkInterfaceId=interface(ec2))["Type"] == "network-interface"
    assert target(ec2, NetworkLoadBalancerArn=BALANCER)["Type"] == "network-load-balancer"


def test_it_is_named_in_exactly_one_way(ec2: Any) -> None:
    assert code(ec2.create_traffic_mirror_target) == "MissingParameter"
    both = {"NetworkInterfaceId": interface(ec2), "NetworkLoadBalancerArn": BALANCER}
    assert code(ec2.create_traffic_mirror_target, **both) == "InvalidParameterCombination"
    gone = {"NetworkInterfaceId": "eni-00000000000000000"}
    assert code(ec2.create_traffic_mirror_target, **gone) == "InvalidNetworkInterfaceID.NotFound"


def test_it_is_found_by_each_documented_filter(ec2: Any) -> None:
    made = target(ec2, NetworkInterfaceId=interface(ec2), Description="a sink")
    for name, member in (
        ("description", "Description"),
        ("network-interface-id", "NetworkInterfaceId"),
        ("owner-id", "OwnerId"),
        ("traffic-mirror-target-id", "TrafficMirrorTargetId"),
    ):
        by_filter = [{"Name": name, "Values": [made[member]]}]
        found = ec2.describe_traffic_mirror_targets(Filters=by_filter)["TrafficMirrorTargets"]
        assert found == [made]


def test_the_interface_of_a_target_cannot_be_deleted(ec2: Any) -> None:
    id = interface(ec2)
    made = target(ec2, NetworkInterfaceId=id)
    told = refusal(ec2.delete_network_interface, NetworkInterfaceId=id)
    assert told.code == "DependencyViolation"
    ec2.delete_traffic_mirror_target(TrafficMirrorTargetId=made["TrafficMirrorTargetId"])
    ec2.delete_network_interface(NetworkInterfaceId=id)


def test_an_instance_whose_interface_is_mirrored_terminates_and_the_target_stays(ec2: Any) -> None:
    instance = running(ec2)
    [shown] = described(ec2, instance)["NetworkInterfaces"]
    made = target(ec2, NetworkInterfaceId=shown["NetworkInterfaceId"])
    ec2.terminate_instances(InstanceIds=[instance])
    wait(ec2, "instance_terminated", instance)
    assert ec2.describe_traffic_mirror_targets()["TrafficMirrorTargets"] == [made]
    gone = {"NetworkInterfaceIds": [shown["NetworkInterfaceId"]]}
    assert code(ec2.describe_network_interfaces, **gone) == "InvalidNetworkInterfaceID.NotFound"
    ec2.delete_traffic_mirror_target(TrafficMirrorTargetId=made["TrafficMirrorTargetId"])
