"""Taste, kept by machine: layers, bans, sizes, words and leaks. The rules are in tidy/.

Each rule is tried on a text that breaks it, so that a rule which stopped seeing fails here.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

import pytest

from tidy import bans, imports, shape
from tidy.rules import FOR_MODULES, FOR_OURS, FOR_TEXTS, Rule, to_read
from tidy.sources import PACKAGE, ROOT, Source, every_module, every_text
from tidy.tried import ALLOWED, CAUGHT, WRONG_WAY

TEXTS = every_text()
OURS = [module for module in every_module(TEXTS) if module.is_ours]


def in_package(path: str, text: str) -> Source:
    return Source(f"src/{PACKAGE}/{path}", text)


def name_of(value: object) -> str:
    return getattr(value, "__name__", "")


@pytest.mark.parametrize(("rule", "sources"), to_read(TEXTS), ids=name_of)
def test_the_repository_keeps_the_rule(rule: Rule, sources: list[Source]) -> None:
    assert sources, "a rule that reads nothing finds nothing"
    violations = [violation for source in sources for violation in rule(source)]
    assert not violations, f"{rule.__doc__}\n" + "\n".join(violations)


def test_no_module_imports_itself_through_others() -> None:
    assert imports.cycle(OURS) is None


@pytest.mark.parametrize(("rule", "path", "text"), CAUGHT, ids=name_of)
def test_the_rule_catches_a_text_that_breaks_it(rule: Rule, path: str, text: str) -> None:
    assert list(rule(in_package(path, text)))


@pytest.mark.parametrize(("rule", "path", "text"), ALLOWED, ids=name_of)
def test_the_rule_lets_a_near_miss_pass(rule: Rule, path: str, text: str) -> None:
    assert not list(rule(in_package(path, text)))


@pytest.mark.parametrize(("importer", "imported"), WRONG_WAY)
@pytest.mark.parametrize(
    "form", ["from sametoken.{} import x", "import sametoken.{}.x", "from sametoken import {}"]
)
def test_an_import_to_the_left_or_sideways_is_caught(
    importer: str, imported: str, form: str
) -> None:
    late = "def f():\n    " + form.format(imported)
    assert list(imports.rightward(in_package(f"{importer}/x.py", late)))


def test_a_name_taken_from_the_facade_is_caught() -> None:
    assert list(imports.rightward(in_package("server/app.py", "from sametoken import Engine")))


def test_a_ring_of_imports_is_caught_and_shown_as_a_chain() -> None:
    ring = [
        in_package("store/a.py", "from sametoken.store import b"),
        in_package("store/b.py", "import sametoken.store.c"),
        in_package("store/c.py", "if True:\n    from sametoken.store.a import thing"),
    ]
    found = imports.cycle(ring)
    assert found is not None
    assert found.count(" imports ") == 3


def test_an_import_that_waits_for_a_call_makes_no_ring() -> None:
    apart = [
        in_package("store/a.py", "from sametoken.store import b"),
        in_package("store/b.py", "def f():\n    from sametoken.store import a"),
    ]
    assert imports.cycle(apart) is None


@pytest.mark.parametrize(
    "line",
    ["thing", "thing>=1", "thing==1", "thing @ https://example.com/x.whl", "--extra x://y"],
)
def test_a_lock_file_without_hash_or_with_an_address_is_caught(line: str) -> None:
    assert list(shape.locked(Source("requirements/x.txt", line + "\n")))


def test_every_rule_is_tried_on_a_text_that_breaks_it() -> None:
    tried = {rule for rule, _, _ in CAUGHT} | {shape.locked}
    assert tried == {*FOR_OURS, *FOR_MODULES, *FOR_TEXTS}


@pytest.mark.parametrize(("path", "function"), bans.EDGES)
def test_a_declared_edge_still_exists(path: str, function: str) -> None:
    [edge] = [source for source in OURS if source.inside == path]
    assert f"def {function}(" in edge.text


def test_the_locks_pin_what_pyproject_asks_for() -> None:
    wanted = {
        "dev.txt": imports.declared_names() | _group("dev"),
        "demo.txt": imports.declared_names(without={"postgresql", "testing", "otel"})
        | _group("demo"),
        "lock.txt": _group("lock"),
    }
    for name, names in wanted.items():
        missing = names - _names(_pins(name))
        assert not missing, f"requirements/{name} lacks {missing}: make lock"
    assert set(_pins("demo.txt")) <= set(_pins("dev.txt")), "the locks disagree: make lock"


def test_the_installed_package_is_what_the_sources_say() -> None:
    installed = resources.files(PACKAGE)
    ours = ROOT / "src" / PACKAGE
    for path in sorted(ours.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            copy = installed.joinpath(*path.relative_to(ours).parts)
            assert copy.is_file(), f"{_told(path)} is not in the wheel"
            assert copy.read_bytes() == path.read_bytes(), f"{_told(path)} is stale: make install"


def _pins(name: str) -> list[str]:
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    return [line.rstrip(" \\") for line in lines if line[:1].isalnum()]


def _names(requirements: list[str]) -> set[str]:
    return {imports.distribution(line) for line in requirements}


def _group(name: str) -> set[str]:
    """The distributions of a dependency group and of the groups in it."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    found: set[str] = set()
    for line in groups[name]:
        found |= _group(line["include-group"]) if isinstance(line, dict) else _names([line])
    return found


def _told(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
