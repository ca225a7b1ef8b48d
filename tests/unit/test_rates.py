"""Rates of token buckets: how an operator writes them, and the buckets that EC2 documents."""

from __future__ import annotations

import pytest

from sametoken.ec2.catalog import ACTIONS
from sametoken.ec2.protocol.model import read_description
from sametoken.errors import Misconfigured
from sametoken.server import ec2_buckets
from sametoken.server.rates import (
    Rate,
    bucket_of,
    ec2_rates,
    everything_of,
    read_rates,
    resources_of,
)

EC2 = ec2_rates()


def test_rates_are_read_as_an_operator_writes_them() -> None:
    rates = read_rates(["RunInstances=2:5", "*=0.5:100"])
    assert rates == {"RunInstances": Rate(2.0, 5), "*": Rate(0.5, 100)}


@pytest.mark.parametrize(
    "text",
    ["", "EC2", "RunInstances", "RunInstances=2", "=2:5", "A=0:5", "A=1:0", "A=-1:2", "A=nan:2"],
)
def test_a_rate_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(Misconfigured, match="PER_SECOND:BURST") as refused:
        read_rates([text])
    assert repr(text) in str(refused.value)


def test_two_rates_for_one_action_are_refused() -> None:
    with pytest.raises(Misconfigured, match="two rates"):
        read_rates(["CreateVpc=1:1", "CreateVpc=2:2"])


def test_a_rate_of_an_action_that_is_not_served_is_refused() -> None:
    with pytest.raises(Misconfigured, match=r"'RunInstance' is no .* Did you mean RunInstances"):
        read_rates(["RunInstance=1:1"])


def test_a_rate_of_one_s_own_stands_instead_of_ec2_s() -> None:
    rates = read_rates(["ec2", "DescribeInstances=1:1", "RunInstances=7:7"])
    assert rates["DescribeInstances"] == Rate(1.0, 1)
    assert everything_of("DescribeInstances") not in rates
    assert rates["RunInstances"] == Rate(7.0, 7)
    assert rates[resources_of("RunInstances")] == Rate(2, 1000)
    with pytest.raises(Misconfigured, match=r"'\*' would be for none"):
        read_rates(["ec2", "*=1:1"])


def test_every_action_that_is_served_has_a_bucket_of_its_own() -> None:
    buckets = {action: bucket_of(EC2, action, {"MaxResults": "5"}) for action in ACTIONS}
    assert buckets == {action: action for action in ACTIONS}
    assert bucket_of(EC2, "NoSuchAction", {}) is None
    assert bucket_of({}, "RunInstances", {}) is None


def test_every_action_of_the_table_is_one_of_the_model_and_stands_there_once() -> None:
    names = [name for every in ec2_buckets.OWN.values() for name in every.split()]
    assert len(names) == len(set(names))
    known = read_description("ec2")["operations"]
    assert {*names, *ec2_buckets.LISTINGS, *ec2_buckets.OF_RESOURCES} <= known.keys()


@pytest.mark.parametrize(
    ("name", "burst", "per_second"),
    [
        ("DescribeVpcs", 100, 20),
        ("GetConsoleOutput", 100, 20),
        ("CreateVpc", 50, 5),
        ("StopInstances", 50, 5),
        ("AuthorizeSecurityGroupIngress", 50, 5),
        ("RunInstances", 5, 2),
        ("TerminateInstances", 100, 5),
        ("CreateTags", 100, 10),
        ("CreateNatGateway", 10, 1),
        ("CreateVpcEndpoint", 4, 0.3),
        ("CreateDefaultVpc", 1, 1),
        (everything_of("DescribeInstances"), 50, 10),
        (everything_of("DescribeVolumes"), 50, 10),
        (resources_of("RunInstances"), 1000, 2),
        (resources_of("StopInstances"), 1000, 20),
    ],
)
def test_figures_are_those_that_ec2_documents(name: str, burst: int, per_second: float) -> None:
    assert EC2[name] == Rate(per_second, burst)


@pytest.mark.parametrize(
    ("form", "is_whole"),
    [
        ({}, True),
        ({"InstanceId.1": "i-1"}, True),
        ({"MaxResults": "100"}, False),
        ({"NextToken": "more"}, False),
        ({"Filter.1.Name": "tag:a", "Filter.1.Value.1": "b"}, False),
    ],
)
def test_a_listing_of_everything_takes_from_a_smaller_bucket(
    form: dict[str, str], is_whole: bool
) -> None:
    for action in ec2_buckets.LISTINGS & ACTIONS.keys():
        whole = everything_of(action)
        assert bucket_of(EC2, action, form) == (whole if is_whole else action)
    assert bucket_of(EC2, "DescribeVpcs", form) == "DescribeVpcs"
