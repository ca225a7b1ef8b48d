"""Egress-only internet gateways: nothing but a declaration."""

from __future__ import annotations

from sametoken.ec2.kit.nouns import Noun, Parents, creating, deleting, describing
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol.documents import Document
from sametoken.resources.kit.kinds import Kind
from sametoken.resources.network.vpcs import VPC
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
