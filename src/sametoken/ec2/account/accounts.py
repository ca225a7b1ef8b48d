"""DescribeAccountAttributes: limits and defaults of an account in a Region."""

from __future__ import annotations

from sametoken.ec2.kit.actions import Action, Read
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.resources.kit import quotas
from sametoken.resources.network import default_vpc
from sametoken.resources.network.elastic_addresses import ELASTIC_ADDRESS
from sametoken.store.port import Tx

# _FIXED are answers that depend on nothing here. Instances are limited by vCPUs and zone, not by
# number; the value is EC2's own for a new account.
_FIXED = {
    "max-instances": "20",
    "supported-platforms": "VPC",
    "vpc-max-security-groups-per-interface": "5",
}
_DEFAULT_VPC = "default-vpc"
# Names of the Elastic addresses' quota, the older one too.
_ADDRESSES = ("max-elastic-ips", "vpc-max-elastic-ips")


def describe_account_attributes(tx: Tx, request: Request) -> Document:
    """Return the attributes asked for; all of them when the request names none."""
    default = default_vpc.find(tx, request.account, request.region)
    addresses = quotas.maximum(tx, ELASTIC_ADDRESS.name, request.account, request.region)
    # EC2 answers "none" for an account without a default VPC.
    values = {
        **_FIXED,
        **dict.fromkeys(_ADDRESSES, str(addresses)),
        _DEFAULT_VPC: "none" if default is None else default.id,
    }
    asked = request.params.get("AttributeNames") or sorted(values)
    for name in asked:
        if name not in values:
            raise refusals.invalid_value(
                "attributeName", name[:200], f"Use one of: {', '.join(sorted(values))}."
            )
    shown = [
        {"AttributeName": name, "AttributeValues": [{"AttributeValue": values[name]}]}
        for name in asked
    ]
    return {"AccountAttributes": shown}


ACTIONS: tuple[Action, ...] = (Read("DescribeAccountAttributes", describe_account_attributes),)
