"""What the tidy rules read: the files of this repository, as text and as syntax trees.

Reads files and nothing else; no rule lives here.
"""

from __future__ import annotations

import ast
import fnmatch
import io
import os
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "sametoken"
# Where a program of ours lives; everything else is text.
CODE = ("src/", "tests/", "benchmarks/", "examples/")


@dataclass(frozen=True)
class Source:
    """One file: its path from the repository's root, with slashes, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def is_ours(self) -> bool:
        """Whether it is a module of the package, not of its tests."""
        return self.path.startswith(f"src/{PACKAGE}/")

    @cached_property
    def inside(self) -> str:
        """The path inside the package: `store/port.py`."""
        return self.path.removeprefix(f"src/{PACKAGE}/")

    @cached_property
    def module(self) -> str:
        """The dotted name: `sametoken.store.port`; a package's is that of its `__init__`."""
        name = self.path.removeprefix("src/").removesuffix(".py").replace("/", ".")
        return name.removesuffix(".__init__")

    @cached_property
    def unit(self) -> str:
        """The name by which the order of imports knows it: `store`, `node`, or `__init__`."""
        return PurePosixPath(self.inside).parts[0].removesuffix(".py")

    def comments(self) -> Iterator[tuple[int, str]]:
        """(line number, comment) of each comment; what only looks like one is left out."""
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string

    def says(self, line: int, what: str) -> str:
        """A violation as the reader wants it: where, and what to do."""
        return f"{self.path}:{line}: {what}"


def every_text() -> list[Source]:
    """Every text file that git would take: all but what .gitignore names."""
    return [Source(path, text) for path in sorted(_kept_paths()) if (text := _text(path))]


def every_module(texts: list[Source]) -> list[Source]:
    """The Python files among `texts` that are programs of ours."""
    return [text for text in texts if text.path.endswith(".py") and text.path.startswith(CODE)]


def _kept_paths() -> Iterator[str]:
    ignored = [
        line.rstrip("/")
        for line in (ROOT / ".gitignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name != ".git" and not _matches(name, ignored)]
        for name in files:
            # In a worktree .git is a file.
            if name != ".git" and not _matches(name, ignored):
                yield Path(folder, name).relative_to(ROOT).as_posix()


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _text(path: str) -> str | None:
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
