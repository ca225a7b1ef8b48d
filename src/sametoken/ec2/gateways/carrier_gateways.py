"""Carrier gateways: a kind that is only declared. Its quota is in `resources.kit.quotas`."""

from sametoken.ec2.kit.nouns import Noun, creating, deleting, describing
from sametoken.resources.kit.kinds import Kind
from sametoken.resources.network.vpcs import VPC

CARRIER_GATEWAYS = Noun(
    Kind("carrier-gateway", "cagw", "InvalidCarrierGatewayID", "carrierGateway"),
    id="CarrierGatewayId",
    one="CarrierGateway",
    many="CarrierGateways",
    ids="CarrierGatewayIds",
    # Source: EC2 API reference, DescribeCarrierGateways, "Filters".
    filters={"carrier-gateway-id": "CarrierGatewayId", "owner-id": "OwnerId", "state": "State",
             "vpc-id": "VpcId"},
    parents={"VpcId": VPC},
    shows=frozenset({"OwnerId", "State", "Tags"}),
    echoes_token=False,
)  # fmt: skip
ACTIONS = (
    creating(CARRIER_GATEWAYS, "CreateCarrierGateway"),
    describing(CARRIER_GATEWAYS, "DescribeCarrierGateways"),
    deleting(CARRIER_GATEWAYS, "DeleteCarrierGateway", result=CARRIER_GATEWAYS.as_result),
)
