"""DHCP options: sets that VPCs are associated with. Their values are stored, and not served."""

from __future__ import annotations

from sametoken.ec2.kit.actions import Action, Change
from sametoken.ec2.kit.nouns import Noun, Parents
from sametoken.ec2.kit.repeats import same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating, deleting, describing
from sametoken.ec2.network.dhcp_values import combined
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
# _NONE is AssociateDhcpOptions' id for no options at all.
_NONE = "default"


def _validate(request: Request) -> None:
    given = request.params["DhcpConfigurations"]
    if not given:
        raise refusals.missing_parameter("dhcpConfigurations")
    combined(given)


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    return {"DhcpConfigurations": combined(request.params["DhcpConfigurations"])}


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
