"""Commands that tell stories: of tokens, of launches as they happen, as tables and as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from clients.asking import create, refused, sametoken
from clients.process import Server, closing_server, identity, launch, until
from sametoken.cli.tables import Column, table_lines
from sametoken.workflow.plans import PLANS
from sdk import Keys

NO_CAPACITY = "InsufficientInstanceCapacity"
STEPS = [step.name for step in PLANS["launch"].steps]


@pytest.fixture(scope="module")
def served(
    template: tuple[Path, Keys], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("command-line")
    with closing_server(Server.copied(*template, folder)) as server:
        server.start()
        yield server
        server.stop()


def test_a_token_is_explained_with_its_attempts_and_what_differed(served: Server) -> None:
    keys = create("explained", database=served.database_url)
    ec2 = served.client(keys=keys)
    made = identity(launch(ec2, "story", UserData="secret of the caller"))
    launch(ec2, "story", UserData="secret of the caller")
    with suppress(ClientError):
        launch(ec2, "story", UserData="another", InstanceType="m5.large")

    told = explained(served, "story", "attempt 3: ")
    assert f"story: RunInstances of {keys.account} in us-east-1" in told
    assert f"made reservation: {made[0]}" in told
    assert made[1] in told
    assert 'asked InstanceType = "t3.micro"' in told
    assert re.search(r"asked, kept as digests only: .*UserData", told)
    assert "secret" not in told
    assert re.search(r"attempt 1: new, 200, [^\n]* request [^\n]*\n[^\n]* attempt 2: ", told)
    assert "attempt 2: replay, 200, " in told
    assert "attempt 3: mismatch, 400 IdempotentParameterMismatch, " in told
    assert 'differs in InstanceType: "t3.micro" was asked first, "m5.large" now' in told
    assert "differs in UserData, whose values are not kept" in told

    # A failure whose place another outcome takes is still the first attempt.
    capacity = "capacity/us-east-1a/t3.nano"
    sametoken("limits", "set", capacity, "0", database=served.database_url)
    nano = {"InstanceType": "t3.nano", "Placement": {"AvailabilityZone": "us-east-1a"}}
    with suppress(ClientError):
        launch(ec2, "failing", **nano)
    told = explained(served, "failing", NO_CAPACITY)
    assert f"attempt 1: failed, 500 {NO_CAPACITY}, " in told
    sametoken("limits", "unset", capacity, database=served.database_url)
    launch(ec2, "failing", **nano)
    told = explained(served, "failing", "attempt 2: new")
    assert f"attempt 1: failed, 500 {NO_CAPACITY}, " in told

    said = refused("tokens", "explain", "unheard-of", database=served.database_url)
    assert "nothing is kept of 'unheard-of'" in said


def explained(served: Server, token: str, awaited: str) -> str:
    """Tell a token's story once what is awaited of it is written down, which takes a second."""
    told = ""

    def is_told() -> bool:
        nonlocal told
        told = sametoken("tokens", "explain", token, database=served.database_url)
        return awaited in told

    until(is_told, f"{awaited} is told")
    return told


def test_a_launch_is_watched_until_nothing_is_left_to_do(served: Server) -> None:
    keys = create("watched", database=served.database_url)
    made = identity(launch(served.client(keys=keys), "watched"))
    lines = sametoken("launches", "watch", "watched", database=served.database_url).splitlines()
    assert lines[-1].endswith(f"running: {made[1]} is running.")
    assert all(re.match(r"[\d-]+ [\d:.]+ \S", line) for line in lines), "each stands for itself"
    order = [name for line in lines for name in STEPS if f" {name}: " in line and " done" in line]
    assert order == STEPS
    told = sametoken("launches", "watch", made[0], "--json", database=served.database_url)
    assert json.loads(told.splitlines()[-1])["event"].startswith("running: ")
    listed = ("launches", "list", "--account", keys.account, "--all", "--json")
    [row] = json.loads(sametoken(*listed, database=served.database_url))
    assert (row["instance"], row["state"], row["client_token"]) == (made[1], "running", "watched")
    assert sametoken("launches", "list", "--json", database=served.database_url).strip() == "[]"


TABLES = (
    ("tokens", "list"),
    ("accounts", "list"),
    ("limits", "list"),
    ("launches", "list"),
)


@pytest.mark.parametrize("words", TABLES, ids=" ".join)
def test_what_prints_a_table_prints_json_too(served: Server, words: tuple[str, ...]) -> None:
    records = json.loads(sametoken(*words, "--json", database=served.database_url))
    assert all(isinstance(one, dict) for one in records)
    shown = sametoken(*words, database=served.database_url)
    assert not re.search("[\u2500-\u257f\x1b]", shown), "a pipe gets lines, no boxes and no codes"


def test_a_narrow_table_leaves_columns_out_and_cuts_no_cell() -> None:
    columns = (Column("id", "id"), Column("when", "when", 2), Column("token", "token", 1))
    records = [{"id": "i-0123456789abcdef0", "when": None, "token": "t" * 30}]
    wide = table_lines(columns, records, None)
    assert wide[1].split() == ["i-0123456789abcdef0", "-", "t" * 30]
    for width in (53, 40, 19):
        lines = table_lines(columns, records, width)
        assert "i-0123456789abcdef0" in lines[1]
        assert all(len(line) <= width for line in lines[:2])
        assert "no room for: " in lines[-1]
    [first, *_] = table_lines(columns, records, 10)
    assert first == "id     i-0123456789abcdef0", "a row is a block of lines"


def test_tokens_are_listed_whole_and_without_those_of_the_steps(served: Server) -> None:
    keys = create("listed", database=served.database_url)
    token = "a-token-as-long-as-they-get-" + 36 * "x"
    launch(served.client(keys=keys), token)
    served.settle()
    listed = sametoken("tokens", "list", database=served.database_url)
    rows = [line for line in listed.splitlines() if keys.account in line]
    assert len(rows) == 1
    assert f" {token} " in rows[0]
    assert "RunInstances" in rows[0]
    assert "internal" not in listed
    only = sametoken("tokens", "list", "--account", keys.account, "--limit", "5",
                     database=served.database_url)  # fmt: skip
    assert [line for line in only.splitlines() if "RunInstances" in line] == rows


@pytest.mark.parametrize("token", ["[/bold]evil", "[red]not red[/red]", ":smile:"])
def test_a_token_is_shown_as_it_is_and_never_as_markup(served: Server, token: str) -> None:
    database = served.database_url
    launch(served.client(keys=create(f"markup-{token[1:4]}", database=database)), token)
    assert f" {token} " in sametoken("tokens", "list", database=database)
    assert f"{token}: RunInstances of " in sametoken("tokens", "explain", token, database=database)
