"""botocore's paginators read every list that is served: each resource once, and all of them.

Who serves another list that botocore pages adds how an account gets enough of its resources.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore import xform_name
from botocore.model import Shape
from botocore.session import get_session

from ec2 import peer
from ec2.asking import refusal
from ec2.ground import Ground
from ec2.requests_of_networks import REQUESTS as NETWORKS
from plane import LAUNCH, Plane, running_plane
from sametoken.ec2.catalog import ACTIONS

Document = dict[str, Any]
Fill = Callable[[Ground], Document | None]

_PAGINATORS = get_session().get_paginator_model("ec2")._paginator_config
PAGED = sorted(_PAGINATORS.keys() & ACTIONS.keys())
# Where the model sets no least size of a page, EC2's is known to be this, or not known.
LEAST = 5
# More than one page of the least size, and at least five.
ENOUGH = LEAST + 2
# Lists of what AWS itself has and nobody makes: there is none behind these endpoints.
NOBODYS = frozenset({"DescribePrefixLists"})


def times(action: str, asked: Callable[[Ground, int], Document]) -> Fill:
    """Ask `action` often enough, as the `n`-th time needs."""

    def fill(ground: Ground) -> None:
        for n in range(ENOUGH):
            ground.call(action, **asked(ground, n))

    return fill


def made(action: str, request: str | None = None) -> Fill:
    """The same, where each request is what the suite of lost replies asks."""
    return times(action, lambda ground, n: NETWORKS[request or action](ground))


def launched(ground: Ground) -> None:
    """Instances, each with a volume, an interface, tags and CPU credits."""
    for n in range(ENOUGH):
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "n", "Value": str(n)}]}]
        ground.call("RunInstances", **LAUNCH, TagSpecifications=tags)
    ground.later()


def volumes(ground: Ground) -> None:
    for _ in range(ENOUGH):
        ground.call("CreateVolume", AvailabilityZone=ground.zone, Size=8)
    ground.later()


def modified(ground: Ground) -> None:
    volumes(ground)
    for one in ground.call("DescribeVolumes")["Volumes"]:
        ground.call("ModifyVolume", VolumeId=one["VolumeId"], Size=9)
    ground.later()


def snapshots(ground: Ground) -> Document:
    volume = ground.volume()
    for _ in range(ENOUGH):
        ground.call("CreateSnapshot", VolumeId=volume)
    return {"OwnerIds": ["self"]}


def images(ground: Ground) -> Document:
    instance = ground.instance()
    for n in range(ENOUGH):
        ground.call("CreateImage", InstanceId=instance, Name=f"image-{n}")
    return {"Owners": ["self"]}


def allocated(ground: Ground) -> None:
    ground.raise_quota("elastic-ip")
    for _ in range(ENOUGH):
        ground.allocation()


def vpcs(ground: Ground) -> None:
    ground.raise_quota("vpc")
    for _ in range(ENOUGH):
        ground.vpc()


def gateways(ground: Ground) -> None:
    ground.raise_quota("internet-gateway")
    for _ in range(ENOUGH):
        ground.gateway()


def eigws(ground: Ground) -> None:
    ground.raise_quota("egress-only-internet-gateway")
    for _ in range(ENOUGH):
        ground.call("CreateEgressOnlyInternetGateway", VpcId=ground.default_vpc)


def carriers(ground: Ground) -> None:
    ground.raise_quota("carrier-gateway")
    for _ in range(ENOUGH):
        ground.call("CreateCarrierGateway", VpcId=ground.default_vpc)


def nats(ground: Ground) -> None:
    ground.raise_quota("natgateway")
    for _ in range(ENOUGH):
        asked = {"SubnetId": ground.default_subnet, "ConnectivityType": "private"}
        ground.call("CreateNatGateway", **asked)


def subnets(ground: Ground) -> None:
    vpc = ground.vpc()
    for n in range(ENOUGH):
        ground.call("CreateSubnet", VpcId=vpc, CidrBlock=f"10.0.{n}.0/24")


def groups(ground: Ground) -> None:
    for n in range(ENOUGH):
        ground.call("CreateSecurityGroup", GroupName=f"group-{n}", Description="one of many")


def prefix_lists(ground: Ground) -> None:
    for n in range(ENOUGH):
        asked = {"PrefixListName": f"list-{n}", "AddressFamily": "IPv4", "MaxEntries": 5}
        ground.call("CreateManagedPrefixList", **asked)


def entries(ground: Ground) -> Document:
    asked = {"PrefixListName": "long", "AddressFamily": "IPv4", "MaxEntries": 20}
    blocks = [{"Cidr": f"10.{n}.0.0/16"} for n in range(ENOUGH)]
    shown = ground.call("CreateManagedPrefixList", **asked, Entries=blocks)["PrefixList"]
    return {"PrefixListId": shown["PrefixListId"]}


def reservations(ground: Ground) -> None:
    for _ in range(ENOUGH):
        ground.call(
            "CreateCapacityReservation", AvailabilityZone=ground.zone, InstanceType="t3.micro",
            InstancePlatform="Linux/UNIX", InstanceCount=1,
        )  # fmt: skip


def flow_logs(ground: Ground) -> None:
    ground.raise_quota("vpc-flow-log")
    for n in range(ENOUGH):
        ground.call(
            "CreateFlowLogs", ResourceIds=[ground.default_vpc], ResourceType="VPC",
            TrafficType="ALL", LogGroupName=f"flows-{n}",
            DeliverLogsPermissionArn=f"arn:aws:iam::{ground.keys.account}:role/flows",
        )  # fmt: skip


def endpoints(ground: Ground) -> None:
    for _ in range(ENOUGH):
        service = f"com.amazonaws.{ground.region}.s3"
        ground.call("CreateVpcEndpoint", VpcId=ground.default_vpc, ServiceName=service)


def templates(ground: Ground) -> None:
    for n in range(ENOUGH):
        data = {"InstanceType": "t3.micro"}
        asked = {"LaunchTemplateName": f"template-{n}", "LaunchTemplateData": data}
        ground.call("CreateLaunchTemplate", **asked)


def versions(ground: Ground) -> Document:
    asked = {"LaunchTemplateId": ground.template()}
    for _ in range(ENOUGH):
        data = {"InstanceType": "t3.micro"}
        ground.call("CreateLaunchTemplateVersion", **asked, LaunchTemplateData=data)
    return asked


def nothing(ground: Ground) -> None:
    """The list is long as it is."""


FILLS: dict[str, Fill] = {
    "DescribeAddressesAttribute": allocated,
    "DescribeCapacityReservations": reservations,
    "DescribeCarrierGateways": carriers,
    "DescribeDhcpOptions": made("CreateDhcpOptions"),
    "DescribeEgressOnlyInternetGateways": eigws,
    "DescribeFlowLogs": flow_logs,
    "DescribeImages": images,
    "DescribeInstanceCreditSpecifications": launched,
    "DescribeInstanceStatus": launched,
    "DescribeInstanceTypeOfferings": nothing,
    "DescribeInstanceTypes": nothing,
    "DescribeInstances": launched,
    "DescribeInternetGateways": gateways,
    "DescribeLaunchTemplateVersions": versions,
    "DescribeLaunchTemplates": templates,
    "DescribeManagedPrefixLists": prefix_lists,
    "DescribeNatGateways": nats,
    "DescribeNetworkAcls": times(
        "CreateNetworkAcl", lambda ground, n: {"VpcId": ground.default_vpc}
    ),
    "DescribeNetworkInterfaces": launched,
    "DescribePrefixLists": nothing,
    "DescribeRouteTables": times(
        "CreateRouteTable", lambda ground, n: {"VpcId": ground.default_vpc}
    ),
    "DescribeSecurityGroupRules": groups,
    "DescribeSecurityGroups": groups,
    "DescribeSnapshots": snapshots,
    "DescribeSubnets": subnets,
    "DescribeTags": launched,
    "DescribeVolumeStatus": volumes,
    "DescribeVolumes": launched,
    "DescribeVolumesModifications": modified,
    "DescribeVpcEndpoints": endpoints,
    "DescribeVpcs": vpcs,
    "GetManagedPrefixListEntries": entries,
}


def test_every_served_list_that_botocore_pages_has_a_sample() -> None:
    assert sorted(FILLS) == PAGED


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A plane where nothing goes on by itself, so that a list is the same from page to page."""
    with running_plane(tmp_path_factory.mktemp("still"), runners=0) as running:
        yield running


def size_of(name: str) -> Shape:
    """The model of what a page may hold."""
    return peer.service("ec2").operation_model(name).input_shape.members["MaxResults"]


def least(name: str) -> int:
    return int(size_of(name).metadata.get("min", LEAST))


def listed(name: str, answer: Document) -> list[Document]:
    """What MaxResults counts: for reservations, their instances."""
    shown: list[Document] = answer[_PAGINATORS[name]["result_key"]]
    if name == "DescribeInstances":
        return [one for reservation in shown for one in reservation["Instances"]]
    return shown


@pytest.mark.parametrize("name", PAGED)
def test_a_paginator_shows_each_once_and_the_same_as_one_answer(still: Plane, name: str) -> None:
    ground = Ground(still, still.account(name))
    asked = FILLS[name](ground) or {}
    whole = listed(name, ground.call(name, **asked))
    size = least(name)
    paginator = ground.client.get_paginator(xform_name(name))
    pages = [
        listed(name, page)
        for page in paginator.paginate(**asked, PaginationConfig={"PageSize": size})
    ]
    if name in NOBODYS:
        assert whole == [] and pages == [[]]
        return
    assert len(whole) >= max(LEAST, size + 1), "there is more than one page of them"
    assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1), "pages are full"
    assert 1 <= len(pages[-1]) <= size
    together = [one for page in pages for one in page]
    assert together == whole
    assert len({json.dumps(one, default=str, sort_keys=True) for one in whole}) == len(whole)


@pytest.mark.parametrize("name", [one for one in PAGED if "min" in size_of(one).metadata])
def test_a_page_may_be_as_small_and_as_large_as_the_model_says(still: Plane, name: str) -> None:
    ground = Ground(still, still.account("sizes"))
    client = still.client(keys=ground.keys, parameter_validation=False)
    asked: Document = {"PrefixListId": ground.prefix_list()} if name.startswith("Get") else {}
    bounds = size_of(name).metadata
    ask = getattr(client, xform_name(name))
    for size in (bounds["min"], bounds["max"]):
        assert ask(**asked, MaxResults=size)["ResponseMetadata"]["HTTPStatusCode"] == 200
    for size in (bounds["min"] - 1, bounds["max"] + 1):
        refused = refusal(ask, **asked, MaxResults=size)
        assert refused.code in ("InvalidParameterValue", "InvalidMaxResults")
        assert refused.status == 400
