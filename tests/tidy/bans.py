"""Rules on things that a module must not do: the world's doors, SQL, wide excepts, print.

Pure: one source in, its violations out. Only the package is checked, not its tests.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import PurePosixPath

from tidy.imports import imports_of
from tidy.sources import Source

# WORLD is the only door to clock, sleep and randomness: a simulation replaces it and replays from a
# seed.
WORLD = "world.py"
WORLDLY_MODULES = {"time", "random", "uuid", "secrets"}
WORLDLY_CALLS = {
    ("datetime", "now"),
    ("datetime", "today"),
    ("datetime", "utcnow"),
    ("date", "today"),
    ("os", "urandom"),
    ("os", "getrandom"),
    ("asyncio", "sleep"),
    ("utils", "formatdate"),
    ("utils", "localtime"),
}

# The packages that own tables, and the store under them.
SPEAKS_SQL = {"store", "idempotency", "resources", "workflow", "services", "migrations"}

# Makes statements for the constants of others.
BUILDER = "store/dialects.py"
STATEMENTS = {"select", "insert", "update", "delete", "text", "exists", "union", "union_all"}
CLAUSES = {
    "where",
    "returning",
    "order_by",
    "group_by",
    "with_for_update",
    "select_from",
    "add_columns",
    "on_conflict_do_nothing",
    "on_conflict_do_update",
}

# EDGES, by (file, function), may meet any error at all; each with its reason.
EDGES = {
    ("background.py", "_repeat"): "a sweep or settlement that met a bug is tried again",
    ("background.py", "_write_once"): "attempts are for people; requests go on without them",
    ("background.py", "_say"): "a heartbeat that met a bug is tried again",
    ("server/readers.py", "_run"): "a read's error belongs to its caller alone",
    ("server/pipeline.py", "_advance"): "a bug of ours is one request's 500",
    ("server/pipeline.py", "_wait"): "a bug of ours is one request's 500",
    ("workflow/loop.py", "run_duty"): "a bug of ours met one piece of work; the others go on",
    ("workflow/batches.py", "act_together"): "a member's error is its own fate, not its mates'",
    ("store/group_commit.py", "run_member"): "a member's error belongs to its caller alone",
    ("store/postgresql.py", "_run_job"): "a job's error belongs to its caller alone",
    (
        "store/postgresql.py",
        "_run_shared",
    ): "an error at the commit belongs to all callers",
    (
        "store/pgsession.py",
        "run_alone",
    ): "whatever ends a transaction, it is undone first",
    ("store/pgsession.py", "run_shared"): "each function meets its error again, alone",
    ("server/job_counts.py", "settled"): "a job's error is its caller's, and nothing to count",
    ("server/desk.py", "_answer"): "an error of one request must not end the line of all",
    ("operate/forking.py", "_live"): "nobody is above it in a forked process; it is logged",
}
# `rows.write` checks neither guard that `rows.change` and `endings` are for.
WRITES_ROWS = {"resources/kit/endings.py", "resources/kit/rows.py"}
WIDE = {"Exception", "BaseException"}

# How a moment is kept in a document, or in a statement written by hand, is known to these alone;
# the store has columns for them.
KEEPS_MOMENTS = {
    "resources/kit/moments.py",
    "ec2/kit/packing.py",
    "idempotency/entries.py",
}
CONVERTERS = {"to_microseconds", "from_microseconds"}


def through_the_world(source: Source) -> Iterator[str]:
    """Clock, sleep, randomness and uuid are reached through `world` alone."""
    if source.inside == WORLD:
        return
    for found in imports_of(source):
        parts = found.name.split(".")
        if parts[0] in WORLDLY_MODULES or tuple(parts[-2:]) in WORLDLY_CALLS:
            yield source.says(found.line, f"{found.name}: ask the World instead")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and (_last(node.value), node.attr) in WORLDLY_CALLS:
            yield source.says(node.lineno, f"{ast.unparse(node)}: ask the World instead")


def sql_at_home(source: Source) -> Iterator[str]:
    """SQL is written only where tables are owned."""
    if source.unit in SPEAKS_SQL:
        return
    for found in imports_of(source):
        if found.name.split(".")[0] in ("sqlalchemy", "psycopg"):
            yield source.says(found.line, f"{source.unit} owns no tables: no {found.name} here")
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="exec_driver_sql")):
                yield source.says(node.lineno, f"{source.unit} owns no tables: no SQL here")
            case ast.Call(
                func=ast.Attribute(attr="execute" | "executemany" | "executescript"),
                args=[ast.Constant(value=str()) | ast.JoinedStr(), *_],
            ):
                yield source.says(node.lineno, f"{source.unit} owns no tables: no SQL here")


def narrow_excepts(source: Source) -> Iterator[str]:
    """Only declared edges meet any error at all; other code cleans up and raises it again."""
    for function, handler in _handlers(source.tree, "<module>"):
        met = _is_wide(handler.type) and not _raises_again(handler)
        if met and (source.inside, function) not in EDGES:
            yield source.says(handler.lineno, f"{function} is no edge: name the errors met")
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(func=func, args=args) if _last(func) == "suppress":
                if any(_is_wide(arg) for arg in args):
                    yield source.says(node.lineno, "name the errors that are let pass")


def moments_at_home(source: Source) -> Iterator[str]:
    """A moment in a document is written and read by `resources.kit.moments`, never by hand."""
    if source.unit == "store" or source.inside in KEEPS_MOMENTS:
        return
    for found in imports_of(source):
        if found.name.rpartition(".")[2] in CONVERTERS:
            yield source.says(found.line, f"{found.name}: ask resources.kit.moments")
    if source.unit in ("ec2", "resources"):
        for node in ast.walk(source.tree):
            match node:
                case ast.Constant(value=str(text)) if text.endswith("_us"):
                    yield source.says(node.lineno, f"{text!r}: ask resources.kit.moments")


def built_on_import(source: Source) -> Iterator[str]:
    """A statement is a module constant: one that is built per call is compiled per call.

    A function that is cached builds each of its forms once, with those that it alone calls.
    """
    if source.unit not in SPEAKS_SQL - {"migrations"} or source.inside == BUILDER:
        return
    functions = [node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef)]
    called = {_last(call.func) for function in functions for call in _calls(function)}
    cached = [one for one in functions if any(_last(by) == "cache" for by in one.decorator_list)]
    parts = {_last(call.func) for one in cached for call in _calls(one)}
    parts -= {_last(call.func) for one in functions if one not in cached for call in _calls(one)}
    for function in functions:
        if function in cached or function.name in parts:
            continue
        if function.name.startswith("_") and function.name not in called:
            # Only the module itself can call it, while it is imported.
            continue
        for call in _calls(function):
            if _builds(call):
                yield source.says(call.lineno, f"{ast.unparse(call.func)}: make it a constant")


def _calls(function: ast.FunctionDef) -> Iterator[ast.Call]:
    return (node for node in ast.walk(function) if isinstance(node, ast.Call))


def _builds(call: ast.Call) -> bool:
    match call.func:
        case ast.Name(id="upsert" | "insert_or_ignore"):
            return True
        case ast.Attribute(value=ast.Name(id="sa" | "sqlite" | "postgresql"), attr=name):
            return name in STATEMENTS
        case ast.Attribute(attr="values"):
            # That of a dictionary takes nothing.
            return bool(call.args or call.keywords)
        case ast.Attribute(attr=name):
            return name in CLAUSES
        case _:
            return False


def seams(source: Source) -> Iterator[str]:
    """A mutant replaces what is public: of what is private, the next rewrite leaves nothing."""
    if "mutants" not in PurePosixPath(source.path).with_suffix("").parts:
        return
    for node in ast.walk(source.tree):
        match node:
            case ast.Attribute(attr=name) if _is_private(name):
                yield source.says(node.lineno, f"{name} is private: give the program a seam")
            case ast.Call(func=func, args=[_, ast.Constant(value=str(name)), *_]):
                if _last(func) in ("object", "setattr") and _is_private(name):
                    yield source.says(node.lineno, f"{name} is private: give the program a seam")


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def no_print(source: Source) -> Iterator[str]:
    """A program's words go through click, rich or logging."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(func=ast.Name(id="print" | "pprint" | "breakpoint")):
                yield source.says(node.lineno, "no print in the package")


def _last(node: ast.expr) -> str:
    """The last name of a dotted expression, or nothing."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _handlers(node: ast.AST, function: str) -> Iterator[tuple[str, ast.ExceptHandler]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ExceptHandler):
            yield function, child
        match child:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield from _handlers(child, name)
            case _:
                yield from _handlers(child, function)


def _is_wide(caught: ast.expr | None) -> bool:
    match caught:
        case None:
            return True
        case ast.Tuple(elts=several):
            return any(_is_wide(one) for one in several)
        case _:
            return _last(caught) in WIDE


def _raises_again(handler: ast.ExceptHandler) -> bool:
    match handler.body[-1]:
        case ast.Raise(exc=None):
            return True
        case _:
            return False


def rows_by_their_doors(source: Source) -> Iterator[str]:
    """Rows are changed by `rows.change`, and end through `endings`, which see what stands there."""
    if source.inside in WRITES_ROWS:
        return
    for node in ast.walk(source.tree):
        match node:
            case ast.Attribute(value=ast.Name(id="rows"), attr="write"):
                yield source.says(node.lineno, "change a row by rows.change, end it by endings")
    for found in imports_of(source):
        if found.name == "sametoken.resources.kit.rows.write":
            yield source.says(found.line, "change a row by rows.change, end it by endings")
