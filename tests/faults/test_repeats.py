"""Requests that come again on purpose: of what was done alone, and of nothing that was undone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from clients.process import until
from faults.struck import ask, due, instances, launch_form, sent, strike
from plane import Plane, running_plane
from sametoken.control.controls import Controls
from sametoken.operate import resetting, snapshots
from sdk import Keys


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with running_plane(tmp_path_factory.mktemp("repeated"), dev=True) as running:
        yield running


@pytest.fixture
def keys(plane: Plane, request: pytest.FixtureRequest) -> Iterator[Keys]:
    yield plane.account(re.sub(r"\W", "-", request.node.name)[-60:])
    plane.node.faults.clear()


@pytest.mark.parametrize("repeat", [("duplicate", {}), ("late-duplicate", {"seconds": 0.01})])
@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (("lose-request", {}), 0),
        (("throttle", {}), 503),
        (("error", {"code": "VpcLimitExceeded"}), 400),
        (("no-capacity", {}), 500),
    ],
)
def test_what_a_rule_keeps_from_acting_is_not_repeated(
    kind: tuple[str, dict[str, Any]],
    status: int,
    repeat: tuple[str, dict[str, Any]],
    plane: Plane,
    keys: Keys,
) -> None:
    for name, more in (repeat, kind):
        strike(plane, name, action="RunInstances", times=1, **more)
    assert ask(plane, keys, launch_form()).status == status
    until(lambda: not due(plane), "nothing comes late")
    assert instances(plane, keys) == []


def test_a_late_request_comes_although_nobody_waited_for_the_reply(
    plane: Plane, keys: Keys
) -> None:
    strike(plane, "delay-reply", seconds=3600, action="RunInstances", times=1)
    strike(plane, "late-duplicate", seconds=0.01, action="RunInstances", times=1)
    with sent(plane, keys, launch_form()):
        until(lambda: len(instances(plane, keys)) == 2, "it has come, before the reply")


@pytest.mark.parametrize("act", ["reset", "load"])
def test_a_late_request_of_what_was_made_while_it_was_undone_never_comes(
    act: str, plane: Plane, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The launch is answered when the reset has begun, and has not committed yet."""
    module, reset = {"reset": resetting, "load": snapshots}[act], resetting.reset
    strike(plane, "late-duplicate", seconds=0.2, action="RunInstances", times=1)

    def after_a_launch(*given: Any) -> None:
        assert ask(plane, keys, launch_form()).status == 200
        reset(plane.store, keys.account)

    monkeypatch.setattr(module, act, after_a_launch)
    getattr(Controls(plane.node), act)(keys.account)
    until(lambda: not due(plane), "its time has come")
    assert instances(plane, keys) == []
