"""The settings that limit a counter: its own, else its families', the most particular first."""

from __future__ import annotations

from sametoken.resources.kit import counters


def test_capacity_is_counted_per_zone_and_type() -> None:
    assert counters.capacity_name("us-east-1a", "t3.micro") == "capacity/us-east-1a/t3.micro"


def test_vcpus_are_counted_per_account_and_region() -> None:
    assert counters.vcpus_name("000000000001", "us-east-1") == "vcpus/000000000001/us-east-1"


def test_a_counters_own_limit_comes_before_its_families() -> None:
    assert counters._families("capacity/us-east-1a/t3.micro") == [
        "capacity/us-east-1a/t3.micro",
        "capacity/us-east-1a/*",
        "capacity/*/t3.micro",
        "capacity/*/*",
    ]


def test_names_of_two_counters_are_never_alike() -> None:
    names = {counters.capacity_name(zone, size) for zone in "ab" for size in ("x", "y")}
    names |= {counters.vcpus_name(account, region) for account in "ab" for region in ("x", "y")}
    assert len(names) == 8
