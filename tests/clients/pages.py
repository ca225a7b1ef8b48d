"""Pages of docs/clients: the files and commands that they show, run as a reader runs them.

A page shows a file as "`NAME`:" before a block, and commands as `$ ` lines of console blocks. The
output of a command must have all that the page shows for it; `…` stands for any text.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Far more than the slowest page takes on a busy machine.
PATIENCE_SECONDS = 900.0
PAGES = Path(__file__).parent.parent.parent / "docs" / "clients"
_BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
_FILE = re.compile(r"^`([\w.-]+)`:\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_STATUS = re.compile(r"::status (\d+)\n")


@dataclass(frozen=True, slots=True)
class Shown:
    """A command of a document, and the output that is shown for it."""

    command: str
    output: str


def shown_commands(text: str) -> list[Shown]:
    """Return each `$ ` line in a document's console blocks, in order."""
    found: list[Shown] = []
    for block in _BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.split("\n")
            count = next(i for i, line in enumerate(lines) if not line.endswith("\\"))
            command, output = lines[: count + 1], lines[count + 1 :]
            found.append(Shown("\n".join(command), "\n".join(output).strip()))
    return found


def names() -> list[str]:
    """Return the pages' names, without that of the index."""
    return sorted(page.stem for page in PAGES.glob("*.md") if page.stem != "README")


def run_page(name: str, folder: Path, environment: Mapping[str, str], *, url: str) -> None:
    """Write the page's files into `folder`, and run its commands there in one shell.

    `url` stands in for the endpoint that `sametoken env` names. Every command must succeed, and
    print what the page shows.
    """
    text = (PAGES / f"{name}.md").read_text()
    for file, content in _FILE.findall(text):
        (folder / file).write_text(content)
    shown = shown_commands(text)
    assert shown and "sametoken env" in shown[0].command, "each page begins with it"
    first, *others = [f"{one.command}\necho ::status $?" for one in shown]
    through = f"export AWS_ENDPOINT_URL_EC2={url} AWS_ENDPOINT_URL_STS={url}"
    done = subprocess.run(
        ["bash", "-c", "\n".join([first, through, *others])],
        cwd=folder, env=environment, text=True, timeout=PATIENCE_SECONDS,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    parts = _STATUS.split(done.stdout)[:-1]
    for one, output, status in zip(shown, parts[::2], parts[1::2], strict=True):
        assert status == "0", f"{one.command}\n{output}"
        expected = ".*".join(re.escape(part.strip()) for part in one.output.split("…"))
        assert re.search(expected, output, re.DOTALL), f"{one.command}\n{output}"
