"""Changes and deletes under a token, through the engine, as a create is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from admitting import admit
from ec2.asking import refusal
from plane import Plane
from sametoken.ec2.kit.actions import Tokened
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import DELETED, changing, deleting
from sametoken.ec2.network.subnets import SUBNETS
from sametoken.errors import ServiceError
from sametoken.idempotency import Attempt, entries, sql_engine
from sametoken.resources.kit import rows
from sametoken.resources.kit.rows import Row
from sametoken.resources.network.vpcs import SUBNET
from sametoken.server.credentials import Principal
from sametoken.server.execution import Executed, execute
from sametoken.store.port import Tx

TOKEN = "one-intent"
ENGINE = sql_engine(b"a key of this test's own", records_attempts=True)


def _count(tx: Tx, request: Request, row: Row) -> Row:
    """Count the changes, which no repeat may add to."""
    count = row.private.get("Count", 0) + 1
    return rows.change(tx, SUBNET, row, private={"Count": count})


CHANGE = changing(SUBNETS, "ModifySubnetAttribute", _count)
DELETE = deleting(SUBNETS, "DeleteSubnet")


@pytest.fixture
def ec2(plane: Plane, request: pytest.FixtureRequest) -> Any:
    return plane.client(keys=plane.account(request.node.name[-60:]))


def made(ec2: Any, number: int = 0) -> str:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24")["Subnet"]
    return str(subnet["SubnetId"])


def ask(plane: Plane, action: Tokened, id: str, token: str, **more: str) -> Executed:
    """Ask for the action as served, with a token that its model has not."""
    owner = plane.run(lambda tx: rows.find(tx, id))
    assert owner is not None
    form = {"Action": action.name, "Version": "2016-11-15", "SubnetId": id, **more}
    principal = Principal("key", owner.account, "full", "secret")
    admitted = replace(admit(form, principal, owner.region, "r"), action=action, stand_in=token)
    return plane.run(lambda tx: execute(tx, ENGINE, admitted))


def count(plane: Plane, id: str) -> int:
    row = plane.run(lambda tx: rows.find(tx, id))
    assert row is not None
    return int(row.private["Count"])


def test_a_change_is_made_once_under_its_token(plane: Plane, ec2: Any) -> None:
    id = made(ec2)
    first, again = (ask(plane, CHANGE, id, TOKEN + id) for _ in range(2))
    assert (first.attempt, again.attempt) == (Attempt.NEW, Attempt.REPLAY)
    assert (first.result, count(plane, id)) == (again.result, 1)
    other = {"MapPublicIpOnLaunch.Value": "true"}
    assert ask(plane, CHANGE, id, TOKEN + id, **other).attempt == Attempt.MISMATCH
    assert count(plane, id) == 1
    assert ask(plane, CHANGE, id, f"other-{id}").attempt == Attempt.NEW
    assert count(plane, id) == 2


def test_a_change_of_what_is_gone_is_no_longer_answered(plane: Plane, ec2: Any) -> None:
    id = made(ec2)
    ask(plane, CHANGE, id, TOKEN + id)
    ec2.delete_subnet(SubnetId=id)
    with pytest.raises(ServiceError, match=DELETED):
        ask(plane, CHANGE, id, TOKEN + id)


def test_a_delete_is_answered_again_and_what_is_made_anew_stays(plane: Plane, ec2: Any) -> None:
    id = made(ec2)
    assert ask(plane, DELETE, id, TOKEN + id).attempt == Attempt.NEW
    anew = made(ec2)
    assert ask(plane, DELETE, id, TOKEN + id).attempt == Attempt.REPLAY
    assert ask(plane, DELETE, anew, TOKEN + id).attempt == Attempt.MISMATCH
    assert ec2.describe_subnets(SubnetIds=[anew])["Subnets"]


def test_a_refused_delete_leaves_no_entry(plane: Plane, ec2: Any) -> None:
    id = made(ec2)
    interface = ec2.create_network_interface(SubnetId=id)["NetworkInterface"]
    with pytest.raises(ServiceError) as refused:
        ask(plane, DELETE, id, TOKEN + id)
    assert refused.value.code == "DependencyViolation"
    assert plane.run(lambda tx: entries.find_everywhere(tx, TOKEN + id)) == []
    ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
    assert ask(plane, DELETE, id, TOKEN + id).attempt == Attempt.NEW
    assert refusal(ec2.delete_subnet, SubnetId=id).code == "InvalidSubnetID.NotFound"
