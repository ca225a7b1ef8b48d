"""Bugs in faults, planted one at a time: each is caught by the test that is there for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from faults import test_requests as tests
from plane import Plane, running_plane
from sametoken.ec2.compute import launch
from sametoken.ec2.compute.launch_capacity import insufficient_capacity
from sametoken.errors import ServiceError
from sametoken.faults import board as boards
from sametoken.faults.kinds import Kind
from sametoken.faults.rules import Rule
from sametoken.server import striking
from sametoken.server.exchange import Exchange
from sametoken.server.replies import Answer
from sametoken.server.striking import Striker
from sdk import Keys

Patch = pytest.MonkeyPatch
_strike, _shaped, _disturb = Striker._strike, striking.shaped, Striker._disturb


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with running_plane(tmp_path_factory.mktemp("planted"), dev=True) as running:
        yield running


@pytest.fixture
def keys(plane: Plane, request: pytest.FixtureRequest) -> Keys:
    return plane.account(request.node.callspec.id)


@pytest.fixture(autouse=True)
def no_rule_is_left(plane: Plane) -> Iterator[None]:
    yield
    plane.node.faults.clear()


def loses_replies_before_the_act(patch: Patch) -> None:
    def strike(self: Striker, exchange: Exchange) -> Exchange | Awaitable[Exchange]:
        struck = _strike(self, exchange)
        if isinstance(struck, Exchange) and any(
            one.kind is Kind.LOSE_REPLY for one in struck.strikes
        ):
            return struck._replace(reply=striking._UNHEARD)
        return struck

    patch.setattr(Striker, "_strike", strike)


def loses_requests_after_the_act(patch: Patch) -> None:
    def strike(self: Striker, exchange: Exchange) -> Exchange | Awaitable[Exchange]:
        struck = _strike(self, exchange)
        assert isinstance(struck, Exchange), "nothing is delayed here"
        return struck._replace(reply=None, executed=None)

    patch.setattr(Striker, "_strike", strike)


def sends_no_second_request(patch: Patch) -> None:
    async def again(self: Striker, wire: Any, strikes: Any) -> Exchange:
        return Exchange("none", wire, reply=striking._UNHEARD, strikes=strikes)

    patch.setattr(Striker, "_again", again)


def cuts_nothing(patch: Patch) -> None:
    def shaped(answer: Answer, strikes: Any) -> Answer:
        return replace(_shaped(answer, strikes), part=None)

    patch.setattr("sametoken.server.app.shaped", shaped)


def binds_no_token(patch: Patch) -> None:
    def refusal(instance_type: str, zone: str, others: list[str]) -> ServiceError:
        made = insufficient_capacity(instance_type, zone, others)
        return ServiceError(made.code, made.message, http_status=made.http_status)

    patch.setattr(launch, "insufficient_capacity", refusal)


def hides_nothing(patch: Patch) -> None:
    patch.setattr(Striker, "_hide", lambda self, exchange, rule: None)


def refuses_after_the_claim(patch: Patch) -> None:
    """An error by name that binds the token, as a capacity failure does."""

    def refusal(rule: Rule) -> ServiceError | None:
        return None

    def disturb(self: Striker, exchange: Exchange) -> Exchange:
        patch.setattr(launch, "refuse_late", fail if exchange.strikes else lambda request: None)
        return _disturb(self, exchange)

    def fail(request: Any) -> None:
        raise ServiceError("InstanceLimitExceeded", "No.", binds_token=True)

    patch.setattr(striking, "_refusal", refusal)
    patch.setattr(Striker, "_disturb", disturb)


def counts_no_tries(patch: Patch) -> None:
    patch.setattr(boards.Board, "tries", lambda self, call: 1)


def draws_without_a_seed(patch: Patch) -> None:
    numbers = iter(range(10**6))
    happens = boards.happens
    patch.setattr(boards, "happens", lambda rule, number: happens(rule, next(numbers)))


def comes_late_for_ever(patch: Patch) -> None:
    patch.setattr(Striker, "_is_in_force", lambda self, rule: True)


Caught = Callable[[Plane, Keys], None]
PLANTED: list[tuple[Callable[[Patch], None], Caught]] = [
    (
        loses_replies_before_the_act,
        lambda plane, keys: tests.test_what_strikes_after_the_commit_makes_two_without_a_token(
            "lose-reply", plane, keys
        ),
    ),
    (
        loses_requests_after_the_act,
        lambda plane, keys: (
            tests.test_what_strikes_before_the_act_leaves_nothing_even_without_a_token(
                "lose-request", plane, keys
            )
        ),
    ),
    (
        sends_no_second_request,
        lambda plane, keys: tests.test_what_strikes_after_the_commit_makes_two_without_a_token(
            "duplicate", plane, keys
        ),
    ),
    (
        cuts_nothing,
        lambda plane, keys: tests.test_what_strikes_after_the_commit_makes_one_with_a_token(
            "cut-reply", plane, keys
        ),
    ),
    (
        binds_no_token,
        tests.test_without_capacity_nothing_is_made_and_the_token_stays_bound_to_its_parameters,
    ),
    (hides_nothing, tests.test_ids_are_found_when_the_rule_that_hid_them_is_gone),
    (
        refuses_after_the_claim,
        tests.test_an_error_by_name_makes_nothing_and_leaves_the_token_free,
    ),
    (
        counts_no_tries,
        tests.test_the_tries_of_a_call_are_counted_by_its_token_or_its_invocation,
    ),
    (draws_without_a_seed, tests.test_a_seed_gives_the_same_faults_to_the_same_requests),
    (comes_late_for_ever, tests.test_a_late_request_of_a_rule_that_is_gone_never_comes),
]


@pytest.mark.parametrize(("plant", "caught"), PLANTED, ids=[one.__name__ for one, _ in PLANTED])
def test_a_planted_bug_is_caught(
    plant: Callable[[Patch], None], caught: Caught, plane: Plane, keys: Keys
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        # Failing is how `pytest.raises` says that nothing was raised.
        with pytest.raises((AssertionError, pytest.fail.Exception, ClientError)):
            caught(plane, keys)
