"""Egress-only internet gateways: nothing but a declaration."""

from __future__ import annotations

from sametoken.ec2.kit.nouns import Noun, Parents
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import plain
from sametoken.ec2.protocol.documents import Document
from sametoken.resources.kit.kinds import Kind, Quota
from sametoken.resources.network.vpcs import VPC
from sametoken.store.port import Tx


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    return {"Attachments": [{"State": "attached", "VpcId": request.params["VpcId"]}]}


EGRESS_ONLY = Noun(
    Kind(
        "egress-only-internet-gateway",
        "eigw",
        "InvalidGatewayID",
        "egress-only gateway",
        malformed="InvalidEgressOnlyInternetGatewayId.Malformed",
        quota=Quota(5),
    ),
    parents={"VpcId": VPC},
    build=_build,
)
ACTIONS = plain(EGRESS_ONLY)
