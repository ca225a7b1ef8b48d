"""Development mode: it is loopback's alone, says so in every reply, and answers nobody else's page.

Outside it the control routes refuse clearly.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from control import call
from plane import Plane, running_plane
from sametoken.cli import main
from sametoken.errors import Misconfigured
from sametoken.settings import Settings, database_of

MARK = "x-sametoken-dev"


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with running_plane(tmp_path_factory.mktemp("dev"), dev=True) as running:
        yield running


def test_every_reply_says_that_it_is_development(dev: Plane) -> None:
    replies = [
        call(dev.url, "GET", ""),
        call(dev.url, "GET", "/no-such"),
        call(dev.url, "GET", "/health"),
        call(dev.url, "GET", "/_sametoken/clock", headers={"host": "far.example"}),
        call(dev.url, "POST", "/reset", b"x" * 2_000_000),
    ]
    assert [one.status for one in replies] == [200, 404, 200, 403, 413]
    answer = dev.client().describe_vpcs()["ResponseMetadata"]["HTTPHeaders"]
    assert all(headers[MARK] == "1" for headers in (answer, *(one.headers for one in replies)))


@pytest.mark.parametrize(
    ("method", "path", "given"),
    [
        ("GET", "", None),
        ("GET", "/clock", None),
        ("POST", "/clock/freeze", None),
        ("POST", "/clock/advance", {"by": "25h"}),
        ("POST", "/reset", {}),
        ("POST", "/accounts", {}),
        ("PUT", "/limits", {}),
        ("GET", "/faults", None),
    ],
)
def test_without_development_mode_control_routes_refuse(
    plane: Plane, method: str, path: str, given: object
) -> None:
    told = call(plane.url, method, path, given)
    assert told.status == 403
    assert "sametoken serve --dev" in told.said["error"]
    assert MARK not in told.headers


def test_without_development_mode_the_clocks_commands_refuse(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sametoken.operate.asking.endpoint", lambda here: plane.url)
    monkeypatch.setenv("SAMETOKEN_DATABASE", plane.node.settings.database.url)
    monkeypatch.setenv("SAMETOKEN_KEY_FILE", str(plane.node.settings.database.key_file))
    for words in (["freeze"], ["resume"], ["advance", "25h"]):
        done = CliRunner().invoke(main, ["clock", *words])
        assert done.exit_code == 1
        assert "sametoken serve --dev" in done.output


def test_a_command_without_a_server_says_what_to_start(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/some.db"
    assert CliRunner().invoke(main, ["accounts", "create", "a", "--database", database]).output
    done = CliRunner().invoke(main, ["clock", "freeze", "--database", database])
    assert (done.exit_code, "no server of" in done.output) == (1, True)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"host": "0.0.0.0"}, "is reachable from other machines"),
        ({"host": "0.0.0.0", "insecure_bind": True}, "is reachable from other machines"),
        ({"host": "db1.example", "tls_cert": Path("cert.pem")}, "Leave out --dev"),
        ({"processes": 2}, "serves in one process"),
    ],
)
def test_development_mode_is_loopbacks_and_one_process_alone(
    tmp_path: Path, changed: dict[str, Any], why: str
) -> None:
    made = Settings(database_of(tmp_path / "x.db"), dev=True)
    made.check_bind()
    with pytest.raises(Misconfigured, match=why):
        replace(made, **changed).check_bind()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "localhost:80"}, 200),
        ({"host": "[::1]"}, 200),
        ({"host": "127.9.9.9:1"}, 200),
        ({"host": "far.example"}, 403),
        ({"host": "127.0.0.1.far.example"}, 403),
        ({"host": "localhost@far.example"}, 403),
        ({"host": "192.0.2.7"}, 403),
        ({"host": "localhost:80", "origin": "http://localhost:80"}, 200),
        ({"host": "localhost:80", "origin": "http://localhost:81"}, 403),
        ({"host": "localhost:80", "origin": "http://far.example"}, 403),
        ({"host": "localhost:80", "origin": "null"}, 403),
        ({"host": "localhost:80", "origin": "http://["}, 403),
    ],
)
def test_no_page_of_another_place_may_use_the_control_routes(
    dev: Plane, headers: dict[str, str], status: int
) -> None:
    assert call(dev.url, "GET", "/clock", headers=headers).status == status


@pytest.mark.parametrize(
    ("method", "path", "given", "status", "why"),
    [
        ("POST", "/clok", None, 404, "Did you mean /_sametoken/clock?"),
        ("DELETE", "/clock", None, 405, "does not take DELETE; use GET, HEAD."),
        ("POST", "/reset", b"{", 400, "not JSON"),
        ("POST", "/reset", b"[1]", 400, "not a JSON object"),
        ("POST", "/reset", b'"' + b"[" * 300_000, 413, "longer than 262144 bytes"),
        ("POST", "/reset", b"[" * 100_000, 400, "not JSON"),
        ("POST", "/accounts", {"name": "\ud800"}, 400, "not JSON"),
        (
            "POST",
            "/faults",
            {"rules": [{"kind": "lose-reply", "token": "\udfff"}]},
            400,
            "not JSON",
        ),
        ("POST", "/faults", {"rules": [{"kind": "lose-reply", "seed": 10**400}]}, 400, "seed is"),
        ("POST", "/reset", {"acount": "a"}, 400, "Did you mean account?"),
        ("POST", "/reset", {"account": 1}, 400, "account is 1; give a text"),
        ("POST", "/reset", {"account": "nobody"}, 400, "there is no account 'nobody'"),
        ("POST", "/clock/advance", None, 400, '"by" is missing'),
        ("POST", "/clock/advance", {"by": "1 day"}, 400, "write a number and a unit"),
        ("POST", "/clock/advance", {"by": "999999d"}, 400, "365000 days ahead"),
        ("POST", "/accounts", {"access": "none"}, 400, "give full or read-only"),
        ("POST", "/accounts", {"access_key_id": "a b"}, 400, "use letters and digits"),
        ("PUT", "/limits", {"vcpus/*/*": "2"}, 400, "give a whole number"),
        ("PUT", "/limits", {"vcpus/*/*": True}, 400, "give a whole number"),
        ("PUT", "/limits", {"vcpus/*/*": -1}, 400, "-1 is no maximum"),
        ("PUT", "/limits", {"vcpu/*/*": 1}, 400, "is no limit"),
    ],
)
def test_an_order_that_is_wrong_hears_what_to_do(
    dev: Plane, method: str, path: str, given: object, status: int, why: str
) -> None:
    told = call(dev.url, method, path, given)
    assert (told.status, why in told.said["error"]) == (status, True), told


def test_limits_are_set_all_or_none_and_unset_by_null(dev: Plane) -> None:
    def maximum() -> int | None:
        listed = call(dev.url, "GET", "/limits").said["limits"]
        return next((one["maximum"] for one in listed if one["name"] == "vpc/*/us-east-1"), None)

    call(dev.url, "PUT", "/limits", {"vpc/*/us-east-1": 3})
    assert maximum() == 3
    assert call(dev.url, "PUT", "/limits", {"vpc/*/us-east-1": 4, "no": 1}).status == 400
    assert maximum() == 3
    call(dev.url, "PUT", "/limits", {"vpc/*/us-east-1": None})
    assert maximum() is None


def test_an_account_that_is_made_calls_at_once(dev: Plane) -> None:
    made = call(dev.url, "POST", "/accounts", {"name": "fresh"}).said
    again = call(dev.url, "POST", "/accounts", {"name": "fresh", "access": "read-only"}).said
    assert (made["account"], made["name"]) == (again["account"], "fresh")
    listed = call(dev.url, "GET", "/accounts").said["keys"]
    assert {made["access_key_id"], again["access_key_id"]} <= {one["id"] for one in listed}


def test_help_and_a_start_without_development_mode_import_no_routes() -> None:
    script = (
        "import sys; from sametoken.cli.serve import serve; "
        "sys.exit('starlette' in sys.modules or 'anyio' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
