"""Rules on imports: the order of docs/ARCHITECTURE.md, and its list of what must never be.

Pure: sources in, violations out. Imports inside functions count for the order; for cycles only
imports that run when a module is loaded.
"""

from __future__ import annotations

import ast
import graphlib
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from tidy.sources import PACKAGE, ROOT, Source

# RINGS: a unit may import units of every ring below its own, and none of its own ring.
RINGS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    ("cli",),
    # For other people's suites: what development mode controls, as their own.
    ("testing",),
    # Pages of a node for a browser: thin over use cases, and over what controls it.
    ("console",),
    # Development mode: use cases of a node that runs, as functions and over HTTP.
    ("control",),
    # Use cases, each on an opened database: what a command, or a console, is thin over.
    ("operate",),
    ("node",),
    # All that a node has counted, and the state of its database.
    ("readings",),
    ("background", "condition", "tracing"),
    # The settings name the drivers' settings, and are read by the units above alone.
    ("settings",),
    ("server", "web", "verify"),
    # The migrations see all tables and nothing above them; ec2 has none.
    ("ec2", "migrations"),
    ("services",),
    ("workflow",),
    ("resources",),
    # `import sametoken` is the engine alone.
    ("__init__",),
    ("idempotency",),
    # A caller has no server: what it is given is small, and below everything of ours.
    ("store", "client"),
    ("retry", "faults", "patience"),
    ("counts", "derived", "errors", "events", "nearest", "spans", "world"),
)
RING = {unit: number for number, ring in enumerate(RINGS) for unit in ring}

# ONLY_FOR is narrower than the rings: only these units may import the key.
ONLY_FOR = {
    "console": {"console", "testing", "cli"},
    "control": {"control", "console", "testing", "cli"},
    "operate": {"operate", "control", "console", "testing", "cli"},
    "node": {"node", "control", "operate"},
    "migrations": {"migrations", "condition", "node", "operate"},
    "settings": {"settings", "node", "operate", "console", "testing", "cli"},
    "client": {"client", "testing", "cli"},
    # The facade is for users; inside, a name is imported from where it lives.
    "__init__": set[str](),
}

# A service may import SERVICES_SHARED. The others are strangers to each other, because each could
# be another team's program; only housekeeping sweeps more than one.
SERVICES_SHARED = {"fence", "steps"}
SERVICES_MAY = {
    "simulated_machines": {"machines"},
    "housekeeping": {"simulated_machines"},
    "clearing": {"simulated_machines"},
    "restoring": {"simulated_machines"},
}

# STOREYS inside ec2 and resources: a room imports rooms to its right, never left, never sideways.
# The families share a kit, and build on each other: an instance has interfaces and volumes.
STOREYS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "ec2": (
        ("catalog",),
        ("unserved", "rehearsals", "unpaged"),
        ("compute", "gateways"),
        ("storage",),
        ("network",),
        ("account",),
        ("kit",),
        ("protocol",),
    ),
    "resources": (
        ("compute", "gateways"),
        ("storage",),
        ("network",),
        ("account",),
        ("kit", "catalogues"),
    ),
}
STOREY = {
    unit: {room: number for number, ring in enumerate(rings) for room in ring}
    for unit, rings in STOREYS.items()
}

# PROTOCOL is bytes and values: it knows no noun, no row and no store.
PROTOCOL = "ec2/protocol/"
PROTOCOL_KNOWS = {"ec2", "errors", "nearest", "world"}

# IN_TRANSACTION: an operation runs inside an open transaction, so nothing in its rooms may call
# out: no service, and none of the modules that reach another process.
IN_TRANSACTION = {"ec2", "resources"}
SERVICES = {"services"}
CALLS_OUT = {
    "asyncio", "boto3", "ftplib", "http", "httpx", "multiprocessing", "requests", "selectors",
    "smtplib", "socket", "socketserver", "ssl", "subprocess", "urllib.request",
}  # fmt: skip

# ENGINE must load with nothing else there: `pip install sametoken` brings only ENGINE_NEEDS.
ENGINE = {
    "__init__", "idempotency", "store", "client", "retry", "faults", "counts", "derived", "errors",
    "events", "spans", "world",
}  # fmt: skip
ENGINE_NEEDS = {"sqlalchemy", "orjson"}
# The package that distributions of this prefix share.
SHARED = "opentelemetry"
# Modules that `operate` alone loads, and only for users of `sametoken[postgresql]`.
POSTGRESQL = {
    "store/news.py",
    "store/pgconnect.py",
    "store/pgpipe.py",
    "store/pgsession.py",
    "store/pgvalues.py",
    "store/postgresql.py",
}
# A command parses, calls a use case and prints: it reaches no row, no store and no key by itself.
# Of the server and the services it knows the values that its options are turned into; None: all.
_COMMANDS_KNOW: Mapping[str, set[str] | None] = {
    "cli": None,
    "console": None,
    "control": None,
    "operate": None,
    "settings": None,
    "testing": None,
    "client": None,
    "faults": None,
    "errors": None,
    "events": None,
    "nearest": None,
    "world": None,
    "server": {"choices", "development", "rates"},
    "services": {"simulated_machines"},
}
# A console is as thin. It names the store of a use case by its interfaces, and it is an application
# of the server's.
_CONSOLES_KNOW: Mapping[str, set[str] | None] = {
    "console": None,
    "control": None,
    "operate": None,
    "settings": None,
    "faults": None,
    "errors": None,
    "nearest": None,
    "world": None,
    "server": {"app", "asgi", "browsing", "counts", "fault_control"},
    "counts": None,
    "store": {"port", "reading"},
}
THIN = {"cli": ("command", _COMMANDS_KNOW), "console": ("console", _CONSOLES_KNOW)}


@dataclass(frozen=True, slots=True)
class Import:
    """An imported name: `sametoken.store.port.Tx`, and whether loading the module imports it."""

    line: int
    name: str
    at_load: bool


def imports_of(source: Source) -> Iterator[Import]:
    """Every import, wherever it stands."""
    yield from _imports_in(source.tree, at_load=True)


def _imports_in(node: ast.AST, *, at_load: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Import(names=names):
                yield from (Import(child.lineno, name.name, at_load) for name in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                start = "." * level + (module or "")
                yield from (Import(child.lineno, f"{start}.{n.name}", at_load) for n in names)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                yield from _imports_in(child, at_load=False)
            case _:
                yield from _imports_in(child, at_load=at_load)


def _of_package(source: Source) -> Iterator[tuple[Import, str, str]]:
    """Yield (import, unit, module within the unit or "") for each import of our own package."""
    for found in imports_of(source):
        parts = found.name.split(".")
        if parts[0] == PACKAGE:
            unit = parts[1] if len(parts) > 1 and parts[1] in RING else "__init__"
            yield found, unit, parts[2] if len(parts) > 2 else ""


def absolute(source: Source) -> Iterator[str]:
    """Imports are absolute, so that these rules can read them."""
    for found in imports_of(source):
        if found.name.startswith("."):
            yield source.says(found.line, "import by the full name")
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="import_module") | ast.Name(id="__import__")):
                yield source.says(node.lineno, "an import that no rule can read")


def rightward(source: Source) -> Iterator[str]:
    """A unit imports only units to its right: never left, never sideways."""
    if source.unit not in RING:
        yield source.says(1, f"{source.unit} has no place in the import order: tidy/imports.py")
        return
    for found, unit, _ in _of_package(source):
        if unit != source.unit and RING[unit] <= RING[source.unit]:
            yield source.says(found.line, f"{source.unit} must not import {unit}")
        elif source.unit not in ONLY_FOR.get(unit, {source.unit}):
            yield source.says(found.line, f"{unit} is not for {source.unit}")


def storeyed(source: Source) -> Iterator[str]:
    """A room inside ec2 or resources imports only rooms to its right."""
    rooms = STOREY.get(source.unit)
    if rooms is None or source.module == f"{PACKAGE}.{source.unit}":
        return
    own = source.module.split(".")[2]
    if own not in rooms:
        yield source.says(1, f"{source.unit}/{own} has no place in the order: tidy/imports.py")
        return
    for found, unit, room in _of_package(source):
        if unit != source.unit or room == own:
            continue
        if room not in rooms:
            yield source.says(found.line, f"import the rooms of {unit} by their names")
        elif rooms[room] <= rooms[own]:
            yield source.says(found.line, f"{unit}/{own} must not import {unit}/{room}")


def protocol_alone(source: Source) -> Iterator[str]:
    """The wire protocol is bytes and values: it imports no noun, no row and no store."""
    if source.inside.startswith(PROTOCOL):
        for found, unit, _ in _of_package(source):
            if unit not in PROTOCOL_KNOWS:
                yield source.says(found.line, f"ec2/protocol must not import {unit}")


def calls_nothing_out(source: Source) -> Iterator[str]:
    """A module that runs inside a transaction imports no service and no network."""
    if source.unit not in IN_TRANSACTION:
        return
    for found, unit, _ in _of_package(source):
        if unit in SERVICES:
            yield source.says(found.line, f"{source.unit} must not import {unit}")
    for found in imports_of(source):
        parts = found.name.split(".")
        if {parts[0], ".".join(parts[:2])} & CALLS_OUT:
            yield source.says(found.line, f"{found.name} calls out of an open transaction")


def commands_thin(source: Source) -> Iterator[str]:
    """A command, or a console, reaches the rest of the program through operate."""
    if source.unit not in THIN:
        return
    what, knows = THIN[source.unit]
    for found, unit, module in _of_package(source):
        known = knows.get(unit, set())
        if known is not None and module not in known:
            whole = f"{unit}.{module}" if module else unit
            yield source.says(found.line, f"a {what} must not import {whole}: ask operate")


def services_apart(source: Source) -> Iterator[str]:
    """A service imports no other service."""
    if source.unit != "services":
        return
    own = source.module.rpartition(".")[2]
    may = SERVICES_SHARED | SERVICES_MAY.get(own, set()) | {own}
    for found, unit, module in _of_package(source):
        if unit == "services" and module not in may:
            yield source.says(found.line, f"services.{own} must not import services.{module}")


def engine_alone(source: Source) -> Iterator[str]:
    """The engine loads with its own dependencies only."""
    if source.unit in ENGINE:
        needs = ENGINE_NEEDS | ({"psycopg"} if source.inside in POSTGRESQL else set())
        for line, name in _third_parties(source):
            if name not in needs:
                yield source.says(line, f"`pip install {PACKAGE}` does not bring {name}")


def declared(source: Source) -> Iterator[str]:
    """An import from another package is a dependency in pyproject.toml, not a lucky presence."""
    known = {_imported(name) for name in declared_names()}
    for line, name in _third_parties(source):
        if name not in known:
            yield source.says(line, f"{name} is not a dependency in pyproject.toml")


def _third_parties(source: Source) -> Iterator[tuple[int, str]]:
    for found in imports_of(source):
        top = found.name.split(".")[0]
        if top and top != PACKAGE and top not in sys.stdlib_module_names:
            yield found.line, top


def declared_names(*, without: Collection[str] = ()) -> set[str]:
    """The import names of the package's own dependencies and extras, which are equal to theirs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project.get("optional-dependencies", {})
    groups = [project["dependencies"], *(extras[name] for name in extras if name not in without)]
    return {distribution(line) for group in groups for line in group}


def distribution(requirement: str) -> str:
    """The name of a requirement as an import has it: `SQLAlchemy>=2.0` → `sqlalchemy`."""
    end = next((i for i, c in enumerate(requirement) if c in " <>=!~;["), len(requirement))
    return requirement[:end].lower().replace("-", "_")


def _imported(name: str) -> str:
    """The package that a distribution brings: several of OpenTelemetry's share theirs."""
    return SHARED if name.startswith(f"{SHARED}_") else name


def cycle(sources: Collection[Source]) -> str | None:
    """A ring of modules that import each other when loaded, as a chain; None when there is none.

    The re-exports of a package's `__init__` count for modules that import from it, not for its own.
    """
    modules = {source.module for source in sources}
    graph = {
        source.module: {
            target
            for found in imports_of(source)
            if found.at_load and (target := _module_of(found.name, modules))
        }
        for source in sources
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return " imports ".join(reversed(error.args[1]))
    return None


def _module_of(name: str, modules: Collection[str]) -> str | None:
    """The longest beginning of a dotted name that is a module of ours."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name or None
