"""Every constant statement is answered by an index, in its order, whatever is stored.

The statements are found in the modules of the program, so a new one is read here too. A database
says how it would run a statement; none may read a whole table, or sort what it has read.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import cache
from itertools import product
from typing import Any, Protocol, cast

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

import sametoken
from sametoken.migrations.upgrade import upgrade
from sametoken.resources.kit import listings
from sametoken.resources.kit.listings import TESTED_MAX, By, Form
from sametoken.resources.kit.looks import OUTLINE
from sametoken.store import engines
from sametoken.store.dialects import POSTGRESQL, SQLITE, ByDialect, Text
from sametoken.store.postgresql import change_schema
from store import servers

# EXPLAIN (GENERIC_PLAN) takes numbered values.
NUMBERED: sa.Dialect = cast(Any, postgresql.dialect)(paramstyle="numeric_dollar")
ONE_ROW = "the table has one row"
FEW_ROWS = "the table has a row for each node that runs"
ALL_OF_IT = "a command prints, or seals anew, the whole table"
ALL_PLACES = "an operator's limit counts in every Region"
BEGINNING = "it is never sent: others begin with it"
NEWEST = "it reads from the newest end, and a command asks for a few"
SMALL = "it sorts the few rows that it returns, all of one entry or of some parents"
FOLLOWING = "it reads one row: the number that follows the last attempt's"
GIVEN = "it sorts the rows that it is given, at most those of a batch"
LEASED = "it sorts the rows that it leases, and the accounts that it has found by an index"
FIRST = "it reads the first row of an index"
COUNTED = "a page of the console counts what an index has, in a reader's thread"
DEVELOPMENT = "development mode and suites of tests send it, and nobody else"
SOON_FULL = "it reads once a minute what was spent in the last few, and an index would cost each"
PEOPLE = "people ask by such an id now and then, and an index would cost every launch"
# Statements that read a whole table or sort, each with the reason why that costs little.
EXCUSED: Mapping[str, str] = {
    "idempotency.statements.ATTEMPTS": SMALL,
    "idempotency.statements.HOLDERS": SMALL,
    "idempotency.statements.NEWEST_BUT": NEWEST,
    "idempotency.statements.NEWEST_OF": NEWEST,
    "idempotency.statements.NOTE": FOLLOWING,
    "idempotency.statements.OF_REQUEST": PEOPLE,
    "idempotency.statements.OF_TOKEN": SMALL,
    "resources.account.accounts._EVERY_KEY": ALL_OF_IT,
    "resources.account.accounts._EVERY_SETTING": ALL_OF_IT,
    "resources.account.accounts._IDS": "it is sent once all numbers of accounts were passed",
    "resources.account.accounts._LIST_KEYS": ALL_OF_IT,
    "resources.account.attempts._ADD": GIVEN,
    "resources.account.attempts._LOCKED": GIVEN,
    "resources.account.attempts._TELLING": PEOPLE,
    "resources.compute.instances._OF_RESERVATION": PEOPLE,
    "resources.kit.counters._EVERY_LIMIT": ALL_OF_IT,
    "resources.kit.listings.STORED": BEGINNING,
    "resources.kit.listings._BY_STATE": COUNTED,
    "resources.kit.listings._LIVING": DEVELOPMENT,
    "resources.kit.looks.OUTLINED": BEGINNING,
    "resources.kit.looks.STORED": BEGINNING,
    "resources.kit.ripening._NEXT": FIRST,
    "resources.kit.rows.STORED": BEGINNING,
    "resources.kit.rows._CHILDREN": SMALL,
    "resources.kit.rows._CHILDREN_OF_KIND": SMALL,
    "resources.kit.regions._SEEDED": DEVELOPMENT,
    "resources.kit.regions._STAMP_ALL": ALL_PLACES,
    "resources.kit.transitions._OF_ALL": SMALL,
    "resources.network.public_addresses._HOLD_MANY": GIVEN,
    "services.fence._PASS": GIVEN,
    "services.fence._PASS_CLOSED": GIVEN,
    "services.simulated_machines._FORGET_REFUSED": DEVELOPMENT,
    "services.simulated_machines._IS_REFUSED": DEVELOPMENT,
    "services.simulated_machines._KNOWN": DEVELOPMENT,
    "services.simulated_machines._SUCCEED": DEVELOPMENT,
    "store.buckets._FORGET": SOON_FULL,
    "store.buckets._SPEND": GIVEN,
    "store.clock._ADVANCE": ONE_ROW,
    "store.clock._FREEZE": ONE_ROW,
    "store.clock._PUT_BACK": ONE_ROW,
    "store.clock._RAISE_MARK": ONE_ROW,
    "store.clock._READ": ONE_ROW,
    "store.clock._RESUME": ONE_ROW,
    "store.clock._TICK": ONE_ROW,
    "store.leaps._ALL": FEW_ROWS,
    "store.leaps._KNOW": ONE_ROW,
    "store.leaps._KNOWN": ONE_ROW,
    "store.nodes._FORGET": FEW_ROWS,
    "store.nodes._LIVING": FEW_ROWS,
    "workflow.turns._DUE": LEASED,
    "workflow.work._OF_ACCOUNT": DEVELOPMENT,
}
# Modules whose statements read whole tables: they are development mode's alone.
OF_DEVELOPMENT = ("services.clearing.", "services.restoring.")
# Statements that only one database is sent.
ONLY = {"store.clock._TICK": SQLITE, "idempotency.joining._CLOCK": POSTGRESQL}


@cache
def statements(dialect: str) -> Mapping[str, sa.Executable]:
    """Return the constant statements of all modules, by module and name."""
    found = {**dict(_constants()), **dict(_made())}
    return {
        name: one.written_for(dialect) if isinstance(one, ByDialect) else one
        for name, one in found.items()
        if ONLY.get(name, dialect) == dialect
    }


def _constants() -> Iterator[tuple[str, Any]]:
    for module in pkgutil.walk_packages(sametoken.__path__, f"{sametoken.__name__}."):
        # Alembic alone can import its environment, and `__main__` runs.
        if module.name.rpartition(".")[2] in ("env", "__main__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            for at, one in enumerate(value if isinstance(value, list) else [value]):
                if isinstance(
                    one, sa.Select | sa.Insert | sa.Update | sa.Delete | ByDialect | Text
                ):
                    part = f"[{at}]" if isinstance(value, list) else ""
                    yield f"{module.name.removeprefix('sametoken.')}.{name}{part}", one


def _made() -> Iterator[tuple[str, sa.Executable]]:
    """Yield the statements that functions make: listings in every form."""
    looked_up = [by for by in By if by not in (By.ID, By.ZONE)]
    numbers = range(TESTED_MAX + 1)
    for by, state, zone, traits, parents in product(
        looked_up, (False, True), (False, True), numbers, numbers
    ):
        form = Form(by, state, zone, traits, parents)
        yield f"listings.statement({form})", listings.statement(form)
        yield f"listings.statement({form}, OUTLINE)", listings.statement(form, OUTLINE)
    for by in (By.TRAIT, By.PARENT, By.STATE):
        yield f"listings.count({by})", listings.count(by)


class Explainer(Protocol):
    dialect: str

    def close(self) -> None: ...

    def faults(self, statement: sa.Executable) -> list[str]:
        """Return what of the statement's plan reads a whole table, or sorts."""


def _written(statement: Any, dialect: sa.Dialect) -> tuple[str, int]:
    """Return the statement's text with two values in each list, and its number of parameters."""
    if isinstance(statement, Text):
        return _marked(statement.for_driver[dialect.name], dialect.name)
    compiled = statement.compile(dialect=dialect)
    values = {name: ["x", "y"] if one.expanding else "x" for name, one in compiled.binds.items()}
    state = compiled.construct_expanded_state(values)
    return state.statement, len(state.positiontup or ())


def _marked(sql: str, dialect: str) -> tuple[str, int]:
    """Number the values of a text for PostgreSQL, as EXPLAIN (GENERIC_PLAN) has them."""
    if dialect == SQLITE:
        return sql, sql.count("?")
    first, *others = sql.split("%s")
    numbered = first + "".join(f"${at}{part}" for at, part in enumerate(others, 1))
    return numbered.replace("%%", "%"), len(others)


class OnSqlite:
    dialect = SQLITE

    def __init__(self) -> None:
        self._raw = sqlite3.connect(":memory:", isolation_level=None)
        self._kept = engines.engine_for(engines.SQLITE, lambda: self._raw).connect()
        upgrade(self._kept)

    def close(self) -> None:
        self._kept.close()
        self._raw.close()

    def faults(self, statement: sa.Executable) -> list[str]:
        sql, count = _written(statement, sqlite.dialect())
        plan = self._raw.execute(f"EXPLAIN QUERY PLAN {sql}", ["1"] * count)
        told = [str(row[3]) for row in plan]
        # A subquery without a name (`anon_1`) has been read by an index already, and `json_each`
        # reads a value that was passed.
        return [
            one
            for one in told
            if re.match(r"SCAN (?!CONSTANT|anon_|json_each)|USE TEMP B-TREE", one)
        ]


class OnPostgresql:
    dialect = POSTGRESQL

    def __init__(self) -> None:
        url = servers.new_database()
        change_schema(url, upgrade)
        self._connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        # Tables are empty here, so that reading them whole and sorting seem cheap: both are used
        # only where there is no other way.
        for name in ("seqscan", "sort", "bitmapscan"):
            self._connection.execute(f"SET enable_{name} = off")

    def close(self) -> None:
        self._connection.close()

    def faults(self, statement: sa.Executable) -> list[str]:
        sql, _count = _written(statement, NUMBERED)
        if sql.startswith("LOCK TABLE"):
            return []
        plan = self._connection.execute(f"EXPLAIN (GENERIC_PLAN) {sql}").fetchall()
        return [line for (line,) in plan if re.search(r"Seq Scan|\bSort\b(?! Key)", line)]


@pytest.fixture(scope="module", params=[OnSqlite, OnPostgresql])
def explainer(request: pytest.FixtureRequest) -> Iterator[Explainer]:
    make: Callable[[], Explainer] = request.param
    with closing(make()) as made:
        yield made


def test_no_statement_reads_a_whole_table_or_sorts(explainer: Explainer) -> None:
    found = {
        name: faults
        for name, statement in statements(explainer.dialect).items()
        if not name.startswith(OF_DEVELOPMENT) and (faults := explainer.faults(statement))
    }
    assert {name: faults for name, faults in found.items() if name not in EXCUSED} == {}


def test_an_excuse_is_given_only_where_it_is_needed() -> None:
    found = statements(SQLITE)
    with closing(OnSqlite()) as explainer:
        assert [name for name in EXCUSED if not explainer.faults(found[name])] == []


def test_the_statements_that_matter_are_found() -> None:
    names = set(statements(SQLITE))
    assert len(names) > 250
    for one in (
        "resources.kit.rows._BY_IDS", "resources.kit.rows._BY_NAMES",
        "resources.kit.rows._CHILDREN", "idempotency.statements.FIND",
        "idempotency.statements.EXPIRED",
        "resources.kit.tombstones._FORGOTTEN", "workflow.turns._DUE", "resources.kit.ripening._DUE",
    ):  # fmt: skip
        assert one in names


@pytest.mark.parametrize(
    "statement",
    [
        sa.select(sa.table("resource", sa.column("doc")).c.doc),
        sa.text("SELECT id FROM resource WHERE gone_at > 1 ORDER BY state"),
        sa.text("SELECT id FROM resource WHERE account = '1' AND region = 'a' ORDER BY gone_at"),
    ],
    ids=["whole", "sorted", "out of order"],
)
def test_a_scan_and_a_sort_are_seen(explainer: Explainer, statement: sa.Executable) -> None:
    assert explainer.faults(statement)
