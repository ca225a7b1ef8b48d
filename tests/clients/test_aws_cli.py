"""The real AWS CLI against a real server. Few calls, because each is a process of its own."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.process import (
    Server,
    closing_server,
    command,
    identity,
    launch,
    new_shared_database,
    run,
)
from plane import IMAGE, LAUNCH
from sdk import REGION, Keys

AWS = Path(sys.executable).with_name("aws")
pytestmark = pytest.mark.skipif(
    not AWS.exists(), reason=f"the AWS CLI is not installed beside {sys.executable}"
)
# The AWS CLI's exit status when the service refused, dry runs included: version 2's, version 1's.
REFUSED = (254, 255)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def served(
    request: pytest.FixtureRequest,
    template: tuple[Path, Keys],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("aws-cli")
    made = (
        Server.copied(*template, folder)
        if request.param == "sqlite"
        else Server.on_postgresql(new_shared_database(folder), folder)
    )
    with closing_server(made) as server:
        server.start()
        yield server
        server.stop()


def aws(server: Server, *words: str, service: str = "ec2") -> subprocess.CompletedProcess[str]:
    return run(
        [str(AWS), service, *words],
        AWS_ENDPOINT_URL=server.url,
        AWS_DEFAULT_REGION=REGION,
        AWS_ACCESS_KEY_ID=server.keys.access_key_id,
        AWS_SECRET_ACCESS_KEY=server.keys.secret,
    )


def ask(server: Server, *words: str, service: str = "ec2") -> Any:
    done = aws(server, *words, "--output", "json", service=service)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def run_instances(server: Server, token: str) -> Any:
    return ask(
        server, "run-instances", "--image-id", IMAGE, "--instance-type", "t3.micro",
        "--client-token", token,
    )  # fmt: skip


def by_token(server: Server, token: str) -> list[Any]:
    found = server.client().describe_instances(
        Filters=[{"Name": "client-token", "Values": [token]}]
    )
    return [one for each in found["Reservations"] for one in each["Instances"]]


def test_a_client_token_is_shown_and_its_instance_can_be_waited_for(served: Server) -> None:
    made = run_instances(served, "cli-1")
    id = made["Instances"][0]["InstanceId"]
    served.settle()
    assert aws(served, "wait", "instance-running", "--instance-ids", id).returncode == 0
    shown = ask(
        served, "describe-instances", "--instance-ids", id,
        "--query", "Reservations[0].Instances[0].[ClientToken, State.Name]",
    )  # fmt: skip
    assert shown == ["cli-1", "running"]


def test_a_token_with_blanks_inside_is_one_token_and_blanks_around_it_do_not_count(
    served: Server,
) -> None:
    """A token as `--client-token "$(date)"` makes it."""
    token = "Mon Feb  3 04:05:06 UTC 2030"
    first = run_instances(served, token)
    again = run_instances(served, f" {token} ")
    assert identity(again) == identity(first)
    assert [one["ClientToken"] for one in by_token(served, token)] == [token]


def test_a_request_from_a_file_repeats_the_same_request_of_boto3(
    served: Server, tmp_path: Path
) -> None:
    first = launch(served.client(), "cli-file")
    file = tmp_path / "launch.json"
    file.write_text(json.dumps({**LAUNCH, "ClientToken": "cli-file"}))
    again = ask(served, "run-instances", "--cli-input-json", f"file://{file}")
    assert identity(again) == identity(first)


def test_a_dry_run_fails_by_saying_so_and_launches_nothing(served: Server) -> None:
    done = aws(
        served, "run-instances", "--image-id", IMAGE, "--client-token", "cli-dry", "--dry-run"
    )
    assert done.returncode in REFUSED
    assert "(DryRunOperation)" in done.stderr
    assert by_token(served, "cli-dry") == []


def test_another_intent_under_a_token_is_refused(served: Server) -> None:
    launch(served.client(), "cli-mismatch")
    done = aws(
        served, "run-instances", "--image-id", IMAGE, "--instance-type", "m5.large",
        "--client-token", "cli-mismatch",
    )  # fmt: skip
    assert done.returncode in REFUSED
    assert "(IdempotentParameterMismatch)" in done.stderr
    assert len(by_token(served, "cli-mismatch")) == 1


def test_pages_of_the_service_and_of_the_cli_show_each_instance_once(served: Server) -> None:
    for number in range(7):
        launch(served.client(), f"cli-page-{number}")
    every = {one["InstanceId"] for one in all_instances(served)}
    assert len(every) >= 7

    words = ("describe-instances", "--page-size", "5")
    ids = "Reservations[].Instances[].InstanceId"
    paged = ask(served, *words, "--query", ids)
    assert (len(paged), set(paged)) == (len(every), every)

    first = ask(served, *words, "--max-items", "6")
    rest = ask(served, *words, "--starting-token", first["NextToken"], "--query", ids)
    seen = [one["InstanceId"] for each in first["Reservations"] for one in each["Instances"]]
    assert (len(seen), sorted(seen + rest)) == (6, sorted(every))


def all_instances(server: Server) -> list[Any]:
    found = server.client().describe_instances()["Reservations"]
    return [one for each in found for one in each["Instances"]]


def test_get_caller_identity_names_the_account(served: Server) -> None:
    shown = ask(served, "get-caller-identity", service="sts")
    assert (shown["Account"], shown["Arn"]) == (
        served.keys.account,
        f"arn:aws:iam::{served.keys.account}:root",
    )


WHO = ("sts", "get-caller-identity", "--query", "Account", "--output", "text")


def test_sametoken_run_points_any_command_at_the_server(served: Server) -> None:
    done = run(
        command("run", "--database", served.database_url, "--account", "clients", "--",
                str(AWS), *WHO),
        **served.settings,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == (f"{served.keys.account}\n", "", 0)


def test_a_shell_evaluates_what_sametoken_env_prints(served: Server) -> None:
    words = command("env", "--database", served.database_url, "--account", "clients")
    script = f'eval "$({shlex.join(words)})" && {shlex.join([str(AWS), *WHO])}'
    done = run(["/bin/sh", "-c", script], **served.settings)
    assert (done.stdout, done.stderr, done.returncode) == (f"{served.keys.account}\n", "", 0)
