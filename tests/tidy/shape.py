"""Rules on shape: sizes, names, docstrings, excuses, and texts that must not leak.

Pure: one source in, its violations out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tidy.sources import Source

# FILE_LINES_MAX is read in one sitting, FUNCTION_LINES_MAX seen on one screen.
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
LINE_CHARACTERS_MAX = 100

# NAMELESS: if no noun fits, the code is in the wrong file.
NAMELESS = {"util", "utils", "common", "helper", "helpers", "base", "manager", "misc", "shared"}

# A class of one letter here and there keeps this file from matching its own patterns.
_UNFINISHED = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X]|HA[C]K)\b")
_EXCUSE = re.compile(r"#\s*(noqa|type:\s*ignore|pragma)(?P<rest>.*)")
# After the codes comes a reason: at least two words.
_CODES_AND_REASON = re.compile(r"(:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*|\[[\w-]+\])[\s#–:-]+\w\S*\s+\w.*")
# Folders of one machine; an example may use the placeholder names of users.
_MACHINE_PATH = re.compile(
    r"(?<![\w.~$}-])/((root|opt|work|tmp|mnt|srv|private|var/folders)/[\w.-]"
    r"|(home|Users)/(?!(somebody|user|you)\b)[\w.-])"
)
_REGISTRY = re.compile(
    r"(?i)((?<!no-emit-)(index-ur[l]|find-link[s])\b|trusted-hos[t]"
    r"|\b[\w.-]*(pyp[i]|pythonhoste[d]|npmj[s]|artifactor[y]|nexu[s])[\w-]*\.[a-z]{2,}"
    r"|\bregistr[y]\.[\w-]+\.[a-z]{2,})"
)
_ADDRESS = re.compile(r"://|\s@\s")


def file_fits(source: Source) -> Iterator[str]:
    """A file has at most 400 lines."""
    if len(source.lines) > FILE_LINES_MAX:
        yield source.says(FILE_LINES_MAX, f"{len(source.lines)} lines: split it by noun")


def functions_fit(source: Source) -> Iterator[str]:
    """A function has at most 60 lines, its docstring included."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield source.says(node.lineno, f"{node.name} has {lines} lines")


def lines_fit(source: Source) -> Iterator[str]:
    """A line has at most 100 characters."""
    for number, line in enumerate(source.lines, start=1):
        if len(line) > LINE_CHARACTERS_MAX:
            yield source.says(number, f"{len(line)} characters")


def pages_fit(source: Source) -> Iterator[str]:
    """A line of prose in a page has at most 100 characters; tables and code stay as they are."""
    is_generated = source.text.startswith("<!-- Generated")
    if not source.path.endswith(".md") or is_generated:
        return
    is_code = False
    for number, line in enumerate(source.lines, start=1):
        is_code ^= line.lstrip().startswith("```")
        is_prose = not is_code and not line.startswith((" " * 4, "|"))
        # A line of one word, such as an address, cannot be broken.
        if is_prose and len(line) > LINE_CHARACTERS_MAX and " " in line.strip():
            yield source.says(number, f"{len(line)} characters of prose: wrap it")


def documented(source: Source) -> Iterator[str]:
    """A module opens with its promise; an empty one promises nothing."""
    if source.text.strip() and not ast.get_docstring(source.tree):
        yield source.says(1, "a module opens with its promise and its absences")


def named(source: Source) -> Iterator[str]:
    """A module is named for what it is."""
    for part in PurePosixPath(source.path).with_suffix("").parts:
        for word in set(part.split("_")) & NAMELESS:
            yield source.says(1, f"{word} is no noun for a module")


def excused(source: Source) -> Iterator[str]:
    """A comment that silences a checker names the code and says why, on the same line."""
    for line, comment in source.comments():
        found = _EXCUSE.search(comment)
        if found and not _CODES_AND_REASON.match(found["rest"].strip()):
            yield source.says(line, f"{comment.strip()}: add its code, and a reason after it")


def finished(source: Source) -> Iterator[str]:
    """Work left to do is an issue, not a remark."""
    yield from _lines_with(_UNFINISHED, source, "finish it, or open an issue")


def no_machine(source: Source) -> Iterator[str]:
    """No file knows the machine that it was written on."""
    yield from _lines_with(_MACHINE_PATH, source, "a path of one machine")


def no_registry(source: Source) -> Iterator[str]:
    """The address of a package registry is the machine's business."""
    yield from _lines_with(_REGISTRY, source, "the address of a package registry")


def locked(source: Source) -> Iterator[str]:
    """A lock file pins by hash, and holds no address at all."""
    if not source.path.startswith("requirements/"):
        return
    yield from _lines_with(_ADDRESS, source, "an address in a lock file")
    for number, line in enumerate(source.lines, start=1):
        if line[:1].isalnum():
            follows = source.lines[number] if number < len(source.lines) else ""
            if "==" not in line or "--hash=sha256:" not in follows:
                yield source.says(number, "pin the version, and its hash below")


def _lines_with(pattern: re.Pattern[str], source: Source, what: str) -> Iterator[str]:
    for number, line in enumerate(source.lines, start=1):
        if found := pattern.search(line):
            yield source.says(number, f"{found[0].strip()!r}: {what}")
