"""Interfaces of a VPC endpoint: one in each of its subnets, with the address that is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.kit import rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import interfaces
from sametoken.resources.network.interfaces import INTERFACE
from sametoken.store.port import Tx

# A subnet of an endpoint, with the address of the endpoint's interface in it.
CONFIGURATION = {"SubnetId": None, "Ipv4": None}


def asked_addresses(configurations: Sequence[Document], subnets: Sequence[str]) -> dict[str, str]:
    """The addresses that `SubnetConfigurations` names, by subnet; each must be one of `subnets`."""
    for one in configurations:
        if one.get("SubnetId") not in subnets:
            raise refusals.invalid_combination(
                f"SubnetConfigurations names {one.get('SubnetId')}, which is no subnet of the "
                "endpoint"
            )
    return {one["SubnetId"]: one["Ipv4"] for one in configurations if "Ipv4" in one}


def refuse_zone_twice(subnets: Sequence[Row]) -> None:
    """Refuse two subnets in one zone. Source: ERR."""
    seen = set[str]()
    for subnet in subnets:
        if subnet.zone in seen:
            raise ServiceError(
                "DuplicateSubnetsInSameZone",
                "Found another VPC endpoint subnet in the availability zone of "
                f"{subnet.id}. VPC endpoint subnets should be in different availability zones "
                "supported by the VPC endpoint service.",
            )
        seen.add(subnet.zone)


def make(
    tx: Tx, endpoint: Row, subnets: Sequence[Row], groups: list[Row], at: Mapping[str, str]
) -> list[str]:
    """Make an interface in each of `subnets`, with its address in `at` or any; return their ids."""
    made = [
        interfaces.plan_row(
            tx,
            id=mint(tx, INTERFACE.prefix),
            account=endpoint.account,
            region=endpoint.region,
            subnet=subnet,
            groups=groups,
            address=at.get(subnet.id),
            instance=None,
            spec={
                "Description": f"VPC Endpoint Interface {endpoint.id}",
                "InterfaceType": "vpc_endpoint",
            },
        )
        for subnet in subnets
    ]
    if made:
        rows.insert(tx, made)
    return [one.id for one in made]


def remove(tx: Tx, endpoint: Row, subnets: Sequence[str]) -> list[str]:
    """End the endpoint's interfaces in `subnets`; return the ids of those that stay."""
    standing = rows.by_ids(tx, endpoint.doc["NetworkInterfaceIds"], lock=True)
    for one in standing.values():
        if one.doc["SubnetId"] in subnets:
            interfaces.delete(tx, one, cause="its endpoint leaves the subnet")
    return [id for id, one in standing.items() if one.doc["SubnetId"] not in subnets]
