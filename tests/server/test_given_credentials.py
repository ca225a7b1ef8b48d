"""Access keys that an operator names at the start, and the one mode in which any will do."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from click.testing import CliRunner

from control import call
from plane import LAUNCH, Plane, running_plane
from sametoken.cli import main
from sametoken.errors import Misconfigured
from sametoken.operate import accounts
from sametoken.operate.opened import Opened
from sametoken.server.choices import Choices
from sametoken.settings import ACCESS_KEY_VARIABLE, Settings, database_of, read_access_key
from sdk import Keys

ANY = Choices(any_credentials=True)


@contextmanager
def served(folder: Path, *words: str, keys: str = "") -> Iterator[tuple[str, list[str]]]:
    """Run `sametoken serve`; yields its URL and its first lines, up to the hint for a shell."""
    environment = {**os.environ, "SAMETOKEN_DATABASE": f"sqlite:///{folder}/served.db"}
    if keys:
        environment[ACCESS_KEY_VARIABLE] = keys
    server = subprocess.Popen(
        [sys.executable, "-m", "sametoken", "serve", "--port", "0", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    try:
        lines = []
        for line in server.stdout:
            lines.append(line)
            if line.startswith("Use it"):
                break
        yield lines[0].split()[4], lines
    finally:
        server.terminate()
        assert server.wait(timeout=30) == 0
        server.stdout.close()


def caller(url: str, id: str, secret: str, **more: Any) -> str:
    client = boto3.client(
        "sts", region_name="us-east-1", endpoint_url=url, aws_access_key_id=id,
        aws_secret_access_key=secret, config=Config(retries={"total_max_attempts": 1}), **more,
    )  # fmt: skip
    account: str = client.get_caller_identity()["Account"]
    return account


def test_named_keys_are_served_and_survive_and_are_not_replaced(tmp_path: Path) -> None:
    with served(tmp_path, keys="test:test one:s1:123456789012 two:s2:team") as (url, lines):
        assert not any("Development" in line for line in lines)
        assert caller(url, "test", "test") == "000000000001"
        assert caller(url, "one", "s1") == "123456789012"
        assert caller(url, "two", "s2") == "123456789013"
        with pytest.raises(ClientError, match=r"AuthFailure|SignatureDoesNotMatch"):
            caller(url, "test", "other")
        told = call(url, "GET", "/clock")
        assert (told.status, "x-sametoken-dev" in told.headers) == (403, False)
    words = ["--access-key", "test:test", "--access-key", "three:s3", "--dev"]
    with served(tmp_path, *words) as (url, lines):
        assert any(line.startswith(f"Development mode: {url}/_sametoken") for line in lines)
        assert caller(url, "three", "s3") == caller(url, "test", "test")
        assert caller(url, "one", "s1") == "123456789012"
        assert call(url, "GET", "/clock").headers["x-sametoken-dev"] == "1"
    database = ["--database", f"sqlite:///{tmp_path}/served.db", "--processes", "0"]
    for given, why in {
        "test:hidden": "with another secret",
        "one:s1:team": "in the account 123456789012",
        "hidden": "ID:SECRET",
        "a-b:hidden": "letters and digits",
        ":hidden": "ID:SECRET",
    }.items():
        words = ["serve", "--port", "0", "--access-key", given, *database]
        done = CliRunner().invoke(main, words)
        assert (done.exit_code, why in done.output) == (1, True), done.output
        assert ":hidden" not in done.output


def test_numbers_of_accounts_go_on_below_the_last(tmp_path: Path) -> None:
    with running_plane(tmp_path) as plane:
        here = Opened(plane.node.settings.database, plane.store)
        accounts.ensure_key(here, read_access_key("last:s:999999999999"))
        accounts.ensure_key(here, read_access_key("second:s:000000000003"))
        # The plane's own are the first two.
        assert plane.account("next").account == "000000000004"


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with running_plane(tmp_path_factory.mktemp("any"), dev=True, choices=ANY) as running:
        yield running


def test_any_secret_will_do_and_twelve_digits_are_an_account(trusting: Plane) -> None:
    url, keys = trusting.url, trusting.keys
    assert caller(url, "123456789012", "x") == "123456789012"
    assert caller(url, "foo", "bar") == "000000000001"
    assert caller(url, "AKIAIOSFODNN7EXAMPLE", "baz", aws_session_token="t") == "000000000001"
    assert caller(url, keys.access_key_id, "wrong") == keys.account


def test_accounts_of_any_credentials_are_apart_each_in_the_region_it_signs_for(
    trusting: Plane,
) -> None:
    one, other = (Keys(number, number, "x") for number in ("111111111111", "222222222222"))
    made = trusting.client(keys=one, region="eu-west-1").run_instances(**LAUNCH, ClientToken="t")
    assert made["OwnerId"] == one.account
    assert trusting.client(keys=one).describe_instances()["Reservations"] == []
    assert (
        trusting.client(keys=other, region="eu-west-1").describe_instances()["Reservations"] == []
    )
    large = {**LAUNCH, "UserData": "#" * 12_000}
    assert trusting.client(keys=other).run_instances(**large)["OwnerId"] == other.account
    assert call(trusting.url, "POST", "/reset", {"account": one.account}).status == 200
    client = trusting.client(keys=one, region="eu-west-1")
    assert client.describe_instances()["Reservations"] == []


def test_no_page_of_another_place_may_use_any_credentials(trusting: Plane) -> None:
    keys = Keys("111122223333", "111122223333", "any")
    client = trusting.client(keys=keys)
    launch = {**LAUNCH, "ClientToken": "one"}
    url = client.generate_presigned_url("run_instances", launch, HttpMethod="GET")

    def status(**headers: str) -> int:
        place = urlsplit(url)
        link = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
        with closing(link):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            link.request("GET", f"/?{place.query}", headers=named)
            return link.getresponse().status

    assert status(sec_fetch_site="cross-site") == 403
    assert status(origin="https://evil.example") == 403
    assert status(host="evil.example") == 403
    assert client.describe_instances()["Reservations"] == []
    assert status() == 200
    assert len(client.describe_instances()["Reservations"]) == 1


def test_without_development_mode_any_credentials_are_refused(tmp_path: Path) -> None:
    settings = Settings(database_of(tmp_path / "x.db"), choices=ANY)
    with pytest.raises(Misconfigured, match="in development mode alone"):
        settings.check_bind()
    replace(settings, dev=True).check_bind()
    words = ["serve", "--any-credentials", "--database", f"sqlite:///{tmp_path}/x.db"]
    done = CliRunner().invoke(main, words)
    assert (done.exit_code, "in development mode alone" in done.output) == (1, True)
