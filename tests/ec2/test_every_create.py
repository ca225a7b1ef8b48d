"""Every action with a client token keeps the same promises: repeats, scope, mismatch, quota."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ec2.asking import Refusal, refusal, row_of
from ec2.ground import Ground
from exercises import catalogue, requests
from exercises.catalogue import ACTIONS, QUOTAS, Tokened, tokened, zone_in
from exercises.requests import Request
from plane import Plane
from sametoken.operate.opened import Opened
from sametoken.operate.story.telling import tell
from sametoken.resources.compute.instances import INSTANCE
from sametoken.resources.kit import counters

Document = dict[str, Any]
TOKEN_TAKING = catalogue.with_token()


def test_every_served_action_with_a_token_goes_through_the_engine_and_is_asked() -> None:
    for action in TOKEN_TAKING:
        assert isinstance(ACTIONS[action], Tokened), f"{action} takes a token and ignores it"
        asking = requests.request(action)
        assert asking.other is not None, asking.says("say in `other` what other parameters are")


@pytest.fixture(params=TOKEN_TAKING)
def action(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def asking(action: str) -> Request:
    return requests.request(action)


@pytest.fixture
def ground(still: Plane, request: pytest.FixtureRequest) -> Ground:
    """Return the ground of an account that only this test uses, with quotas of its own."""
    return Ground(still, still.account(request.node.name[-60:]))


def ask(ground: Ground, asking: Request, asked: Document, token: str) -> Document:
    return ground.call(asking.action, **asked, ClientToken=token)


def made(ground: Ground, asking: Request, asked: Document, token: str) -> str:
    """Make the request, and return the id of the resource that it made now or before."""
    return asking.id(ask(ground, asking, asked, token))


def refused(ground: Ground, asking: Request, asked: Document, token: str) -> Refusal:
    return refusal(ask, ground=ground, asking=asking, asked=asked, token=token)


def test_a_repeat_names_the_same_resource(asking: Request, ground: Ground) -> None:
    asked = asking.ask(ground)
    assert len({made(ground, asking, asked, "again") for _ in range(3)}) == 1


def test_thirty_two_at_once_make_one(asking: Request, ground: Ground) -> None:
    asked = asking.ask(ground)
    with ThreadPoolExecutor(32) as pool:
        ids = set(pool.map(lambda _: made(ground, asking, asked, "at-once"), range(32)))
    assert len(ids) == 1

    plane = ground.plane
    plane.node.journal.write(plane.store)
    stories = tell(Opened(plane.node.settings.database, plane.store), "at-once")
    counts = [one.attempts[-1].number for one in stories if one.action == asking.action]
    assert 32 in counts, "each of them is told"


def test_other_parameters_are_refused(asking: Request, ground: Ground) -> None:
    asked = asking.ask(ground)
    first = made(ground, asking, asked, "other")
    told = refused(ground, asking, asking.others(asked), "other")
    assert (told.code, told.status) == ("IdempotentParameterMismatch", 400)
    assert told.message == tokened(asking.action).mismatch.format(token="other")
    assert made(ground, asking, asked, "other") == first


def test_another_region_and_another_account_have_their_own(asking: Request, ground: Ground) -> None:
    plane, own = ground.plane, ground.keys
    elsewhere = Ground(plane, own, region="eu-west-1")
    stranger = Ground(plane, plane.account(f"{own.account}-stranger"))
    places = (ground, elsewhere, stranger)
    ids = {made(place, asking, asking.ask(place), "scoped") for place in places}
    assert len(ids) == 3


def test_a_token_that_is_too_long_or_empty_is_refused(asking: Request, ground: Ground) -> None:
    longest = catalogue.token_characters_max(asking.action)
    asked = asking.ask(ground)
    for token in ("x" * (longest + 1), ""):
        assert refused(ground, asking, asked, token).code == "InvalidParameterValue"
    assert ask(ground, asking, asked, "x" * longest)


def test_tokens_differ_by_case(asking: Request, ground: Ground) -> None:
    asked = asking.ask(ground)
    one = made(ground, asking, asked, "Case")
    if asking.makes_another:
        assert made(ground, asking, asked, "case") != one
        return
    # The action makes nothing more: ask with other parameters, which would not match the first
    # token's, although they may name a resource that is not there.
    try:
        made(ground, asking, asking.others(asked), "case")
    except ClientError as told:
        assert told.response["Error"]["Code"] != "IdempotentParameterMismatch"


@pytest.mark.parametrize("action", [one for one in TOKEN_TAKING if zone_in(one)])
def test_another_zone_has_its_own(action: str, asking: Request, ground: Ground) -> None:
    asked = asking.ask(ground)
    zones = [f"{ground.region}{letter}" for letter in "abab"]
    named: list[Any] = [{"AvailabilityZone": zone} for zone in zones]
    if zone_in(action) != "AvailabilityZone":
        named = [{"Placement": one} for one in named]
    ids = [made(ground, asking, asked | one, "zonal") for one in named]
    assert ids[:2] == ids[2:] and ids[0] != ids[1]


def test_a_replay_after_removal_creates_nothing(asking: Request, ground: Ground) -> None:
    asked = asking.ask(ground)
    id = made(ground, asking, asked, "removed")
    if not asking.ends:
        ground.end(id)
    ground.later()
    deleted = tokened(asking.action).deleted
    if deleted is None:
        assert made(ground, asking, asked, "removed") == id
    else:
        told = refused(ground, asking, asked, "removed")
        assert (told.code, told.message) == ("IdempotentParameterMismatch", deleted)


def use_up(ground: Ground, id: str) -> str:
    """Leave no quota for another of the resource's kind; return the code that refuses another."""
    row = row_of(ground.plane, id)
    if row.kind == INSTANCE.name:
        name = counters.vcpus_name(row.account, row.region)
        ground.plane.run(lambda tx: counters.set_maximum(tx, name, 0))
        return "VcpuLimitExceeded"
    ground.limit(row.kind, 0)
    return QUOTAS[row.kind].code


@pytest.mark.parametrize("action", [one for one in TOKEN_TAKING if requests.request(one).makes])
def test_a_replay_needs_no_room_in_the_quota(action: str, asking: Request, ground: Ground) -> None:
    asked = asking.ask(ground)
    id = made(ground, asking, asked, "counted")
    expected = use_up(ground, id)
    assert refused(ground, asking, asking.others(asked), "one-more").code == expected
    assert made(ground, asking, asked, "counted") == id


def test_the_token_is_in_the_answer_exactly_where_the_model_has_it(
    asking: Request, ground: Ground
) -> None:
    answer = ask(ground, asking, asking.ask(ground), "echo")
    members = {name.lower() for name in catalogue.outputs(asking.action)}
    assert ("ClientToken" in answer) == ("clienttoken" in members)
