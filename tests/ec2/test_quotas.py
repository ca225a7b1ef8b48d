"""EC2's quotas: a full one refuses another resource, and still lets repeats be answered."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from ec2.asking import code
from ec2.ground import Ground
from exercises.catalogue import QUOTAS
from exercises.requests import EXERCISES, crowd_of, is_brought, making
from plane import Plane
from sametoken.resources.kit import counters, quotas
from sdk import Keys

Document = dict[str, Any]


KINDS = sorted(QUOTAS)


def test_every_kind_that_is_made_has_a_quota_and_every_quota_a_kind() -> None:
    made = {one.kind for one in EXERCISES if one.makes}
    # Instances have no quota of their own: their vCPUs are counted.
    assert made - {"instance"} == {*QUOTAS}


@pytest.fixture
def keys(plane: Plane, request: pytest.FixtureRequest) -> Keys:
    return plane.account(request.node.name[-60:])


def limit(plane: Plane, keys: Keys, kind: str, maximum: int) -> None:
    """Set a quota as `sametoken limits set` does."""
    name = quotas.name_of(kind, keys.account, "us-east-1")
    plane.run(lambda tx: counters.set_maximum(tx, name, maximum))


@pytest.mark.parametrize("kind", KINDS)
def test_one_too_many_is_refused_and_the_repeat_of_the_last_is_not(
    still: Plane, request: pytest.FixtureRequest, kind: str
) -> None:
    ground, asking = Ground(still, still.account(request.node.name[-60:])), making(kind)
    asked = crowd_of(ground, asking.exercise)
    params, second = asked(1), asked(2)
    standing = 1 if is_brought(kind) else 0
    ground.limit(kind, standing + 1)

    def call(params: Document, token: str) -> Document:
        return ground.call(
            asking.action, **params, **({"ClientToken": token} if asking.has_token else {})
        )

    try:
        first = call(params, "first")
    except ClientError as refused:
        pytest.fail(asking.says(f"say in `brought_by` what brings one unasked: {refused}"))
    assert code(call, params=second, token="second") == QUOTAS[kind].code
    if asking.has_token:
        again = call(params, "first")
        assert {**again, "ResponseMetadata": None} == {**first, "ResponseMetadata": None}
    # The refusal has not bound the token: once there is room, the same request succeeds.
    ground.limit(kind, standing + 2)
    call(second, "second")


def test_other_accounts_and_regions_have_quotas_of_their_own(plane: Plane, keys: Keys) -> None:
    client = plane.client(keys=keys)
    limit(plane, keys, "vpn-gateway", 0)
    asked = {"Type": "ipsec.1"}
    assert code(client.create_vpn_gateway, **asked) == "VpnGatewayLimitExceeded"
    plane.client(keys=keys, region="eu-west-1").create_vpn_gateway(**asked)
    plane.client(keys=plane.account("another")).create_vpn_gateway(**asked)


def test_what_is_gone_is_counted_no_more(plane: Plane, keys: Keys) -> None:
    client = plane.client(keys=keys)
    limit(plane, keys, "placement-group", 1)
    for name in ("one", "two"):
        client.create_placement_group(GroupName=name)
        assert code(client.create_placement_group, GroupName="more") == (
            "PlacementGroupLimitExceeded"
        )
        client.delete_placement_group(GroupName=name)


def test_a_quota_is_of_one_parent_where_ec2_has_it_so(plane: Plane, keys: Keys) -> None:
    client = plane.client(keys=keys)
    one = client.describe_vpcs()["Vpcs"][0]["VpcId"]
    other = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    limit(plane, keys, "route-table", 2)
    for id in (one, other):
        client.create_route_table(VpcId=id)
        assert code(client.create_route_table, VpcId=id) == "RouteTableLimitExceeded"


def test_the_account_attributes_tell_the_quota_that_is_set(plane: Plane, keys: Keys) -> None:
    client = plane.client(keys=keys)

    def told() -> set[str]:
        shown = client.describe_account_attributes()["AccountAttributes"]
        return {
            one["AttributeValues"][0]["AttributeValue"]
            for one in shown
            if one["AttributeName"].endswith("max-elastic-ips")
        }

    assert told() == {"5"}
    limit(plane, keys, "elastic-ip", 7)
    assert told() == {"7"}


def test_the_refusal_says_how_to_raise_the_quota(plane: Plane, keys: Keys) -> None:
    client = plane.client(keys=keys)
    limit(plane, keys, "vpn-gateway", 0)
    with pytest.raises(client.exceptions.ClientError) as refused:
        client.create_vpn_gateway(Type="ipsec.1")
    words = f"sametoken limits set vpn-gateway/{keys.account}/us-east-1 N"
    assert words in str(refused.value)
