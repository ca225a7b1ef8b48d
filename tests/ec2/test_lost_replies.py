"""Each mutating request is repeated as if its reply was lost, and has the effect that EC2 gives it.

Each action declares that effect as a `Repeat` (`sametoken.ec2.kit.repeats`). Effects are counted in
resources that Describe actions show, never in calls. A new action that changes anything declares
its repeats, and has an exercise that asks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ec2.asking import found
from ec2.census import Census, ids_in
from ec2.ground import Ground, Switched
from exercises.catalogue import ACTIONS, REPEATS, Does, Repeat, changing
from exercises.gateways import default_gateway
from exercises.requests import request, requests, with_token
from plane import LAUNCH, Plane, running_plane
from sametoken.ec2.kit.actions import Change
from sametoken.ec2.kit.repeats import EVIDENCE
from sametoken.server.choices import Choices

Document = dict[str, Any]

INVOCATION = "0b0c6ac5-54f5-4b5c-8d2a-1f3c4c1f1a11"


FIRST = "its first try is refused: say in the request, or in `end_with`, what else it needs"
# Repeats that make a resource with fewer parts than the first, which holds those they share.
EMPTY_HANDED = frozenset({"AssociateVpcCidrBlock", "CreateNatGateway with the same address"})


def test_every_action_that_changes_anything_says_what_a_repeat_does_and_is_asked_twice() -> None:
    assert sorted({one.action for one in REPEATS}) == changing()
    assert sorted(requests()) == sorted(one.asked for one in REPEATS)


@pytest.mark.parametrize("repeat", REPEATS, ids=lambda one: one.asked)
def test_a_row_says_how_it_is_known_and_names_a_code_where_it_is_refused(repeat: Repeat) -> None:
    assert repeat.evidence in EVIDENCE
    assert bool(repeat.code) == (repeat.does is Does.CONFLICT)


# Gives the ground of a new account by its name, with its default VPC made.
On = Callable[[str], Ground]


def on(plane: Plane) -> On:
    switched = Switched(plane)

    def ground_of(name: str) -> Ground:
        ground = Ground(plane, plane.account(name), switched)
        ground.call("DescribeVpcs")
        return ground

    return ground_of


@pytest.fixture(scope="module")
def alone(still: Plane) -> On:
    """Give ground on a plane where no work is done by itself."""
    return on(still)


@pytest.fixture(scope="module")
def deduping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[On]:
    """Yield ground on a plane with `dedupe_invocations`, where one invocation has one effect."""
    choices = Choices(dedupe_invocations=True)
    with running_plane(tmp_path_factory.mktemp("deduping"), runners=0, choices=choices) as running:
        yield on(running)


@contextmanager
def tokenless(ground: Ground, action: str, invocation: str = "") -> Iterator[None]:
    """Send `action` without a token, and each time as the same `invocation` if one is given."""
    event, events = f"before-call.ec2.{action}", ground.client.meta.events
    bodies: list[Document] = []

    def prepare(params: Document, context: Document, **more: Any) -> None:
        params["body"].pop("ClientToken", None)
        if invocation:
            context.setdefault("retries", {})["invocation-id"] = invocation
            # Send the first body again, as an SDK does with each attempt of an invocation. botocore
            # would sign another URL in CopySnapshot's as soon as the clock shows another second.
            bodies.append(params["body"])
            params["body"] = bodies[0]

    # Prepare the body last, when botocore has put into it whatever it adds.
    events.register_last(event, prepare)
    try:
        yield
    finally:
        events.unregister(event, prepare)


def refusals_of(answer: Any) -> Iterator[str]:
    """Yield the codes of the errors that a successful answer tells of single resources."""
    if isinstance(answer, dict):
        for name, inner in answer.items():
            if name in ("Error", "ResponseError"):
                yield inner["Code"]
            else:
                yield from refusals_of(inner)
    elif isinstance(answer, list):
        for inner in answer:
            yield from refusals_of(inner)


def attempt(ground: Ground, action: str, asked: Document) -> tuple[Document, set[str]]:
    """Make a request; return its answer, and the codes of refusals, all the caller's fault."""
    try:
        answer = ground.call(action, **asked)
    except ClientError as refused:
        assert refused.response["ResponseMetadata"]["HTTPStatusCode"] == 400, refused
        return {}, {refused.response["Error"]["Code"]}
    assert answer.pop("ResponseMetadata")["HTTPStatusCode"] == 200
    return answer, set(refusals_of(answer))


@pytest.mark.parametrize("repeat", REPEATS, ids=lambda one: one.asked)
def test_a_repeat_after_a_lost_reply_does_what_ec2s_does(alone: On, repeat: Repeat) -> None:
    ground = alone(repeat.asked)
    asked = request(repeat.asked).ask(ground)
    before = ground.census()
    with tokenless(ground, repeat.action):
        lost, refused = attempt(ground, repeat.action, asked)
        assert refused == set(), request(repeat.asked).says(FIRST)
        once = ground.census()
        told, refused = attempt(ground, repeat.action, asked)
    twice = ground.census()
    match repeat.does:
        case Does.DOUBLE:
            made = once.counts() - before.counts()
            again = twice.counts() - once.counts()
            assert again and again <= made
            assert again == made or repeat.asked in EMPTY_HANDED
        case Does.CONFLICT:
            assert refused == {repeat.code}
            assert twice == once
        case Does.SAME:
            assert refused == set()
            assert twice == once
            assert ids_in(told) <= ids_in(lost), "it speaks of the same"


@pytest.mark.parametrize("action", [one.action for one in with_token()])
def test_with_a_token_a_repeat_after_a_lost_reply_is_the_same(alone: On, action: str) -> None:
    ground = alone(f"{action} with a token")
    asked = {**request(action).ask(ground), "ClientToken": "lost"}
    lost, _ = attempt(ground, action, asked)
    once = ground.census()
    told, refused = attempt(ground, action, asked)
    assert refused == set()
    assert ids_in(told) == ids_in(lost) != set()
    assert ground.census() == once


@pytest.mark.parametrize("repeat", REPEATS, ids=lambda one: one.asked)
def test_one_invocation_has_one_effect_where_that_is_chosen(deduping: On, repeat: Repeat) -> None:
    ground = deduping(repeat.asked)
    asked = request(repeat.asked).ask(ground)
    with tokenless(ground, repeat.action, INVOCATION):
        lost, refused = attempt(ground, repeat.action, asked)
        assert refused == set(), request(repeat.asked).says(FIRST)
        once = ground.census()
        told, refused = attempt(ground, repeat.action, asked)
    assert ground.census() == once
    action = ACTIONS[repeat.action]
    if isinstance(action, Change) and action.answer_is_secret and repeat.code:
        assert refused == {repeat.code}, "what is secret is not kept for a repeat"
    else:
        assert refused == set()
        assert ids_in(told) == ids_in(lost)


def test_a_census_sees_each_resource_and_each_part_of_one(alone: On) -> None:
    """The census must see a difference as small as one route or one tag, or it proves nothing."""
    ground = alone("census")
    table = ground.own("route-table")
    seen: list[Census] = [ground.census()]
    for action, asked in (
        ("CreateRoute", {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0",
                         "GatewayId": default_gateway(ground)}),
        ("CreateTags", {"Resources": [table], "Tags": [{"Key": "a", "Value": "b"}]}),
        ("CreateKeyPair", {"KeyName": "mine", "KeyType": "ed25519"}),
    ):  # fmt: skip
        ground.call(action, **asked)
        seen.append(ground.census())
        assert seen[-1].counts() - seen[-2].counts()
    before = ground.census()
    ground.call("ModifyVpcAttribute", VpcId=ground.vpc(), EnableDnsHostnames={"Value": False})
    ground.call("CreateTags", Resources=[table], Tags=[{"Key": "a", "Value": "changed"}])
    assert ground.census() != before


def test_ansibles_way_describes_by_token_before_it_creates_and_makes_one(alone: On) -> None:
    """Ansible keeps its token, asks for the instances launched with it, and launches if there are
    none."""
    ground = alone("ansible")
    token = "32-hex-digits-as-ansible-has-it"
    launched = []
    for _ in range(3):
        there = found(ground.client, "client-token", token)
        launched.append(there)
        if not there:
            ground.call("RunInstances", **LAUNCH, ClientToken=token)
    [id] = found(ground.client, "client-token", token)
    assert launched == [set(), {id}, {id}]
    assert found(ground.client, "client-token", token.upper()) == set(), "tokens differ by case"
    # A client that asks too early, or not at all, gets the same instance through its token.
    again = ground.call("RunInstances", **LAUNCH, ClientToken=token)
    assert [one["InstanceId"] for one in again["Instances"]] == [id]
    assert ground.census().counts()[".DescribeInstances.Reservations[]"] == 1
