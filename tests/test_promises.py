"""Promises are defined where readers find them, and shown by tests that exist: docs/promises.md.

Every `P<n>` that anything cites has a section there, every section names what shows it, and every
bound that the package declares is in its tables with the figure it has.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any

import pytest

from tidy.sources import PACKAGE, ROOT, Source, every_module, every_text

TEXTS = every_text()
MODULES = every_module(TEXTS)
PAGE = "docs/promises.md"
_BOUND = re.compile(r"\w+_(MAX|max)")
_CITED = re.compile(r"\bP(\d{1,2})(?:(?:–| to )P?(\d{1,2}))?\b")
_SECTION = re.compile(r"^## (P\d+): (.+)$", re.MULTILINE)
_ROW = re.compile(r"^\| `(\w+)` \| `([\w/.]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
_UNITS = {"": 1, "KiB": 1024, "MiB": 1024**2, "s": 1}
# Bounds of nothing that a caller can bring about, and why they need no row.
UNTOLD = {
    (
        "testing/server_process.py",
        "_END_SECONDS_MAX",
    ): "only a server that hangs is waited for so long",
    ("cli/demo.py", "COMMAND_SECONDS_MAX"): "the demo's own commands",
    ("ec2/storage/block_devices.py", "_GP2_IOPS_MAX"): "a figure shown of a volume, not asked for",
    (
        "testing/proxy.py",
        "_STOP_SECONDS_MAX",
    ): "how often a thread of the proxy looks whether it ends",
}


def page() -> str:
    [found] = [text for text in TEXTS if text.path == PAGE]
    return found.text


def sections(text: str) -> dict[str, str]:
    """The page's section on each promise, by its number."""
    parts = _SECTION.split(text)
    return dict(zip(parts[1::3], parts[3::3], strict=True))


def cited(source: Source) -> set[str]:
    """The promises that a text names: `P4`, `P1 to P10` and `P1–P9` name all in between."""
    found = set()
    for first, last in _CITED.findall(source.text):
        found |= {f"P{number}" for number in range(int(first), int(last or first) + 1)}
    return found


TESTS = {
    name
    for source in MODULES
    if source.path.startswith("tests/")
    for name in re.findall(r"^ *(?:async )?def (test_\w+)", source.text, re.MULTILINE)
}


def declared_bounds(source: Source) -> Iterator[str]:
    """The names ending in _MAX or _max that a module gives a value, or a class a default."""
    classes = [node for node in source.tree.body if isinstance(node, ast.ClassDef)]
    for body in (source.tree.body, *(one.body for one in classes)):
        for node in body:
            match node:
                case ast.Assign(targets=[ast.Tuple(elts=targets)]):
                    names = [target.id for target in targets if isinstance(target, ast.Name)]
                case ast.Assign(targets=[ast.Name(id=name)]):
                    names = [name]
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
                    names = [name]
                case _:
                    names = []
            yield from (name for name in names if _BOUND.fullmatch(name))


def value_of(path: str, name: str) -> Any:
    """A bound's value: a module's constant, or the default of a field in one of its classes."""
    dotted = PurePosixPath(path).with_suffix("").as_posix().replace("/", ".")
    module = importlib.import_module(f"{PACKAGE}.{dotted}")
    if hasattr(module, name):
        return getattr(module, name)
    [default] = [
        field.default
        for thing in vars(module).values()
        if isinstance(thing, type) and is_dataclass(thing)
        for field in fields(thing)
        if field.name == name
    ]
    return default


def as_number(value: Any) -> float:
    """A figure as it stands on the page: a time in seconds, of several the largest."""
    match value:
        case timedelta():
            return value.total_seconds()
        case dict():
            return float(max(value.values()))
        case int() | float():
            return value
        case _:
            raise AssertionError(f"{value!r} is no bound")


def test_every_promise_that_anything_cites_is_defined() -> None:
    defined = sections(page()).keys()
    assert len(defined) == 12, "the promises have been found"
    undefined = {
        text.path: sorted(missing)
        for text in TEXTS
        if text.path.endswith((".py", ".md", ".yml"))
        and text.path != "tests/test_promises.py"
        and (missing := cited(text) - defined)
    }
    assert not undefined, f"{PAGE} does not define them"


def test_a_promise_that_nobody_defined_is_seen() -> None:
    assert cited(Source("x.py", "# see P13, and P2 to P4")) == {"P13", "P2", "P3", "P4"}
    assert cited(Source("README.md", "P1–P3, not AP9 or P123")) == {"P1", "P2", "P3"}


@pytest.mark.parametrize("promise", [f"P{number}" for number in range(1, 13)])
def test_what_shows_a_promise_exists(promise: str) -> None:
    told = sections(page())[promise]
    tests = set(re.findall(r"`(test_\w+)`", told))
    assert tests, f"{promise} is shown by no test"
    assert tests <= TESTS, f"{promise}: {sorted(tests - TESTS)}"
    for path in re.findall(r"`(tests/[\w/.]+)`", told):
        assert (ROOT / path).is_file(), f"{promise}: {path}"


def test_every_bound_that_is_declared_is_on_this_page() -> None:
    rows = {(path, name) for name, path, _, _ in _ROW.findall(page())}
    declared = {
        (source.inside, name)
        for source in MODULES
        if source.is_ours
        for name in declared_bounds(source)
    }
    assert len(declared) > 50, "the bounds have been found"
    assert declared >= UNTOLD.keys(), "a bound that is gone"
    missing = sorted(declared - rows - UNTOLD.keys())
    assert not missing, f"{PAGE} lacks a row of each, with the test that goes beyond it"


@pytest.mark.parametrize(
    "text",
    ["MOST_MAX = 1", "A_MIN, A_MAX = 1, 2", "class C:\n    a_max: int = 1", "x_max: Final = 3"],
)
def test_a_bound_is_seen_however_it_is_declared(text: str) -> None:
    assert list(declared_bounds(Source("src/sametoken/x.py", text)))


@pytest.mark.parametrize(("name", "path", "most", "shown"), _ROW.findall(page()))
def test_a_bound_is_what_the_page_says_and_is_tested(
    name: str, path: str, most: str, shown: str
) -> None:
    figure, _, unit = most.partition(" ")
    assert as_number(value_of(path, name)) == int(figure) * _UNITS[unit]
    tests = set(re.findall(r"`(test_\w+)`", shown))
    assert tests, "it is tried by no test"
    assert tests <= TESTS, sorted(tests - TESTS)
