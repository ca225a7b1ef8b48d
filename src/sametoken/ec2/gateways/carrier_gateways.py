"""Carrier gateways: a noun without logic of its own."""

from sametoken.ec2.kit.nouns import Noun
from sametoken.ec2.kit.repeats import conflicts
from sametoken.ec2.kit.verbs import plain
from sametoken.resources.kit.kinds import GENERAL_QUOTA_CODE, Kind, Quota
from sametoken.resources.network.vpcs import VPC

CARRIER_GATEWAYS = Noun(
    Kind(
        "carrier-gateway",
        "cagw",
        "InvalidCarrierGatewayID",
        "carrierGateway",
        malformed=None,
        quota=Quota(1, per="VpcId"),
    ),
    parents={"VpcId": VPC},
)
# A VPC has one; EC2 has no code of its own for a second.
ACTIONS = plain(CARRIER_GATEWAYS, repeats=conflicts(GENERAL_QUOTA_CODE, "DER"))
