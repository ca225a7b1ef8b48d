"""Egress-only internet gateways: nothing but a declaration."""

from __future__ import annotations

from sametoken.ec2.nouns import Noun, Parents, creating, deleting, describing
from sametoken.ec2.request import Document, Request
from sametoken.resources.kinds import Kind
from sametoken.resources.vpcs import VPC
from sametoken.store.port import Tx


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    return {"Attachments": [{"State": "attached", "VpcId": request.params["VpcId"]}]}


EGRESS_ONLY = Noun(
    Kind("egress-only-internet-gateway", "eigw", "InvalidGatewayID", "egress-only gateway"),
    id="EgressOnlyInternetGatewayId",
    one="EgressOnlyInternetGateway",
    many="EgressOnlyInternetGateways",
    ids="EgressOnlyInternetGatewayIds",
    filters={},
    parents={"VpcId": VPC},
    build=_build,
    shows=frozenset({"Tags"}),
    sizes=(5, 255),
)
ACTIONS = (
    creating(EGRESS_ONLY, "CreateEgressOnlyInternetGateway"),
    describing(EGRESS_ONLY, "DescribeEgressOnlyInternetGateways"),
    deleting(
        EGRESS_ONLY, "DeleteEgressOnlyInternetGateway", result=lambda row: {"ReturnCode": True}
    ),
)
