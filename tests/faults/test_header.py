"""A fault in a request's own header: signed, for that request alone, and in development mode."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import pytest

from faults.struck import ask, instances, launch_form, strike, usual
from plane import LAUNCH, Plane, running_plane
from sametoken.server.choices import Choices
from sdk import Keys

HEADER = "x-sametoken-fault"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with running_plane(tmp_path_factory.mktemp("headers"), dev=True) as running:
        yield running


@pytest.fixture
def keys(plane: Plane, request: pytest.FixtureRequest) -> Keys:
    return plane.account(re.sub(r"\W", "-", request.node.name)[-60:])


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip botocore's waits between its tries: no test depends on them."""
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda seconds: None))


def test_a_header_strikes_its_own_request_alone(plane: Plane, keys: Keys) -> None:
    headers = {HEADER: "error;code=VpcLimitExceeded"}
    assert ask(plane, keys, launch_form(), headers).code == "VpcLimitExceeded"
    assert plane.node.faults.firings()[-1].rule.name == HEADER
    assert ask(plane, keys, launch_form("mine"), {HEADER: "lose-reply;attempt=1"}).status == 0
    assert ask(plane, keys, launch_form("mine"), {HEADER: "lose-reply;attempt=1"}).status == 200
    assert len(instances(plane, keys)) == 1


def test_a_header_is_signed_by_boto3_when_a_hook_adds_it(plane: Plane, keys: Keys) -> None:
    ec2 = usual(plane, keys)

    def add(request: Any, **_: Any) -> None:
        request.headers[HEADER] = "lose-reply;attempt=1"

    ec2.meta.events.register("before-sign.ec2.RunInstances", add)
    ec2.run_instances(**LAUNCH)
    assert len(instances(plane, keys)) == 1


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("lose-replies", "Did you mean lose-reply"),
        ("error", "needs code"),
        ("slow-step;seconds=1", "strikes launches"),
        ("lose-reply;odds=0.5;action=RunInstances", "leave action, odds out"),
        ("late-duplicate;seconds=0;name=mine", "leave name out"),
    ],
)
def test_a_header_that_cannot_be_meant_is_refused(
    word: str, told: str, plane: Plane, keys: Keys
) -> None:
    refused = ask(plane, keys, launch_form(), {HEADER: word})
    assert (refused.status, refused.code) == (400, "InvalidParameterValue")
    assert told in refused.body
    assert instances(plane, keys) == []


def test_a_header_that_is_not_signed_is_refused(plane: Plane, keys: Keys) -> None:
    refused = ask(plane, keys, launch_form(), unsigned={HEADER: "lose-reply"})
    assert (refused.status, refused.code) == (400, "IncompleteSignature")
    assert "must be one of the SignedHeaders" in refused.body


def test_outside_development_mode_a_header_is_refused_and_no_rule_strikes(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with running_plane(tmp_path_factory.mktemp("plain")) as plain:
        refused = ask(plain, plain.keys, launch_form(), {HEADER: "lose-reply"})
        assert (refused.status, refused.code) == (400, "InvalidParameterValue")
        assert "sametoken serve --dev" in refused.body
        strike(plain, "unavailable")
        assert ask(plain, plain.keys, launch_form()).status == 200


def test_where_any_key_is_taken_a_header_strikes_too(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    anybody = Keys("123456789012", "123456789012", "no secret")
    choices = Choices(any_credentials=True)
    with running_plane(tmp_path_factory.mktemp("any"), dev=True, choices=choices) as any_keys:
        told = ask(any_keys, anybody, launch_form(), {HEADER: "error;code=VpcLimitExceeded"})
        assert told.code == "VpcLimitExceeded"
        strike(any_keys, "unavailable", account="123456789012")
        assert ask(any_keys, anybody, launch_form()).status == 503
        assert ask(any_keys, any_keys.keys, launch_form()).status == 200
