"""The program of docs/tokens.md runs, through a network that loses and cuts replies."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from callers.programs import EXAMPLES
from clients.pages import PAGES
from sametoken.testing import Account, Fate, Passage, lossy_proxy

PAGE = PAGES.parent / "tokens.md"


def worst_first(passage: Passage) -> Fate:
    fates = (Fate.CUT_REPLY, Fate.DROP_REPLY) if passage.action == "RunInstances" else ()
    return fates[passage.attempt - 1] if passage.attempt <= len(fates) else Fate.PASS


def test_the_program_of_the_page_runs(account: Account, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 4, "its blocks have been found"
    program = tmp_path / "program.py"
    program.write_text("\n".join(blocks))
    with lossy_proxy(account.url, worst_first) as proxy:
        environment = {**account.environment(), "AWS_ENDPOINT_URL_EC2": proxy.url}
        done = subprocess.run(
            [sys.executable, "-W", "error", str(program)], env=environment, capture_output=True,
            text=True,
        )  # fmt: skip
        assert proxy.count("RunInstances") == 6
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"i-\w+\n", done.stdout)
    account.assert_one_set(instances=2, volumes=1)


def test_the_page_names_every_example_for_callers() -> None:
    named = set(re.findall(r"`examples/(\w+\.py)`", PAGE.read_text()))
    assert named == {path.name for path in EXAMPLES.glob("*.py")} - {"orders.py"}
