"""Taste, kept by machine: layers, bans, sizes, and what must not leak. The rules are in tidy/.

Each rule is tried on a text that breaks it, so that a rule which stopped seeing fails here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import pytest

from tidy import bans, imports, shape
from tidy.sources import PACKAGE, ROOT, Source, every_module, every_text

Rule = Callable[[Source], Iterator[str]]

TEXTS = every_text()
MODULES = every_module(TEXTS)
OURS = [module for module in MODULES if module.is_ours]

FOR_OURS: tuple[Rule, ...] = (
    imports.absolute,
    imports.rightward,
    imports.storeyed,
    imports.protocol_alone,
    imports.calls_nothing_out,
    imports.services_apart,
    imports.engine_alone,
    imports.declared,
    bans.through_the_world,
    bans.sql_at_home,
    bans.narrow_excepts,
    bans.no_print,
    bans.built_on_import,
)
FOR_MODULES: tuple[Rule, ...] = (
    shape.file_fits,
    shape.functions_fit,
    shape.lines_fit,
    shape.documented,
    shape.named,
    shape.excused,
    bans.seams,
)
FOR_TEXTS: tuple[Rule, ...] = (
    shape.finished,
    shape.no_machine,
    shape.no_registry,
    shape.locked,
)
RULES = [
    *((rule, OURS) for rule in FOR_OURS),
    *((rule, MODULES) for rule in FOR_MODULES),
    *((rule, TEXTS) for rule in FOR_TEXTS),
]


def pieces(text: str) -> str:
    """`text` without its bars: this file must not hold what it feeds to the rules."""
    return text.replace("|", "")


# (rule, file, text that breaks it). The import order is tried pair by pair further below.
CAUGHT: list[tuple[Rule, str, str]] = [
    (imports.absolute, "store/port.py", "from . import clock"),
    (imports.absolute, "store/port.py", "import importlib\nimportlib.import_module('x')"),
    (imports.absolute, "store/port.py", "__import__('sametoken.server')"),
    (imports.rightward, "newcomer/thing.py", "import json"),
    (imports.storeyed, "ec2/newcomer/thing.py", "import json"),
    (imports.storeyed, "ec2/kit/nouns.py", "from sametoken.ec2.network import vpcs"),
    (imports.storeyed, "ec2/kit/nouns.py", "from sametoken.ec2 import catalog"),
    (imports.storeyed, "ec2/protocol/xml.py", "from sametoken.ec2.kit.request import Request"),
    (imports.storeyed, "ec2/network/vpcs.py", "from sametoken.ec2.gateways.vpn_gateways import x"),
    (imports.storeyed, "ec2/gateways/vpn_gateways.py", "import sametoken.ec2.compute.launch"),
    (imports.storeyed, "ec2/network/vpcs.py", "def f():\n    from sametoken.ec2.catalog import x"),
    (imports.storeyed, "resources/kit/rows.py", "from sametoken.resources.network import vpcs"),
    (imports.storeyed, "resources/kit/rows.py", "import sametoken.resources.catalogues.images"),
    (imports.storeyed, "resources/network/vpcs.py", "from sametoken.resources.storage import x"),
    (imports.protocol_alone, "ec2/protocol/wire.py", "from sametoken.resources.kit import kinds"),
    (imports.protocol_alone, "ec2/protocol/wire.py", "from sametoken.store.port import Tx"),
    (
        imports.calls_nothing_out,
        "ec2/network/vpcs.py",
        "from sametoken.services.volumes import Volumes",
    ),
    (imports.calls_nothing_out, "ec2/network/vpcs.py", "import http.client"),
    (imports.calls_nothing_out, "ec2/network/vpcs.py", "def f():\n    from socket import socket"),
    (imports.calls_nothing_out, "ec2/kit/nouns.py", "import urllib.request"),
    (imports.calls_nothing_out, "resources/kit/rows.py", "import subprocess"),
    (imports.services_apart, "services/volumes.py", "from sametoken.services import networks"),
    (imports.services_apart, "services/volumes.py", "import sametoken.services.placement"),
    (imports.services_apart, "services/steps.py", "from sametoken.services.volumes import Volumes"),
    (
        imports.services_apart,
        "services/networks.py",
        "from sametoken.services.simulated_machines import SimulatedMachines",
    ),
    (imports.engine_alone, "idempotency/engine.py", "import cryptography"),
    (imports.engine_alone, "store/port.py", "def late():\n    from botocore import loaders"),
    (imports.declared, "server/app.py", "import requests"),
    (bans.through_the_world, "retry.py", "import random"),
    (bans.through_the_world, "retry.py", "from time import monotonic"),
    (bans.through_the_world, "store/clock.py", "def late():\n    import uuid"),
    (bans.through_the_world, "ec2/protocol/xml.py", "import secrets as hidden"),
    (
        bans.through_the_world,
        "ec2/protocol/xml.py",
        "from datetime import datetime\ndatetime.now()",
    ),
    (bans.through_the_world, "ec2/protocol/xml.py", "import datetime\ndatetime.datetime.utcnow()"),
    (
        bans.through_the_world,
        "ec2/protocol/xml.py",
        "from datetime import datetime\nnow = datetime.now",
    ),
    (bans.through_the_world, "server/app.py", "import asyncio\nasyncio.sleep(1)"),
    (bans.through_the_world, "server/app.py", "from asyncio import sleep"),
    (bans.through_the_world, "server/sealing.py", "import os\nos.urandom(8)"),
    (bans.through_the_world, "server/sealing.py", "from os import urandom"),
    (bans.sql_at_home, "server/app.py", "import sqlalchemy as sa\nsa.select(1)"),
    (bans.sql_at_home, "ec2/compute/launch.py", "from sqlalchemy import text"),
    (bans.sql_at_home, "node.py", "connection.exec_driver_sql(query)"),
    (bans.sql_at_home, "cli/tokens.py", "connection.execute('BEGIN')"),
    (bans.sql_at_home, "cli/tokens.py", "connection.execute(f'DROP TABLE {name}')"),
    (bans.narrow_excepts, "node.py", "try:\n    f()\nexcept Exception:\n    pass"),
    (bans.narrow_excepts, "node.py", "try:\n    f()\nexcept:\n    pass"),
    (bans.narrow_excepts, "node.py", "try:\n    f()\nexcept (OSError, BaseException):\n    pass"),
    (bans.narrow_excepts, "node.py", "with contextlib.suppress(Exception):\n    f()"),
    (
        bans.narrow_excepts,
        "server/app.py",
        "def other():\n    try:\n        f()\n    except Exception:\n        pass",
    ),
    (bans.no_print, "node.py", "print('here')"),
    (bans.built_on_import, "workflow/work.py", "def find(tx):\n    tx.execute(sa.select(WORK))"),
    (bans.built_on_import, "store/nodes.py", "def f(tx):\n    tx.execute(_ALL.where(a == b))"),
    (
        bans.built_on_import,
        "services/fence.py",
        "class A:\n    def f(self):\n        upsert(FENCE)",
    ),
    (bans.built_on_import, "workflow/work.py", "def f(tx):\n    tx.execute(_SET.values(a=1))"),
    (
        bans.built_on_import,
        "resources/kit/rows.py",
        "def _by(name):\n    return sa.select(T)\ndef find(tx):\n    tx.execute(_by('id'))",
    ),
    (bans.seams, "mutants.py", "patch.object(work, '_take', mutated)"),
    (bans.seams, "mutants/driving.py", "monkeypatch.setattr(work, '_TAKE', mutated)"),
    (bans.seams, "mutants/driving.py", "values = work._REDIRECT"),
    (shape.file_fits, "node.py", "x = 1\n" * 401),
    (shape.functions_fit, "node.py", "def long():\n" + "    x = 1\n" * 60),
    (shape.functions_fit, "node.py", "class A:\n    async def long(self):\n" + "        x\n" * 60),
    (shape.lines_fit, "node.py", "#" * 101),
    (shape.documented, "node.py", "# A comment is no docstring.\nx = 1"),
    (shape.named, "store/util.py", ""),
    (shape.named, "store/row_helpers.py", ""),
    (shape.named, "common/rows.py", ""),
    (shape.excused, "node.py", "x = 1  # noqa"),
    (shape.excused, "node.py", "x = 1  # noqa: S105"),
    (shape.excused, "node.py", "x = 1  # noqa: S105, BLE001 - why"),
    (shape.excused, "node.py", "x = 1  # type: ignore"),
    (shape.excused, "node.py", "x = 1  # type: ignore[misc]"),
    (shape.finished, "node.py", pieces("# TO|DO: the rest")),
    (shape.finished, "node.py", pieces('"""FIX|ME"""')),
    (shape.no_machine, "node.py", pieces("x = '/ho|me/me/x'")),
    (shape.no_machine, "node.py", pieces("# see /wo|rk/notes.md")),
    (shape.no_machine, "node.py", pieces("x = 'file:///ro|ot/x'")),
    (shape.no_registry, "node.py", pieces("# from files.python|hosted.org")),
    (shape.no_registry, "node.py", pieces("pip install --index|-url x")),
    (shape.no_registry, "node.py", pieces("npm --registry=https://registry|.example.com")),
]

# Near misses: what a rule that sees too much would forbid.
ALLOWED: list[tuple[Rule, str, str]] = [
    (imports.absolute, "store/port.py", "from sametoken.store import clock"),
    (imports.rightward, "store/port.py", "from sametoken.store import clock"),
    (imports.rightward, "cli/serve.py", "from sametoken.node import Node"),
    (imports.storeyed, "ec2/compute/launch.py", "from sametoken.ec2.network import vpcs"),
    (imports.storeyed, "ec2/network/vpcs.py", "from sametoken.ec2.network import subnets"),
    (imports.storeyed, "ec2/network/vpcs.py", "from sametoken.resources.network import vpcs"),
    (imports.storeyed, "ec2/__init__.py", ""),
    (imports.protocol_alone, "ec2/protocol/xml.py", "from sametoken.ec2.protocol import scalars"),
    (imports.protocol_alone, "ec2/kit/nouns.py", "from sametoken.store.port import Tx"),
    (imports.calls_nothing_out, "ec2/compute/launch.py", "from sametoken.workflow import work"),
    (imports.calls_nothing_out, "ec2/protocol/wire.py", "from urllib.parse import quote"),
    (imports.calls_nothing_out, "services/machines.py", "import subprocess"),
    (imports.services_apart, "services/volumes.py", "from sametoken.services import fence, steps"),
    (imports.engine_alone, "store/port.py", "import sqlalchemy as sa, json"),
    (imports.declared, "cli/__init__.py", "import click, rich.table"),
    (bans.through_the_world, "world.py", "import time, random, uuid, secrets"),
    (bans.through_the_world, "ec2/protocol/xml.py", "from datetime import datetime, timedelta"),
    (bans.through_the_world, "ec2/protocol/xml.py", "world.now(); world.random(); tx.now"),
    (bans.sql_at_home, "workflow/work.py", "import sqlalchemy as sa\nsa.select(1)"),
    (bans.sql_at_home, "server/app.py", "outcome = execute(tx, call)"),
    (bans.narrow_excepts, "node.py", "try:\n    f()\nexcept OSError:\n    pass"),
    (bans.narrow_excepts, "node.py", "try:\n    f()\nexcept BaseException:\n    g()\n    raise"),
    (bans.no_print, "node.py", "console.print('here')"),
    (bans.built_on_import, "workflow/work.py", "_FIND = sa.select(WORK).where(a == b)"),
    (
        bans.built_on_import,
        "resources/kit/quotas.py",
        "def _counting(rows):\n    return sa.select(rows)\n_ALL = _counting(T)",
    ),
    (bans.built_on_import, "workflow/work.py", "def f(tx):\n    return list(found.values())"),
    (bans.seams, "mutants/driving.py", "patch.object(work, 'take', mutated); f.__name__"),
    (bans.seams, "simulation/cluster.py", "patch.object(work, '_take', mutated)"),
    (shape.file_fits, "node.py", "x = 1\n" * 400),
    (shape.functions_fit, "node.py", "def long():\n" + "    x = 1\n" * 59),
    (shape.lines_fit, "node.py", "#" * 100),
    (shape.documented, "store/__init__.py", ""),
    (shape.named, "resources/database.py", ""),
    (shape.excused, "node.py", "x = 1  # noqa: S105 - a dash in the log"),
    (shape.excused, "node.py", "x = 1  # type: ignore[misc]  # the stub is wrong"),
    (shape.excused, "node.py", "x = '# noqa'"),
    (shape.finished, "node.py", "# What is to do is done."),
    (shape.no_machine, "node.py", "url = f'{base}/home/x'; x = '/var/lib/sametoken'"),
    (shape.no_machine, "node.py", "x = '/home/somebody/plane.db'"),
    (shape.no_registry, "node.py", "uv pip compile --no-emit-index-url"),
]

# Everything design.md names, and the neighbours that are nearest to a slip.
WRONG_WAY = [
    ("errors", "world"),
    ("retry", "faults"),
    ("store", "idempotency"),
    ("idempotency", "resources"),
    ("idempotency", "ec2"),
    ("idempotency", "server"),
    ("resources", "workflow"),
    ("workflow", "services"),
    ("services", "ec2"),
    ("ec2", "server"),
    ("ec2", "migrations"),
    ("migrations", "ec2"),
    ("server", "node"),
    ("server", "cli"),
    ("server", "settings"),
    ("server", "testing"),
    ("server", "migrations"),
    ("settings", "node"),
    ("node", "cli"),
]


def in_package(path: str, text: str) -> Source:
    return Source(f"src/{PACKAGE}/{path}", text)


def name_of(value: object) -> str:
    return getattr(value, "__name__", "")


@pytest.mark.parametrize(("rule", "sources"), RULES, ids=name_of)
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
        "demo.txt": imports.declared_names(without="postgresql") | _group("demo"),
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
    """What a dependency group asks for, the groups in it too."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    found: set[str] = set()
    for line in groups[name]:
        found |= _group(line["include-group"]) if isinstance(line, dict) else _names([line])
    return found


def _told(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
