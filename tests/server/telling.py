"""Accounts whose stories are told, on planes that are driven by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from faults.struck import rule
from plane import LAUNCH, Plane
from sametoken.cli import main
from sametoken.control.controls import Controls
from sametoken.operate.asking import ask
from sametoken.operate.opened import Opened
from sametoken.operate.story.model import Story, as_json, from_json
from sametoken.settings import KEY_FILE_VARIABLE
from sametoken.workflow import turns
from sametoken.workflow.plans import PLANS
from sametoken.workflow.runner import Runner
from sdk import Keys

ENDING_STEPS = [step.name for step in PLANS["terminate"].steps]
NO_CAPACITY = "InsufficientInstanceCapacity"
PARTS = ["instance", "volume", "network-interface", "placement"]
# Rounds of waiting in which anything is done that is ever done.
ROUNDS_MAX = 100


@dataclass(frozen=True)
class Place:
    """An account of a plane without runners, and a runner that the test drives by hand."""

    plane: Plane
    keys: Keys
    runner: Runner

    @property
    def ec2(self) -> Any:
        return self.plane.client(keys=self.keys)

    def launch(self, token: str = "t", **more: Any) -> str:
        answer = self.ec2.run_instances(**{**LAUNCH, **more}, ClientToken=token)
        return str(answer["Instances"][0]["InstanceId"])

    def refused(self, token: str = "t", **more: Any) -> str:
        with pytest.raises(ClientError) as error:
            self.launch(token, **more)
        return str(error.value.response["Error"]["Code"])

    def strike(self, kind: str, **keys: Any) -> None:
        self.plane.node.faults.add([rule(kind, account=self.keys.account, **keys)])

    def drive(self) -> None:
        while self.runner.run_once():
            pass

    def settle(self, runner: Runner | None = None) -> None:
        """Do all work, and let all time pass that it waits for."""
        for _ in range(ROUNDS_MAX):
            while (runner or self.runner).run_once():
                pass
            now, due_at = self.plane.store.read(lambda tx: (tx.now, turns.next_due(tx)))
            if due_at is None:
                return
            self.plane.advance(max(due_at - now, timedelta()) + timedelta(milliseconds=1))
        raise AssertionError("the work never ends")

    def story(self, named: str = "t") -> Story:
        [found] = Controls(self.plane.node).stories(named, self.keys.account)
        assert from_json(json.loads(json.dumps(as_json(found)))) == found
        return found


def outcomes(story: Story) -> list[tuple[str, int | None, str | None]]:
    return [(one.outcome, one.status, one.code) for one in story.attempts]


def tries(story: Story, plan: str, step: str) -> list[Any]:
    [launch] = story.launches
    [walk] = [one for one in launch.walks if one.plan == plan]
    [found] = [one for one in walk.steps if one.name == step]
    return list(found.tries)


def check_by_command_and_http(place: Place, story: Story, patch: pytest.MonkeyPatch) -> None:
    """The same is told by the command beside the server, and over HTTP."""
    settings = place.plane.node.settings
    patch.setenv(KEY_FILE_VARIABLE, str(settings.database.key_file))
    told = replace(story, told_at=story.told_at)
    command = ["tokens", "explain", story.client_token or "", "--account", story.account]
    done = CliRunner().invoke(main, [*command, "--json", "--database", settings.database.url])
    assert done.exit_code == 0, done.output
    here = Opened(settings.database, place.plane.store)
    patch.setattr("sametoken.operate.asking.endpoint", lambda _: place.plane.url)
    served = ask(here, "GET", f"/stories?of={story.client_token}&account={story.account}")
    for [found] in (json.loads(done.stdout), served["stories"]):
        assert replace(from_json(found), told_at=told.told_at) == told
    text = CliRunner().invoke(main, [*command, "--database", settings.database.url]).stdout
    for one in story.attempts:
        assert one.request_id is not None and one.request_id in text
        assert one.code is None or one.code in text
    for resource in story.resources:
        assert resource.id in text
    assert f"{story.verdict}: {story.said}" in text
