"""Documents are true: their commands and programs run, their generated pages are fresh."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import botocore
import click
import pytest

from clients.commands import inside
from clients.pages import shown_commands
from exercises.requests import requests
from sametoken.cli import main

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
# Matches the line that tells a page's facts on botocore's model.
_OF_THE_MODEL = re.compile(r"^botocore .*$", re.MULTILINE)
# Commands that are not run here: `make` runs this suite itself.
_ELSEWHERE = ("make",)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Start the endpoint as the README's first shell does; return the second's environment."""
    environment = {
        **os.environ,
        "SAMETOKEN_DATABASE": f"sqlite:///{tmp_path}/docs.db",
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "AWS_PAGER": "",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "sametoken", "serve", "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("sametoken serves EC2 at http://127.0.0.1:")
        yield environment
    finally:
        server.terminate()
        assert server.wait(timeout=20) == 0
        if server.stdout is not None:
            server.stdout.close()


@pytest.mark.skipif(not (BIN / "aws").exists(), reason="the AWS CLI is not installed beside Python")
def test_the_commands_of_the_readme_do_what_it_says(served: dict[str, str]) -> None:
    commands = [
        (one.command, one.output)
        for one in shown_commands((ROOT / "README.md").read_text())
        if not one.command.startswith((*_ELSEWHERE, ".venv/bin/sametoken serve"))
    ]
    assert len(commands) >= 5, "the README's first use has been found"
    # Run all in one shell, as a reader does; a mark with the status follows each command.
    script = "\n".join(
        f"{command.replace('.venv/bin/', '')}\necho '::status' $?" for command, _ in commands
    )
    done = subprocess.run(
        ["bash", "-c", script],
        env=served,
        text=True,
        timeout=120,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    outputs = re.split(r"::status (\d+)\n", done.stdout)[:-1]
    for (command, shown), output, status in zip(commands, outputs[::2], outputs[1::2], strict=True):
        refused = shown.startswith("An error occurred")
        assert (int(status) != 0) == refused, f"{command}\n{output}"
        if refused:
            assert shown.partition("…")[0].strip() in output
    assert done.stdout.count('"ReservationId"') == 3
    assert len(set(re.findall(r'"InstanceId": "(i-\w+)"', done.stdout))) == 1


def test_every_command_is_documented() -> None:
    pages = ("docs/operating.md", "docs/configuration.md", "README.md")
    page = "".join((ROOT / one).read_text() for one in pages)
    for name, command in inside(main).items():
        assert f"sametoken {name}" in page, f"`sametoken {name}` is on none of {pages}"
        if isinstance(command, click.Group):
            for inner in command.commands:
                assert f"sametoken {name} {inner}" in page, f"`sametoken {name} {inner}`"


PAGES = [
    *(page for folder in ("", "docs/", "docs/decisions/") for page in ROOT.glob(f"{folder}*.md")),
    *(
        page
        for folder in ("changes/", "benchmarks/", "tests/")
        for page in ROOT.glob(f"{folder}*.md")
    ),
]
# Matches each command of ours that a page shows as code, with all that belongs to it.
_SHOWN = re.compile(
    r"(?:`|^ {4}|^\$ (?:\.venv/bin/)?)sametoken +([a-z][^`\n]*(?:\n {6,}[^`\n]+)*)", re.M
)


def unknown_words(shown: str) -> list[str]:
    """Return the words of a shown command that are no command, subcommand or option of ours."""
    first, *words = shown.partition(" -- ")[0].split()
    command = inside(main).get(first)
    if command is None:
        return [first]
    # Shows the options of another command, which is given with its flags.
    if [first, *words[:1]] == ["config", "show"] and words[1:]:
        return unknown_words(" ".join(words[1:]))
    if isinstance(command, click.Group):
        inner = command.commands.get(words[0]) if words else None
        if words and inner is None:
            return [f"{first} {words[0]}"]
        command = inner or command
    options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    asked = re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", " ".join(words))
    return [f"{first} {one}" for one in asked if one not in options | {"--help"}]


def test_every_documented_command_exists_with_its_options() -> None:
    shown = [(page.name, one) for page in PAGES for one in _SHOWN.findall(page.read_text())]
    assert len(shown) > 20, "the commands have been found"
    assert not [(name, unknown) for name, one in shown if (unknown := unknown_words(one))]


def test_a_word_that_no_command_has_is_seen() -> None:
    page = "Say `sametoken srv` or `sametoken limits put x`.\n\n    sametoken serve --prot 1\n"
    found = [word for one in _SHOWN.findall(page) for word in unknown_words(one)]
    assert found == ["srv", "limits put", "serve --prot"]


def test_every_documented_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in PAGES:
        asked = re.findall(r"(?:`|^ {4}|\$ )make ([a-z-]+)", page.read_text(), re.M)
        assert set(asked) <= targets, f"{page.name}: {sorted(set(asked) - targets)}"


def test_every_command_explains_itself() -> None:
    for command in inside(main).values():
        inner = command.commands.values() if isinstance(command, click.Group) else [command]
        assert command.help
        assert all(one.help for one in inner)


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["states.md", "actions.md", "metrics.md"])
def test_the_generated_pages_are_fresh(name: str) -> None:
    written, fresh = (ROOT / "docs" / name).read_text(), _generator().PAGES[name]()
    if f"botocore {botocore.__version__}," not in written:
        # Leave the counts out: they are of the model that the page names, not of this one.
        written, fresh = (_OF_THE_MODEL.sub("", page) for page in (written, fresh))
    assert written == fresh, "run `make docs`"


@pytest.mark.parametrize("asked", requests())
def test_the_page_of_actions_tells_of_what_the_exercises_ask(asked: str, actions_page: str) -> None:
    action, _, way = asked.partition(" ")
    [row] = re.findall(rf"^\| {action} \| .*{way}.*$", actions_page, re.MULTILINE)[:1]
    assert row


@pytest.fixture(scope="module")
def actions_page() -> str:
    page: str = _generator().PAGES["actions.md"]()
    return page


def test_the_program_of_the_library_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/library.md").read_text(), re.DOTALL)
    assert len(blocks) >= 4, "its blocks have been found"
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "program.py"
    program.write_text("\n".join(blocks))
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_example_runs_and_prints_what_it_promises() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples/orders.py")], capture_output=True, text=True
    )
    assert done.stdout.splitlines() == [
        "new {'id': 1, 'item': 'tea', 'state': 'new'}",
        "replay {'id': 1, 'item': 'tea', 'state': 'shipped'}",
        "mismatch in item",
        "orders: 1",
    ], done.stderr
