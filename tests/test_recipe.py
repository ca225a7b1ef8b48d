"""The recipe of CONTRIBUTING.md is what stands in the sources, and costs what it promises."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from exercises.requests import EXERCISES
from sametoken.ec2 import catalog
from sametoken.resources.kit.kinds import KINDS

ROOT = Path(__file__).parents[1]
EC2 = ROOT / "src/sametoken/ec2"
COLUMNS = 100
# (noun's module, the kind, lines of source, lines of exercise)
COSTS = [
    ("gateways/carrier_gateways", "carrier-gateway", 12, 10),
    ("network/traffic_mirror_targets", "traffic-mirror-target", 30, 12),
]


def recipe() -> Iterator[tuple[Path, str]]:
    """Each file that the recipe names with the block that follows."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = text.split("## Add a noun of EC2's")[1].split("\n## ")[0]
    for step in section.split("\n**")[1:]:
        named = re.search(r"`((?:src|tests)/[^`<]+\.py)`", step)
        block = re.search(r"```python\n(.*?)```", step, re.DOTALL)
        if named and block:
            yield ROOT / named[1], block[1]


def lines(node: ast.AST) -> int:
    """The logical lines of code under `node`, each as often as it fills a line of 100 columns."""
    inner = [one for field in ("body", "orelse") for one in getattr(node, field, ())]
    if isinstance(node, ast.Module) or not inner:
        return (
            sum(map(lines, _code(inner))) if inner else math.ceil(len(ast.unparse(node)) / COLUMNS)
        )
    header = ast.unparse(node).split(":\n")[0]
    return math.ceil(len(header) / COLUMNS) + sum(map(lines, _code(inner)))


def _code(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements without imports and docstrings."""
    for one in statements:
        is_text = isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
        if not is_text and not isinstance(one, ast.Import | ast.ImportFrom):
            yield one


def exercise(kind: str) -> ast.Call:
    """The exercise of a kind, as it is written."""
    for path in sorted((ROOT / "tests/exercises").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="Exercise"), keywords=said):
                    told = {one.arg: one.value for one in said}
                    if ast.unparse(told["kind"]) == repr(kind):
                        return node
    raise LookupError(f"{kind} has no exercise")


def test_each_step_of_the_recipe_stands_in_the_file_it_names() -> None:
    steps = list(recipe())
    assert len(steps) == 3, "record, family and exercise"
    for path, block in steps:
        assert block in path.read_text(), f"{path.relative_to(ROOT)} has not what the recipe shows"


@pytest.mark.parametrize(("module", "kind", "source_max", "exercise_max"), COSTS)
def test_a_noun_costs_what_the_recipe_promises(
    module: str, kind: str, source_max: int, exercise_max: int
) -> None:
    assert lines(ast.parse((EC2 / f"{module}.py").read_text())) <= source_max
    assert lines(exercise(kind)) <= exercise_max
    own = [one for one in EXERCISES if one.kind == kind]
    assert len(own) == 1


def test_a_noun_that_others_know_nothing_of_is_named_in_no_more_than_four_files() -> None:
    words = ("traffic-mirror-target", "traffic_mirror_targets")
    named = [
        path.relative_to(ROOT).as_posix()
        for folder in ("src", "tests")
        for path in (ROOT / folder).rglob("*.py")
        if path != Path(__file__) and any(word in path.read_text() for word in words)
    ]
    assert len([one for one in named if "test_" not in one]) <= 4, named


def test_the_kit_names_no_noun() -> None:
    nouns = {*KINDS, *catalog.ACTIONS}
    for path in sorted((EC2 / "kit").glob("*.py")):
        tree = ast.parse(path.read_text())
        texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        assert not texts & nouns, f"{path.name} names {texts & nouns}"


def test_lines_are_counted_as_a_reader_would() -> None:
    """A canary: imports and docstrings count nothing, a long statement as often as it wraps."""
    text = '"""A."""\nimport ast\nx = 1\ndef f():\n    """B."""\n    return ' + "x + " * 40 + "1\n"
    assert lines(ast.parse(text)) == 1 + 1 + 2
