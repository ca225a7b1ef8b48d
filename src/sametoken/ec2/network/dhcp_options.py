"""DHCP options: sets that VPCs are associated with. Their values are stored, and not served."""

from __future__ import annotations

from sametoken.ec2.kit.actions import Action, Change
from sametoken.ec2.kit.nouns import Noun, Parents
from sametoken.ec2.kit.repeats import same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating, deleting, describing
from sametoken.ec2.network.vpcs import get_vpc
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.resources.kit import rows
from sametoken.resources.network.vpcs import DHCP_OPTIONS, VPC
from sametoken.store.port import Tx

# Filters of DescribeDhcpOptions whose names are not their paths.
DHCP_OPTIONS_PATHS = {
    "key": "DhcpConfigurations[].Key",
    "value": "DhcpConfigurations[].Values[].Value",
}
# Source: EC2 API reference, CreateDhcpOptions: each option, and how many values it may have.
_VALUES_MAX = {
    "domain-name": 1,
    "domain-name-servers": 4,
    "ipv6-address-preferred-lease-time": 1,
    "netbios-name-servers": 4,
    "netbios-node-type": 1,
    "ntp-servers": 8,
}
# _NONE is AssociateDhcpOptions' id for no options at all.
_NONE = "default"


def _validate(request: Request) -> None:
    given = request.params["DhcpConfigurations"]
    if not given:
        raise refusals.missing_parameter("dhcpConfiguration")
    for one in given:
        key, values = one.get("Key", ""), one.get("Values", [])
        if key not in _VALUES_MAX:
            raise refusals.invalid_value(
                "dhcpConfiguration.key", key[:200], f"Use one of: {', '.join(_VALUES_MAX)}."
            )
        if not 1 <= len(values) <= _VALUES_MAX[key]:
            raise refusals.invalid_value(
                key, ", ".join(values)[:200], f"Give 1 to {_VALUES_MAX[key]} values."
            )
    keys = [one["Key"] for one in given]
    if len(set(keys)) < len(keys):
        raise refusals.invalid_value("dhcpConfiguration.key", keys, "A key is given twice.")


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    configurations = [
        {"Key": one["Key"], "Values": [{"Value": value} for value in one["Values"]]}
        for one in request.params["DhcpConfigurations"]
    ]
    return {"DhcpConfigurations": configurations}


DHCP_OPTION_SETS = Noun(
    DHCP_OPTIONS,
    paths=DHCP_OPTIONS_PATHS,
    accepts={"DhcpConfigurations": None},
    build=_build,
)


def associate(tx: Tx, request: Request) -> Document:
    """Associate a VPC with another set, or none. Repeating this succeeds."""
    wanted, vpc = request.params["DhcpOptionsId"], get_vpc(tx, request, lock=True)
    if wanted != _NONE:
        rows.get(tx, DHCP_OPTIONS, request.account, request.region, [wanted], lock=True)
    if wanted != vpc.doc["DhcpOptionsId"]:
        rows.unlink(tx, vpc.doc["DhcpOptionsId"], vpc.id)
        if wanted != _NONE:
            rows.link(tx, wanted, vpc.id)
        rows.change(tx, VPC, vpc, DhcpOptionsId=wanted)
    return {}


ACTIONS: tuple[Action, ...] = (
    creating(DHCP_OPTION_SETS, "CreateDhcpOptions", validate=_validate),
    describing(DHCP_OPTION_SETS),
    deleting(DHCP_OPTION_SETS, "DeleteDhcpOptions"),
    Change("AssociateDhcpOptions", associate, repeats=same("DER")),
)
