"""EC2's quotas: how many of a kind an account may have in a Region, a zone, or under one parent.

A new kind's quota is a row of `QUOTAS`; the creates of `ec2.nouns` keep it from there. Only new
resources are counted against it: a replay makes none. `sametoken limits` sets other maxima.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sametoken.errors import ServiceError
from sametoken.resources.kit import counters
from sametoken.resources.kit.rows import EDGE, RESOURCE, Row
from sametoken.store.port import Tx

# What a quota counts in, when that is neither a parent nor a whole Region.
ZONE = "zone"


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `maximum` at once; None: as many as one likes, until a maximum is set.

    `code` is EC2's refusal. `per` is what one count is of: "" the whole Region, `ZONE` a zone, else
    the member of the resource that names its parent.
    """

    code: str
    maximum: int | None
    per: str = ""


# EC2 names no code of its own for these.
_GENERAL = "ResourceLimitExceeded"

# Source: Service Quotas of Amazon VPC, EC2, EBS and Site-to-Site VPN, for a new account; codes from
# "Error codes for the Amazon EC2 API". EC2 counts EBS storage in TiB a type and no volumes, and
# gateway endpoints by Region, others by VPC: what is counted here is simpler. It publishes no
# number of DHCP options; capacity reservations it limits by their vCPUs.
QUOTAS: Mapping[str, Quota] = {
    "capacity-reservation": Quota("InstanceLimitExceeded", None),
    "carrier-gateway": Quota(_GENERAL, 1, per="VpcId"),
    "customer-gateway": Quota("CustomerGatewayLimitExceeded", 50),
    "dhcp-options": Quota(_GENERAL, None),
    "egress-only-internet-gateway": Quota(_GENERAL, 5),
    "elastic-ip": Quota("AddressLimitExceeded", 5),
    "image": Quota(_GENERAL, 50_000),
    "internet-gateway": Quota("InternetGatewayLimitExceeded", 5),
    "key-pair": Quota("KeyPairLimitExceeded", 5_000),
    "launch-template": Quota("MaxTemplateLimitExceeded", 5_000),
    "launch-template-version": Quota(
        "MaxTemplateVersionLimitExceeded", 10_000, per="LaunchTemplateId"
    ),
    "natgateway": Quota("NatGatewayLimitExceeded", 5, per=ZONE),
    "network-acl": Quota("NetworkAclLimitExceeded", 200, per="VpcId"),
    "network-acl-entry": Quota("NetworkAclEntryLimitExceeded", 20, per="NetworkAclId"),
    "network-interface": Quota("NetworkInterfaceLimitExceeded", 5_000),
    "placement-group": Quota("PlacementGroupLimitExceeded", 500),
    "prefix-list": Quota(_GENERAL, 100),
    "route": Quota("RouteLimitExceeded", 500, per="RouteTableId"),
    "route-table": Quota("RouteTableLimitExceeded", 200, per="VpcId"),
    "security-group": Quota("SecurityGroupLimitExceeded", 2_500),
    "security-group-rule": Quota("RulesPerSecurityGroupLimitExceeded", 60, per="GroupId"),
    "snapshot": Quota("SnapshotLimitExceeded", 100_000),
    "subnet": Quota("SubnetLimitExceeded", 200, per="VpcId"),
    "volume": Quota("VolumeLimitExceeded", None),
    "vpc": Quota("VpcLimitExceeded", 5),
    "vpc-endpoint": Quota("VpcEndpointLimitExceeded", 50, per="VpcId"),
    "vpc-flow-log": Quota("FlowLogsLimitExceeded", 2, per="ResourceId"),
    "vpn-connection": Quota("VpnConnectionLimitExceeded", 50),
    "vpn-gateway": Quota("VpnGatewayLimitExceeded", 5),
}

_LIVING = sa.select(RESOURCE.c.id).where(
    RESOURCE.c.account == sa.bindparam("account"),
    RESOURCE.c.region == sa.bindparam("region"),
    RESOURCE.c.kind == sa.bindparam("kind"),
    RESOURCE.c.gone_at.is_(None),
)
_WITHIN: sa.BindParameter[Any] = sa.bindparam("within")


def _counting(living: sa.Select[Any]) -> sa.Select[Any]:
    """How many there are, counted no further than `most`."""
    some = living.limit(sa.bindparam("most")).subquery()
    return sa.select(sa.func.count()).select_from(some)


_IN_REGION = _counting(_LIVING)
_IN_ZONE = _counting(_LIVING.where(RESOURCE.c.zone == _WITHIN))
_UNDER_PARENT = _counting(
    _LIVING.join_from(RESOURCE, EDGE, EDGE.c.child == RESOURCE.c.id).where(EDGE.c.parent == _WITHIN)
)


def name_of(what: str, account: str, region: str) -> str:
    """What `sametoken limits` calls the quota of `what`, a key of `QUOTAS`."""
    return f"{what}/{account}/{region}"


def maximum(tx: Tx, what: str, account: str, region: str) -> int | None:
    """How many may be: as was set, else as EC2 has it; None for no limit."""
    found = counters.find_maximum(tx, name_of(what, account, region))
    return QUOTAS[what].maximum if found is None else found


def refuse_beyond(tx: Tx, what: str, account: str, region: str, count: int) -> None:
    """Raise the quota's refusal if `count` of `what` were more than may be."""
    most = maximum(tx, what, account, region)
    if most is not None and count > most:
        raise ServiceError(
            QUOTAS[what].code,
            f"The maximum number of resources of the kind {what} has been reached ({most}). Delete "
            f"one, or raise it with `sametoken limits set {name_of(what, account, region)} N`.",
        )


def check(tx: Tx, row: Row, *, parent: str = "") -> None:
    """Raise its kind's quota refusal unless `row`, which is not inserted yet, may be one more.

    `parent` is the id of the parent that the quota counts under, where no member of the row has it.
    """
    most = maximum(tx, row.kind, row.account, row.region)
    if most is None:
        return
    per = QUOTAS[row.kind].per
    query = _IN_REGION if per == "" else _IN_ZONE if per == ZONE else _UNDER_PARENT
    values = {"account": row.account, "region": row.region, "kind": row.kind, "most": most}
    if per:
        values["within"] = row.zone if per == ZONE else parent or row.doc[per]
    counted = int(tx.execute(query, values).scalar_one())
    refuse_beyond(tx, row.kind, row.account, row.region, counted + 1)
