"""Options from flag, environment and file, in that order, and what tells which has won."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from sametoken.cli import Commands, configuration, main

ROOT = click.Context(main)
# A value of each option that is not its default; of others any will do.
VALUES: dict[str, Any] = {
    "after-termination": "error", "log-format": "json", "throttle": "RunInstances=2:5",
}  # fmt: skip


def every_option() -> list[tuple[str, click.Option]]:
    """All options, each with the command that has it."""
    found: list[tuple[str, click.Option]] = []

    def walk(command: click.Command, path: str) -> None:
        found.extend((path, one) for one in configuration.options_of(command))
        if isinstance(command, click.Group):
            for name, one in command.commands.items():
                walk(one, f"{path} {name}")

    for name in main.list_commands(ROOT):
        command = main.get_command(ROOT, name)
        assert command is not None, "its name is listed"
        walk(command, name)
    return found


OPTIONS = every_option()


def run(*words: str, env: dict[str, str | None] | None = None) -> Result:
    return CliRunner().invoke(main, words, env=env)


def row_of(result: Result, path: str, key: str) -> tuple[str, str]:
    """The value of an option, and where `config show` says that it comes from."""
    assert result.exit_code == 0, result.output
    if result.output.startswith("["):
        # Its own `--json` is set in the same way.
        records = [tuple(one.values()) for one in json.loads(result.stdout)]
        [found] = [one for one in records if one[:2] == (path, f"--{key}")]
        return found[2], found[3]
    heading, *lines = result.output.splitlines()
    places = [heading.index(name) for name in ("command", "option", "value", "from")]
    spans = list(zip(places, [*places[1:], None], strict=True))
    rows = [[line[begin:end].strip() for begin, end in spans] for line in lines]
    [(_, _, value, source)] = [row for row in rows if row[:2] == [path, f"--{key}"]]
    return value, source


def value_of(option: click.Option) -> Any:
    key = configuration.key_of(option)
    if option.is_flag:
        return True
    return VALUES.get(key, 1 if isinstance(option.type, click.IntRange | click.FloatRange) else "x")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, *lines: str) -> None:
    (folder / configuration.FILE_NAME).write_text("\n".join(lines))


@pytest.mark.parametrize(
    ("path", "option"), OPTIONS, ids=lambda one: str(getattr(one, "name", one))
)
def test_every_option_comes_from_flag_environment_and_file_in_this_order(
    folder: Path, path: str, option: click.Option
) -> None:
    key, value = configuration.key_of(option), value_of(option)
    variable = str(option.envvar)
    words = ["config", "show", *path.split()]
    assert row_of(run(*words), path, key)[1] == "the default"

    said = "true" if value is True else repr(value).replace("'", '"')
    write(
        folder, f"[{path.replace(' ', '.')}]", f"{key} = {f'[{said}]' if option.multiple else said}"
    )
    assert row_of(run(*words), path, key)[1] == "the file"

    env: dict[str, str | None] = {variable: str(value)}
    assert row_of(run(*words, env=env), path, key)[1] == variable

    flag = [f"--{key}"] if option.is_flag else [f"--{key}", str(value)]
    assert row_of(run(*words, *flag, env=env), path, key)[1] == "the flag"


def test_a_variable_is_an_options_own_and_means_the_same_for_every_command() -> None:
    kinds: dict[str, set[tuple[type, bool]]] = {}
    for _, option in OPTIONS:
        assert option.envvar == configuration.variable_of(option)
        kinds.setdefault(str(option.envvar), set()).add((type(option.type), option.multiple))
    assert {"SAMETOKEN_PORT", "SAMETOKEN_DATABASE"} <= kinds.keys()
    assert not [name for name, found in kinds.items() if len(found) > 1]


def test_an_option_above_all_tables_is_for_every_command_that_has_it(folder: Path) -> None:
    write(folder, 'account = "ours"', "boot-seconds = 7", "[worker]", "boot-seconds = 8")
    assert row_of(run("config", "show", "env"), "env", "account") == ("ours", "the file")
    assert row_of(run("config", "show"), "tokens list", "account") == ("ours", "the file")
    assert row_of(run("config", "show", "serve"), "serve", "boot-seconds")[0] in ("7", "7.0")
    assert row_of(run("config", "show", "worker"), "worker", "boot-seconds")[0] in ("8", "8.0")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["prot = 1"], "'prot' is no option and no command. Did you mean port?"),
        (["[serv]"], "'serv' is no option and no command. Did you mean serve?"),
        (["[serve]", "prot = 1"], "serve has no option 'prot'. Did you mean port?"),
        (["[accounts.craete]"], "accounts has no option 'craete'. Did you mean create?"),
        (["serve = 4"], "serve is a command's table: write [serve], not 4"),
        (["[serve]", 'port = "x"'], "serve.port is 'x': "),
        (["[serve]", "port = 70000"], "serve.port is 70000: "),
        (["[serve]", 'dev = "yes"'], "serve.dev is true or false, not 'yes'"),
        (["[serve]", "port = true"], "serve.port is a text or a number, not True"),
        (["[serve]", 'throttle = "x"'], "serve.throttle is a list: write ['x'], not 'x'"),
        (["port ="], "cannot be read as TOML"),
    ],
)
def test_what_a_file_says_wrongly_is_named(folder: Path, lines: list[str], said: str) -> None:
    write(folder, *lines)
    for words in (["config", "show"], ["serve"] if "accounts" not in lines[0] else ["accounts"]):
        result = run(*words) if words != ["accounts"] else run("accounts", "list")
        assert result.exit_code == 1, result.output
        assert said in result.output


def test_a_file_is_named_by_flag_or_environment_and_must_be_there(folder: Path) -> None:
    other = folder / "other.toml"
    other.write_text("[serve]\nport = 5000\n")
    write(folder, "[serve]", "port = 6000")
    show = ("config", "show", "serve")
    assert row_of(run(*show), "serve", "port")[0] == "6000"
    assert row_of(run("--config", str(other), *show), "serve", "port")[0] == "5000"
    env: dict[str, str | None] = {configuration.FILE_VARIABLE: str(other)}
    assert row_of(run(*show, env=env), "serve", "port")[0] == "5000"
    missing = run("--config", str(folder / "none.toml"), *show)
    assert missing.exit_code == 1
    assert "there is no configuration file" in missing.output


def test_a_misspelt_variable_is_named() -> None:
    result = run("config", "show", "serve", env={"SAMETOKEN_PROT": "1"})
    assert (
        "SAMETOKEN_PROT is no option of any command. Did you mean SAMETOKEN_PORT?" in result.output
    )


def test_no_secret_is_shown() -> None:
    secret, password = "s3cret", "hunter2"
    shown = [
        run("config", "show", "serve", "--access-key", f"AKIA:{secret}"),
        run("config", "show", "accounts", "create", "--secret-access-key", secret),
        run("config", "show", "serve", "--database", f"postgresql://me:{password}@host/name"),
    ]
    for result in shown:
        assert result.exit_code == 0, result.output
        assert secret not in result.output
        assert password not in result.output
    assert "AKIA:…" in shown[0].output


def test_what_is_asked_for_and_is_not_there_is_refused() -> None:
    assert "there is no command 'serv'. Did you mean serve?" in run("config", "show", "serv").output
    assert "No such option '--prot'" in run("config", "show", "serve", "--prot").output


def test_the_file_on_the_page_is_read_as_it_is(folder: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/configuration.md").read_text()
    [shown] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    write(folder, shown)
    assert row_of(run("config", "show"), "serve", "port") == ("4599", "the file")
    assert row_of(run("config", "show"), "accounts create", "read-only") == ("True", "the file")
    told = run("config", "show", "serve", "--boot-seconds", "0")
    assert row_of(told, "serve", "boot-seconds") == ("0", "the flag")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_and_options(shell: str) -> None:
    assert "_SAMETOKEN_COMPLETE" in run("completion", shell).output
    asked = {"_SAMETOKEN_COMPLETE": f"{shell}_complete"}
    # Bash and zsh say which word is to be completed, fish says what of it is there.
    at = "--boot-s" if shell == "fish" else "2"
    words = {"COMP_WORDS": "sametoken serve --boot-s", "COMP_CWORD": at}
    found = CliRunner().invoke(main, [], prog_name="sametoken", env={**asked, **words})
    assert isinstance(main, Commands)
    assert "--boot-seconds" in found.output, found.output
