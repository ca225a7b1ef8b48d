"""Terraform makes a network with IPv6 and a machine in a reservation, and keeps what it made."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from clients.configuration import standing
from clients.terraform import require_terraform, terraform
from plane import running_plane

IPV6 = Path(__file__).parent / "ipv6"


def test_a_network_with_ipv6_is_applied_stays_unchanged_is_changed_and_destroyed(
    tmp_path: Path,
) -> None:
    require_terraform()
    with running_plane(tmp_path) as plane:
        ec2 = plane.client()
        before = standing(ec2)
        with terraform(tmp_path / "terraform", IPV6, plane.url, plane.keys) as run:
            run.apply(assigns="true")
            made = run.output()
            [address] = made["addresses"]
            assert ipaddress.IPv6Address(address) in ipaddress.IPv6Network(made["block"])
            [reservation] = ec2.describe_capacity_reservations(
                CapacityReservationIds=[made["reservation"]]
            )["CapacityReservations"]
            assert reservation["AvailableInstanceCount"] == 0
            assert run.plan(assigns="true") is None

            run.apply(assigns="false")
            assert run.output() == made, "all of it changes in place"
            assert run.plan(assigns="false") is None
            run.destroy(assigns="false")
        assert standing(ec2) == before
