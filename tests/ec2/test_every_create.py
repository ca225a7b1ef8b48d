"""Every create with a client token keeps the same promise, whatever it creates."""

from __future__ import annotations

import inspect
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ec2.asking import refusal, row_of
from ec2.samples import SAMPLES, Sample
from plane import Plane
from sametoken.ec2.catalog import ACTIONS
from sametoken.ec2.gateways import carrier_gateways
from sametoken.ec2.kit.actions import Create, regional
from sametoken.ec2.protocol.model import ServiceModel
from sametoken.idempotency import tables
from sametoken.resources.compute.instances import INSTANCE
from sametoken.resources.kit import counters, quotas, ripening
from sametoken.resources.kit.quotas import QUOTAS

MODEL = ServiceModel.load("ec2")
TAKES_TOKEN = sorted(name for name in ACTIONS if MODEL.codec(name).has_client_token)


def test_every_served_action_with_a_token_goes_through_the_engine_and_has_a_sample() -> None:
    assert [name for name in TAKES_TOKEN if not isinstance(ACTIONS[name], Create)] == []
    assert sorted(SAMPLES) == TAKES_TOKEN


def test_one_more_kind_costs_less_than_25_lines() -> None:
    """CONTRIBUTING.md shows this one. Its three actions pass every test here as they are."""
    source = inspect.getsource(carrier_gateways)
    assert source.count("\n") < 25
    assert {one.name for one in carrier_gateways.ACTIONS} == {
        "CreateCarrierGateway", "DescribeCarrierGateways", "DeleteCarrierGateway",
    }  # fmt: skip


def create_of(action: str) -> Create:
    create = ACTIONS[action]
    assert isinstance(create, Create)
    return create


@pytest.fixture(params=TAKES_TOKEN)
def action(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def sample(action: str) -> Sample:
    return SAMPLES[action]


@pytest.fixture
def client(plane: Plane, request: pytest.FixtureRequest) -> Any:
    """Of an account of the test's own, so that quotas and counts are its own too."""
    return plane.client(keys=plane.account(request.node.name[-60:]), max_pool_connections=32)


def code_of(sample: Sample, client: Any, action: str, asked: Any, token: str) -> str:
    with pytest.raises(ClientError) as refused:
        sample.call(client, action, asked, token)
    return str(refused.value.response["Error"]["Code"])


def test_a_repeat_names_the_same_resource(action: str, sample: Sample, client: Any) -> None:
    asked = sample.asked(client)
    ids = {sample.id(sample.call(client, action, asked, "again")) for _ in range(3)}
    assert len(ids) == 1


def test_thirty_two_at_once_make_one(
    action: str, sample: Sample, client: Any, plane: Plane
) -> None:
    asked = sample.asked(client)
    with ThreadPoolExecutor(32) as pool:
        answers = pool.map(lambda _: sample.call(client, action, asked, "at-once"), range(32))
        ids = {sample.id(answer) for answer in answers}
    assert len(ids) == 1
    entries = plane.run(lambda tx: tables.find_everywhere(tx, "at-once"))
    own = [one for one in entries if one.scope.action == action]
    assert 32 in [one.attempts for one in own], "each of them came to the engine"


def test_other_parameters_are_refused(action: str, sample: Sample, client: Any) -> None:
    asked = sample.asked(client)
    first = sample.id(sample.call(client, action, asked, "other"))
    told = refusal(
        sample.call, client=client, action=action, asked=sample.other(asked), token="other"
    )
    assert (told.code, told.status) == ("IdempotentParameterMismatch", 400)
    assert told.message == create_of(action).mismatch.format(token="other")
    assert sample.id(sample.call(client, action, asked, "other")) == first


def test_another_region_and_another_account_have_their_own(
    action: str, sample: Sample, plane: Plane, client: Any, request: pytest.FixtureRequest
) -> None:
    name = request.node.name[-50:]
    elsewhere = plane.client(keys=plane.account(request.node.name[-60:]), region="eu-west-1")
    stranger = plane.client(keys=plane.account(f"{name}-stranger"))
    clients = (client, elsewhere, stranger)
    ids = [sample.id(sample.call(one, action, sample.asked(one), "scoped")) for one in clients]
    assert len(set(ids)) == 3


def test_a_token_that_is_too_long_or_empty_is_refused(
    action: str, sample: Sample, client: Any
) -> None:
    longest = create_of(action).grammar.characters_max
    asked = sample.asked(client)
    assert code_of(sample, client, action, asked, "x" * (longest + 1)) == "InvalidParameterValue"
    assert code_of(sample, client, action, asked, "") == "InvalidParameterValue"
    assert sample.call(client, action, asked, "x" * longest)


def test_tokens_differ_by_case(action: str, sample: Sample, client: Any) -> None:
    asked = sample.asked(client)
    one = sample.id(sample.call(client, action, asked, "Case"))
    if not sample.natural_key:
        assert sample.id(sample.call(client, action, asked, "case")) != one


@pytest.mark.parametrize("action", [one for one in TAKES_TOKEN if create_of(one).zone != regional])
def test_another_zone_has_its_own(action: str, sample: Sample, client: Any) -> None:
    asked = sample.asked(client)
    zones = [f"{client.meta.region_name}{letter}" for letter in "abab"]
    named: list[Any] = [{"AvailabilityZone": zone} for zone in zones]
    if action == "RunInstances":
        named = [{"Placement": one} for one in named]
    ids = [sample.id(sample.call(client, action, asked | one, "zonal")) for one in named]
    assert ids[:2] == ids[2:] and ids[0] != ids[1]


def test_a_replay_after_removal_creates_nothing(
    action: str, sample: Sample, client: Any, plane: Plane
) -> None:
    asked = sample.asked(client)
    id = sample.id(sample.call(client, action, asked, "removed"))
    sample.remove(client, id)
    # What is deleted in a while is deleted now.
    plane.advance(timedelta(seconds=10))
    plane.run(ripening.ripen_due)
    if create_of(action).deleted is None:
        assert sample.id(sample.call(client, action, asked, "removed")) == id
    else:
        told = refusal(sample.call, client=client, action=action, asked=asked, token="removed")
        assert told.code == "IdempotentParameterMismatch"
        assert told.message == create_of(action).deleted


# It makes nothing that a quota counts.
UNCOUNTED = {
    "ModifyInstanceCreditSpecification",
    "ModifyLaunchTemplate",
    "MoveCapacityReservationInstances",
}


def use_up(plane: Plane, id: str) -> str:
    """Leave no room for another of the resource's kind; what another is refused with."""
    row = row_of(plane, id)
    if row.kind == INSTANCE.name:
        name, code = counters.vcpus_name(row.account, row.region), "VcpuLimitExceeded"
    else:
        name = quotas.name_of(row.kind, row.account, row.region)
        code = QUOTAS[row.kind].code
    plane.run(lambda tx: counters.set_maximum(tx, name, 0))
    return code


@pytest.mark.parametrize("action", sorted({*TAKES_TOKEN} - UNCOUNTED))
def test_a_replay_needs_no_room_in_the_quota(
    action: str, sample: Sample, client: Any, plane: Plane
) -> None:
    asked = sample.asked(client)
    id = sample.id(sample.call(client, action, asked, "counted"))
    expected = use_up(plane, id)
    assert code_of(sample, client, action, sample.other(asked), "one-more") == expected
    assert sample.id(sample.call(client, action, asked, "counted")) == id


def test_the_token_is_in_the_answer_exactly_where_the_model_has_it(
    action: str, sample: Sample, client: Any
) -> None:
    answer = sample.call(client, action, sample.asked(client), "echo")
    assert ("ClientToken" in answer) == MODEL.codec(action).echoes_client_token
