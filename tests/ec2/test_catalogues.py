"""Built-in Regions, zones, images and instance types, and the actions that show them."""

from __future__ import annotations

import html
import importlib.util
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.model import ServiceModel, Shape
from botocore.session import get_session

from sametoken.ec2.account.geography import (
    REGION_FILTERS,
    ZONE_FILTERS,
    describe_availability_zones,
    describe_regions,
)
from sametoken.ec2.compute.instance_types import (
    OFFERING_FILTERS,
    TYPE_FILTERS,
    describe_instance_type_offerings,
    describe_instance_types,
)
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.storage.image_forms import IMAGE_FILTERS, describe_images
from sametoken.errors import ServiceError
from sametoken.resources.catalogues.geography import REGIONS, zone_by_id, zone_by_name, zones_of
from sametoken.resources.catalogues.instance_types import INSTANCE_TYPES, derived, describe

REPOSITORY = Path(__file__).parents[2]
WRITER = "docs/instance_types.py"
ACCOUNT = "000000000001"
OPERATIONS: dict[str, Callable[[Request], Document]] = {
    "DescribeRegions": describe_regions,
    "DescribeAvailabilityZones": describe_availability_zones,
    "DescribeImages": describe_images,
    "DescribeInstanceTypes": describe_instance_types,
    "DescribeInstanceTypeOfferings": describe_instance_type_offerings,
}
TABLES: dict[str, Mapping[str, Any]] = {
    "DescribeRegions": REGION_FILTERS,
    "DescribeAvailabilityZones": ZONE_FILTERS,
    "DescribeImages": IMAGE_FILTERS,
    "DescribeInstanceTypes": TYPE_FILTERS,
    "DescribeInstanceTypeOfferings": OFFERING_FILTERS,
}


@cache
def model() -> ServiceModel:
    return get_session().get_service_model("ec2")


def ask(action: str, region: str = "us-east-1", **params: Any) -> Document:
    return OPERATIONS[action](request(action, region, **params))


def request(action: str, region: str = "us-east-1", **params: Any) -> Request:
    return Request(ACCOUNT, region, action, params, "r-1", "AKIA", "full")


def f(name: str, *values: str) -> Document:
    return {"Name": name, "Values": list(values)}


def refusal(action: str, **params: Any) -> tuple[str, str]:
    with pytest.raises(ServiceError) as caught:
        ask(action, **params)
    return caught.value.code, caught.value.message


SEVERITIES = ("informational", "low", "medium", "high", "critical")
PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "double": (int, float),
    "timestamp": (datetime,),
}


def check(value: Any, shape: Shape, where: str) -> None:
    """Assert that `value` fits `shape`: its members, types and enums."""
    match shape.type_name:
        case "structure":
            assert isinstance(value, dict) and value.keys() <= shape.members.keys(), where
            for name, one in value.items():
                check(one, shape.members[name], f"{where}.{name}")
        case "list":
            assert isinstance(value, list), where
            for one in value:
                check(one, shape.member, f"{where}[]")
        case kind:
            assert type(value) in PYTHON_TYPES[kind], f"{where}: {value!r}"
            # The model's enum has `Windows`; its documentation and EC2 itself have `windows`.
            enum = [] if where.endswith(".Platform") else getattr(shape, "enum", [])
            assert not enum or value in enum, f"{where}: {value!r}"


@pytest.mark.parametrize(
    ("action", "params"),
    [
        ("DescribeRegions", {"AllRegions": True}),
        ("DescribeAvailabilityZones", {"AllAvailabilityZones": True}),
        ("DescribeImages", {"IncludeDeprecated": True}),
        ("DescribeImages", {"MaxResults": 5}),
        ("DescribeInstanceTypes", {}),
        ("DescribeInstanceTypes", {"MaxResults": 5}),
        ("DescribeInstanceTypeOfferings", {"LocationType": "availability-zone"}),
    ],
)
def test_every_answer_fits_botocores_output_shape(action: str, params: dict[str, Any]) -> None:
    answer = ask(action, **params)
    check(answer, model().operation_model(action).output_shape, action)
    assert any(answer.values()), "an empty answer proves nothing"


def documented_filters(action: str) -> list[str]:
    text = model().operation_model(action).input_shape.members["Filters"].documentation
    items = re.findall(r"<li>\s*<p>\s*<code>([^<]+)</code>\s*[-–]", text)
    return [html.unescape(item) for item in items]


@pytest.mark.parametrize(("action", "least"), list(zip(TABLES, (3, 11, 50, 55, 2), strict=True)))
def test_every_filter_that_the_model_documents_is_known(action: str, least: int) -> None:
    names = documented_filters(action)
    # The description of a filter lists the severities of a scan as if they were filters.
    names = [name for name in names if name not in SEVERITIES]
    assert len(names) >= least, "the documentation was not understood"
    for name in names:
        ask(action, Filters=[f(name.replace("<key>", "Name"), "*")])


def names_of(answer: Document) -> list[str]:
    return [one["RegionName"] for one in answer["Regions"]]


def test_the_catalogue_has_every_region_of_the_aws_partition() -> None:
    loader = get_session().get_component("data_loader")
    partition = loader.load_data("endpoints")["partitions"][0]
    assert partition["partition"] == "aws"
    assert {name: region.long_name for name, region in REGIONS.items()} == {
        name: one["description"] for name, one in partition["regions"].items()
    }


def test_zones_are_named_as_ec2_names_them() -> None:
    assert [zone.name[-1] for zone in zones_of("us-east-1")] == list("abcdef")
    assert [zone.id for zone in zones_of("us-west-2")] == [f"usw2-az{n}" for n in range(1, 5)]
    assert {len(zones_of(name)) for name in REGIONS if name not in ("us-east-1", "us-west-2")} == {
        3
    }
    ids = ("use1-az1", "apne1-az1", "apse2-az1", "aps1-az1", "cac1-az1", "ilc1-az1", "eun1-az1")
    for zone_id in ids:
        zone = zone_by_id(zone_id)
        assert zone is not None and zone_by_name(zone.name) is zone
    assert zone_by_name("us-east-1g") is None and zone_by_id("use1-az9") is None
    assert zones_of("nowhere-1") == ()


def test_regions_are_chosen_by_name_and_filter() -> None:
    assert len(names_of(ask("DescribeRegions"))) == len(REGIONS)
    assert names_of(ask("DescribeRegions", RegionNames=["eu-west-1", "af-south-1"])) == [
        "af-south-1",
        "eu-west-1",
    ]
    by_status = ask("DescribeRegions", Filters=[f("opt-in-status", "opt-in-not-required")])
    assert len(names_of(by_status)) == 17
    by_endpoint = ask("DescribeRegions", Filters=[f("endpoint", "*.eu-west-?.*")])
    assert names_of(by_endpoint) == ["eu-west-1", "eu-west-2", "eu-west-3"]
    assert refusal("DescribeRegions", RegionNames=["zz-1", "yy-1"]) == (
        "InvalidParameterValue",
        "Invalid region: [yy-1]",
    )


def test_zones_are_those_of_the_request_s_region_chosen_by_name_id_and_filter() -> None:
    def zones(region: str = "us-east-1", **params: Any) -> list[str]:
        answer = ask("DescribeAvailabilityZones", region, **params)
        return [one["ZoneName"] for one in answer["AvailabilityZones"]]

    assert zones("eu-west-1") == ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
    assert zones(ZoneNames=["us-east-1b"]) == ["us-east-1b"]
    assert zones(ZoneIds=["use1-az6"], AllAvailabilityZones=True) == ["us-east-1f"]
    assert zones(ZoneNames=["us-east-1a"], ZoneIds=["use1-az2"]) == []
    assert zones(Filters=[f("zone-name", "*-1c"), f("state", "available")]) == ["us-east-1c"]
    assert zones(Filters=[f("group-name", "us-east-1-zg-1")]) == zones()
    assert zones(Filters=[f("parent-zone-id", "*")]) == []
    for params, message in (
        ({"ZoneNames": ["us-east-1a", "eu-west-1a"]}, "Invalid availability zone: [eu-west-1a]"),
        ({"ZoneIds": ["zz-az9"]}, "Invalid availability zone-id: [zz-az9]"),
    ):
        assert refusal("DescribeAvailabilityZones", **params) == ("InvalidParameterValue", message)


@pytest.mark.parametrize(
    ("name", "vcpus", "gib", "limits", "network"),
    [
        ("t2.nano", 1, 0.5, (2, 2), "Low to Moderate"),
        ("t3.micro", 2, 1, (2, 2), "Up to 5 Gigabit"),
        ("t3a.small", 2, 2, (2, 4), "Up to 5 Gigabit"),
        ("m5.24xlarge", 96, 384, (15, 50), "25 Gigabit"),
        ("c5.9xlarge", 36, 72, (8, 30), "12 Gigabit"),
        ("m6g.medium", 1, 4, (2, 4), "Up to 10 Gigabit"),
        ("r6i.32xlarge", 128, 1024, (15, 50), "50 Gigabit"),
        ("m7i.metal-24xl", 96, 384, (15, 50), "37.5 Gigabit"),
        ("c7g.16xlarge", 64, 128, (15, 50), "30 Gigabit"),
        ("i3.large", 2, 15.25, (3, 10), "Up to 10 Gigabit"),
        ("g5.48xlarge", 192, 768, (7, 50), "100 Gigabit"),
        ("inf1.24xlarge", 96, 192, (11, 30), "100 Gigabit"),
    ],
)
def test_known_types_have_their_known_figures(
    name: str, vcpus: int, gib: float, limits: tuple[int, int], network: str
) -> None:
    one = INSTANCE_TYPES[name]
    assert (one.vcpus, one.fact("MemoryInfo.SizeInMiB")) == (vcpus, int(gib * 1024))
    assert (one.interfaces, one.ipv4_per_interface) == limits
    assert one.told("NetworkInfo.NetworkPerformance") == network


def test_every_type_that_botocore_knows_is_there_and_adds_up() -> None:
    assert INSTANCE_TYPES.keys() == set(model().shape_for("InstanceType").enum)
    for name, one in INSTANCE_TYPES.items():
        assert one.cores * one.threads_per_core == one.vcpus, name
        assert one.fact("MemoryInfo.SizeInMiB") > 0 and one.architectures, name
        assert one.interfaces > 0 and one.ipv4_per_interface > 0, name
        assert one.fact("BareMetal") == (one.fact("Hypervisor") is None), name
        cards = one.told("NetworkInfo.NetworkCards")
        assert sum(card["MaximumNetworkInterfaces"] for card in cards) == one.interfaces, name
        cores = one.told("VCpuInfo.ValidCores")
        assert one.fact("BareMetal") or cores is None or cores[-1] == one.cores, name
    assert derived() < INSTANCE_TYPES.keys()
    assert "p3.2xlarge" in derived() and "m5.large" not in derived()


def test_only_the_families_that_are_asked_for_are_decoded() -> None:
    fresh: Any = type(INSTANCE_TYPES)()
    assert fresh["t3.micro"] == INSTANCE_TYPES["t3.micro"]
    assert "x.invalid" not in fresh and "invalid" not in fresh
    assert list(fresh._families) == ["t3"]


def test_the_file_is_as_its_generator_writes_it() -> None:
    spec = importlib.util.spec_from_file_location("instance_types", REPOSITORY / WRITER)
    assert spec is not None and spec.loader is not None
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    facts = {name: writer.facts_of(describe(one)) for name, one in INSTANCE_TYPES.items()}
    assert writer.written(facts, derived()) == writer.FILE.read_text()


def types_of(**params: Any) -> list[str]:
    return [one["InstanceType"] for one in ask("DescribeInstanceTypes", **params)["InstanceTypes"]]


def test_types_are_chosen_by_name_and_filter() -> None:
    assert types_of(InstanceTypes=["t3.micro", "m5.large", "t3.micro"]) == ["m5.large", "t3.micro"]
    found = types_of(
        Filters=[
            f("vcpu-info.default-vcpus", "2"),
            f("memory-info.size-in-mib", "4096"),
            f("processor-info.supported-architecture", "arm64"),
        ]
    )
    assert {"c6g.large", "c7g.large", "c8g.large", "t4g.medium"} <= set(found)
    assert all(INSTANCE_TYPES[name].vcpus == 2 for name in found)
    disks = [f("instance-storage-info.disk.size-in-gb", "75"), f("instance-type", "m5*")]
    assert types_of(Filters=disks) == ["m5ad.large", "m5d.large", "m5dn.large"]
    assert (
        types_of(Filters=[f("vcpu-info.valid-threads-per-core", "1,2"), f("bare-metal", "true")])
        == []
    )
    assert "t3.micro" in types_of(Filters=[f("free-tier-eligible", "true")])
    assert refusal("DescribeInstanceTypes", InstanceTypes=["t3.nano", "x.invalid"]) == (
        "InvalidInstanceType",
        "The following supplied instance types do not exist: [x.invalid]",
    )


@pytest.mark.parametrize(
    ("location_type", "locations"),
    [
        (None, ["us-west-2"]),
        ("region", ["us-west-2"]),
        ("availability-zone", [f"us-west-2{letter}" for letter in "abcd"]),
        ("availability-zone-id", [f"usw2-az{number}" for number in range(1, 5)]),
        ("outpost", []),
    ],
)
def test_offerings_name_every_location_of_the_region(
    location_type: str | None, locations: list[str]
) -> None:
    params = {"LocationType": location_type} if location_type else {}
    answer = ask(
        "DescribeInstanceTypeOfferings",
        "us-west-2",
        Filters=[f("instance-type", "t3.micro"), f("location", "us*")],
        **params,
    )["InstanceTypeOfferings"]
    assert [one["Location"] for one in answer] == locations


def test_an_unknown_location_type_is_refused() -> None:
    assert refusal("DescribeInstanceTypeOfferings", LocationType="planet")[0] == (
        "InvalidParameterValue"
    )
