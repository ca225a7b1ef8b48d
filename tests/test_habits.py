"""Habits of contributors that a machine helps with: hooks before a commit, commits for blame."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
_HOOKS = re.findall(r"entry: (.*)", (ROOT / ".pre-commit-config.yaml").read_text())


@pytest.mark.parametrize("hook", _HOOKS)
def test_a_hook_passes_a_file_that_is_in_order(hook: str) -> None:
    command = hook.replace(".venv/bin", str(BIN))
    done = subprocess.run(
        [*command.split(), "tests/test_habits.py"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_of_the_house_stop_the_commit_of_a_file_that_breaks_one(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests/tidy", tmp_path / "tests/tidy")
    for name in (".gitignore", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "tests/kept.py").write_text('"""As it should be."""\n')
    (tmp_path / "tests/broken.py").write_text("x = 1  # noqa\n")

    def hook(*files: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tidy", *files],
            env={**os.environ, "PYTHONPATH": str(tmp_path / "tests")},
            capture_output=True,
            text=True,
        )

    assert hook("tests/kept.py").returncode == 0, "the file that was not changed is not read"
    stopped = hook("tests/kept.py", "tests/broken.py")
    assert stopped.returncode == 1
    assert "tests/broken.py:1: # noqa: add its code, and a reason after it" in stopped.stderr


def test_the_hooks_leave_types_to_make_check() -> None:
    assert _HOOKS, "the hooks have been found"
    assert not [hook for hook in _HOOKS if "mypy" in hook or "make" in hook]


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)


def test_the_commits_that_blame_looks_through_are_in_the_history() -> None:
    if _git("rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("these sources are not a clone with its history")
    lines = (ROOT / ".git-blame-ignore-revs").read_text().splitlines()
    commits = [line for line in lines if line and not line.startswith("#")]
    assert commits, "the commits have been found"
    for commit in commits:
        assert re.fullmatch(r"[0-9a-f]{40}", commit), commit
        assert _git("merge-base", "--is-ancestor", commit, "HEAD").returncode == 0, commit


def test_the_shares_of_the_time_budget_add_up_to_eight_minutes() -> None:
    page = (ROOT / "tests/README.md").read_text()
    shares = dict(re.findall(r"^\| (.+?) \| .+ \| (\d+) \|$", page, re.MULTILINE))
    assert sum(int(seconds) for seconds in shares.values()) == 480
    named = set(re.findall(r"`([\w.]+)/?`", " ".join(shares)))
    tests = ROOT / "tests"
    suites = {path.relative_to(tests).parts[0] for path in tests.rglob("test_*.py")}
    assert named - {"tidy"} == suites, "each suite has a share"
