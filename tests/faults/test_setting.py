"""Faults are set at the start, by commands and over HTTP, and what cannot be meant changes none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from control import call
from faults.struck import ask, launch_form, rule
from plane import Plane, new_database, running_plane
from sametoken.cli import main
from sametoken.errors import Misconfigured
from sametoken.faults.ready import scenarios
from sametoken.operate.faults import rules_named
from sametoken.settings import Settings, database_of

Run = Callable[..., str]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    folder = tmp_path_factory.mktemp("setting")
    database = new_database(folder, "sqlite")
    started = (rule("unavailable", name="from-the-start", action="CreateVolume"),)
    with running_plane(folder, database=database, dev=True, faults=started) as running:
        assert database.file is not None
        database.file.with_name(f"{database.file.name}-node").write_text(running.url)
        yield running


@pytest.fixture(autouse=True)
def only_the_first_rule(plane: Plane) -> Iterator[None]:
    started = plane.node.settings.faults
    yield
    plane.node.faults.set(started)


@pytest.fixture
def run(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `sametoken faults` with some words; returns what it prints."""
    monkeypatch.setenv("SAMETOKEN_DATABASE", plane.node.settings.database.url)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str, status: int = 0) -> str:
        done = CliRunner().invoke(main, ["faults", *words])
        assert done.exit_code == status, done.output
        return done.output

    return run


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text('[[rules]]\nkind = "throttle"\naction = "Describe*"\nodds = 0.5\n')
    return str(path)


def in_force(plane: Plane) -> list[str]:
    return [one.name for one in plane.node.faults.rules()]


def test_rules_at_the_start_are_in_force(plane: Plane) -> None:
    form = {"Action": "CreateVolume", "Version": "2016-11-15"}
    assert ask(plane, plane.keys, form).status == 503
    assert ask(plane, plane.keys, launch_form()).status == 200


def test_commands_set_add_list_and_clear_rules(plane: Plane, run: Run, file: str) -> None:
    assert "throttle" in run("set", file)
    assert in_force(plane) == ["throttle"]
    run("add", "lose-reply", "action=RunInstances", "attempt=1-2")
    assert in_force(plane) == ["throttle", "lose-reply"]
    assert plane.node.faults.rules()[1].attempt == (1, 2)
    assert ask(plane, plane.keys, launch_form("listed")).status == 0
    [line] = [one for one in run("list").splitlines() if "lose-reply" in one]
    assert "action=RunInstances attempt=1-2" in line
    assert line.split()[-2:] == ["1", "1"], "it matched once, and struck once"
    run("clear", "throttle")
    assert in_force(plane) == ["lose-reply"]
    run("clear")
    assert in_force(plane) == []


def test_files_and_scenarios_are_set_together(plane: Plane, run: Run, file: str) -> None:
    run("set", "slow-launch", file)
    assert in_force(plane) == ["slow-volumes", "slow-boot", "interfaces-again", "throttle"]


def test_a_file_is_checked_without_a_server(run: Run, file: str, tmp_path: Path) -> None:
    assert run("check", file) == "throttle\n1 rules, and nothing is wrong in them\n"
    assert run("check", "zone-down").startswith("no-capacity, called no-room\n")
    bad = tmp_path / "bad.toml"
    bad.write_text('[[rules]]\nkind = "throtle"\n')
    assert "rule 1: 'throtle' is no kind of fault. Did you mean throttle?" in run(
        "check", str(bad), status=1
    )
    assert "there is no scenario 'bad-dya'" in run("check", "bad-dya", status=1)


def test_scenarios_are_listed_and_shown(run: Run) -> None:
    listed = run("scenarios")
    assert all(name in listed for name in scenarios())
    assert run("scenarios", "bad-day").startswith("# Everything at once")


def test_what_cannot_be_meant_is_refused_and_nothing_changes(plane: Plane, run: Run) -> None:
    before = in_force(plane)
    assert "Did you mean lose-reply" in run("add", "lose-repl", status=1)
    assert "no rule 'mine'" in run("clear", "mine", status=1)
    url = plane.url
    for method, given, told in [
        ("PUT", {}, "no list of tables called rules"),
        ("PUT", {"rules": [{"kind": "unavailable"}, {"kind": "x"}]}, "the request, rule 2"),
        ("POST", {"rules": [{"kind": "unavailable", "name": before[0]}]}, "already"),
        ("DELETE", {"name": "x"}, '{"names": ["lose-reply"]}'),
        ("DELETE", {"names": [before[0], "x"]}, "no rule 'x'"),
    ]:
        said = call(url, method, "/faults", given)
        assert (said.status, told in said.said["error"]) == (400, True), said
    assert in_force(plane) == before


def test_over_http_the_board_is_told_as_it_is_set(plane: Plane) -> None:
    rules = [
        {"kind": "lose-reply", "name": "mine", "token": "order-*", "times": 1},
        {"kind": "slow-step", "step": "boot-machine", "seconds": 2.5},
    ]
    said = call(plane.url, "PUT", "/faults", {"rules": rules})
    named = [rules[0], {**rules[1], "name": "slow-step"}]
    assert (said.status, said.said["rules"]) == (200, named)
    assert said.said["counts"]["mine"] == {"matched": 0, "fired": 0}
    assert ask(plane, plane.keys, launch_form("order-7")).status == 0
    said = call(plane.url, "GET", "/faults")
    assert said.said["counts"]["mine"] == {"matched": 1, "fired": 1}
    [firing] = said.said["firings"]
    assert datetime.fromisoformat(firing["at"]) <= plane.run(lambda tx: tx.now)
    assert {key: firing[key] for key in ("rule", "kind", "action", "token", "attempt")} == {
        "rule": "mine", "kind": "lose-reply", "action": "RunInstances", "token": "order-7",
        "attempt": 1,
    }  # fmt: skip
    assert call(plane.url, "PUT", "/faults", {"rules": said.said["rules"]}).status == 200
    assert call(plane.url, "DELETE", "/faults").said["rules"] == []


def test_faults_at_the_start_need_development_mode(tmp_path: Path) -> None:
    settings = Settings(database_of(tmp_path / "x.db"), faults=rules_named(["bad-day"]))
    with pytest.raises(Misconfigured, match="--dev"):
        settings.check_faults()
    database = f"sqlite:///{tmp_path}/x.db"
    words = ["serve", "--port", "0", "--processes", "0", "--database", database]
    done = CliRunner().invoke(main, [*words, "--faults", "bad-day"])
    assert (done.exit_code, "add --dev" in done.output) == (1, True)
    done = CliRunner().invoke(main, [*words, "--dev", "--faults", "bad-dya"])
    assert (done.exit_code, "Did you mean bad-day" in done.output) == (1, True)
