"""The notes in changes/: each is well-formed, and the tool that releases them takes all of them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTES = sorted(path for path in (ROOT / "changes").iterdir() if path.name != "README.md")
COLUMNS_MAX = 100

_SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
KINDS = {kind["directory"] for kind in _SETTINGS["type"]}
_NAME = re.compile(rf"\+[a-z0-9]+(-[a-z0-9]+)*\.({'|'.join(sorted(KINDS))})\.md")


def faults(name: str, text: str) -> list[str]:
    """The faults of a note; none, when it is well-formed."""
    found = []
    if not _NAME.fullmatch(name):
        found.append("its name is not +NAME.KIND.md")
    if not re.match(r"[A-Z`]", text):
        found.append("it begins with no capital letter and no code")
    if not re.search(r"[.!?]\n\Z", text):
        found.append("it does not end as a sentence, with one end of line")
    if "\n\n" in text or re.search(r"^\s*([-*#]|\d+\.) ", text, re.MULTILINE):
        found.append("it is not one paragraph")
    if any(len(line) > COLUMNS_MAX for line in text.splitlines()):
        found.append(f"a line has more than {COLUMNS_MAX} columns")
    return found


def built(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "towncrier", "build", "--dir", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with what the tool reads, which it may change."""
    shutil.copytree(ROOT / "changes", tmp_path / "changes")
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_every_note_is_well_formed() -> None:
    wrong = {path.name: found for path in NOTES if (found := faults(path.name, path.read_text()))}
    assert not wrong, "see changes/README.md"


def test_the_page_on_notes_tells_every_kind() -> None:
    told = re.findall(r"^\| `(\w+)` \|", (ROOT / "changes/README.md").read_text(), re.MULTILINE)
    assert set(told) == KINDS


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("-new.added.md", "A thing is new.\n"),
        ("+New.added.md", "A thing is new.\n"),
        ("+new.feature.md", "A thing is new.\n"),
        ("+new.added.txt", "A thing is new.\n"),
        ("+new.added.md", "a thing is new.\n"),
        ("+new.added.md", "A thing is new\n"),
        ("+new.added.md", "A thing is new."),
        ("+new.added.md", "- A thing is new.\n"),
        ("+new.added.md", "A thing is new.\n\nAnd another.\n"),
        ("+new.added.md", f"A thing is {'very ' * 20}new.\n"),
    ],
)
def test_a_note_that_is_not_well_formed_is_caught(name: str, text: str) -> None:
    assert faults(name, text)


def test_a_release_takes_every_note_and_puts_it_before_the_earlier_ones(copy: Path) -> None:
    (copy / "changes/+made-here.added.md").write_text("A note is made here.\n")
    before = (copy / "CHANGELOG.md").read_text()
    done = built(copy, "--version", "99.0.0", "--date", "2026-11-27", "--yes")
    assert done.returncode == 0, done.stderr
    page = (copy / "CHANGELOG.md").read_text()
    heads = re.findall(r"^## .*$", page, re.MULTILINE)
    assert heads == ["## 99.0.0 (2026-11-27)", *re.findall(r"^## .*$", before, re.MULTILINE)]
    assert "### Added\n\n- A note is made here.\n" in page
    words = " ".join(page.split())
    for note in NOTES:
        assert " ".join(note.read_text().split()) in words, note.name
    left = [path.name for path in (copy / "changes").iterdir()]
    assert left == ["README.md"]


def test_a_note_of_an_unknown_kind_is_refused_and_not_left_out(copy: Path) -> None:
    (copy / "changes/+new.feature.md").write_text("A thing is new.\n")
    done = built(copy, "--version", "99.0.0", "--draft")
    assert done.returncode != 0
    assert "+new.feature.md" in done.stderr
