"""Every create with a client token keeps the same promise, whatever it creates."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ec2.samples import SAMPLES, Sample
from plane import Plane
from sametoken.ec2.actions import Create
from sametoken.ec2.catalog import ACTIONS
from sametoken.ec2.model import ServiceModel
from sametoken.idempotency import tables

MODEL = ServiceModel.load("ec2")
TAKES_TOKEN = sorted(name for name in ACTIONS if MODEL.operation(name).has_client_token)


def test_every_served_action_with_a_token_goes_through_the_engine_and_has_a_sample() -> None:
    assert [name for name in TAKES_TOKEN if not isinstance(ACTIONS[name], Create)] == []
    assert sorted(SAMPLES) == TAKES_TOKEN


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
    return plane.client(keys=plane.account(request.node.name[:60]), max_pool_connections=32)


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
    other = sample.other(asked)
    assert code_of(sample, client, action, other, "other") == "IdempotentParameterMismatch"
    assert sample.id(sample.call(client, action, asked, "other")) == first


def test_another_region_and_another_account_have_their_own(
    action: str, sample: Sample, plane: Plane, client: Any, request: pytest.FixtureRequest
) -> None:
    name = request.node.name[:50]
    elsewhere = plane.client(keys=plane.account(request.node.name[:60]), region="eu-west-1")
    stranger = plane.client(keys=plane.account(f"{name}-stranger"))
    clients = (client, elsewhere, stranger)
    ids = [sample.id(sample.call(one, action, sample.asked(one), "scoped")) for one in clients]
    assert len(set(ids)) == 3


def test_a_token_that_is_too_long_or_empty_is_refused(
    action: str, sample: Sample, client: Any
) -> None:
    create = ACTIONS[action]
    assert isinstance(create, Create)
    longest = create.grammar.characters_max
    asked = sample.asked(client)
    assert code_of(sample, client, action, asked, "x" * (longest + 1)) == "InvalidParameterValue"
    assert code_of(sample, client, action, asked, "") == "InvalidParameterValue"
    assert sample.call(client, action, asked, "x" * longest)


def test_tokens_differ_by_case(action: str, sample: Sample, client: Any) -> None:
    asked = sample.asked(client)
    one = sample.id(sample.call(client, action, asked, "Case"))
    if not sample.natural_key:
        assert sample.id(sample.call(client, action, asked, "case")) != one


def test_a_replay_after_removal_creates_nothing(action: str, sample: Sample, client: Any) -> None:
    if sample.remove is None:
        return
    asked = sample.asked(client)
    id = sample.id(sample.call(client, action, asked, "removed"))
    sample.remove(client, id)
    assert code_of(sample, client, action, asked, "removed") == "IdempotentParameterMismatch"


def test_the_token_is_in_the_answer_exactly_where_the_model_has_it(
    action: str, sample: Sample, client: Any
) -> None:
    answer = sample.call(client, action, sample.asked(client), "echo")
    assert ("ClientToken" in answer) == MODEL.operation(action).echoes_client_token
