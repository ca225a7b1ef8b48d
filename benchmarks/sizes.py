"""Sizes of a database's tables and indexes, and of its log, asked of the database itself.

No figure is an estimate: SQLite tells through `dbstat` (a Python whose SQLite lacks it shows the
file's pages as one part), PostgreSQL through `pg_relation_size` and each B-tree's first page.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psycopg
from processes import cpu_seconds_of
from psycopg import sql

# PostgreSQL's place for the level of a B-tree's root, counted from 0 at the leaves: after the
# page's 24 bytes of header, and magic, version and root of `BTMetaPageData`
# (src/include/access/nbtree.h).
_LEVEL_AT, _LEVEL_BYTES = 36, 4
# Tables that the schema itself keeps: launches do not fill them.
_OF_THE_SCHEMA = frozenset({"schema_revision"})
WHOLE_FILE = "(the whole file)"


@dataclass(frozen=True, slots=True)
class Part:
    """A table or index: its bytes on disk; pages from root to leaf, 0 where it is no tree."""

    name: str
    table: str
    size_bytes: int
    depth: int

    @property
    def is_index(self) -> bool:
        return self.name != self.table


class Meter(Protocol):
    """Asks both databases the same questions."""

    def rows(self) -> Counter[str]:
        """The number of rows in each table."""
        ...

    def parts(self) -> list[Part]:
        """Every table and index, the largest first. The database must have no other user."""
        ...

    @contextmanager
    def logging(self) -> Iterator[Logged]:
        """Count the log that is written during the block."""
        ...

    def server_cpu_seconds(self) -> float:
        """CPU time that the database's own processes have used so far."""
        ...


@dataclass(slots=True)
class Logged:
    """Bytes of write-ahead log, set when the block ends. `images`: copies of pages in it."""

    size_bytes: int = 0
    images: int = 0


@dataclass(frozen=True, slots=True)
class SqliteMeter:
    file: Path

    def rows(self) -> Counter[str]:
        with closing(sqlite3.connect(self.file)) as connection:
            names = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            ).fetchall()
            return Counter(
                {
                    name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
                    for (name,) in names
                }
            )

    def parts(self) -> list[Part]:
        with closing(sqlite3.connect(self.file)) as connection:
            # Checkpoint, to have the log's pages in the file.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            try:
                found = connection.execute(
                    "SELECT s.name, coalesce(m.tbl_name, s.name), sum(s.pgsize),"
                    # A root's path is "/", its child's "/000/": one more page for each "/" after.
                    " max(length(s.path) - length(replace(s.path, '/', '')))"
                    " FROM dbstat s LEFT JOIN sqlite_master m ON m.name = s.name"
                    " WHERE s.pagetype <> 'overflow' OR s.pagetype IS NULL GROUP BY 1 ORDER BY 3"
                ).fetchall()
                overflow = dict(
                    connection.execute(
                        "SELECT name, sum(pgsize) FROM dbstat"
                        " WHERE pagetype = 'overflow' GROUP BY 1"
                    ).fetchall()
                )
            except sqlite3.OperationalError:
                return [Part(WHOLE_FILE, WHOLE_FILE, self.file.stat().st_size, 0)]
        parts = [
            Part(name, table, size + overflow.get(name, 0), depth)
            for name, table, size, depth in found
        ]
        return sorted(parts, key=lambda part: -part.size_bytes)

    @contextmanager
    def logging(self) -> Iterator[Logged]:
        logged = Logged()
        with closing(sqlite3.connect(self.file, isolation_level=None)) as reader:
            reader.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            # Hold a read transaction: while it is open, the log cannot begin anew.
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
            yield logged
            logged.size_bytes = Path(f"{self.file}-wal").stat().st_size
            reader.execute("ROLLBACK")
            reader.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def server_cpu_seconds(self) -> float:
        """SQLite has no process of its own: it is part of ours."""
        return 0.0


@dataclass(frozen=True, slots=True)
class PostgresqlMeter:
    url: str

    def rows(self) -> Counter[str]:
        with psycopg.connect(self.url) as session:
            count = sql.SQL("SELECT count(*) FROM {}")
            found = Counter[str]()
            for name in _tables(session):
                [(rows,)] = session.execute(count.format(sql.Identifier(name))).fetchall()
                found[name] = rows
            return found

    def parts(self) -> list[Part]:
        with psycopg.connect(self.url, autocommit=True) as session:
            # Checkpoint, to have each tree's first page, read below, on disk.
            session.execute("CHECKPOINT")
            found = session.execute(
                "SELECT c.relname, coalesce(t.relname, c.relname),"
                " pg_table_size(c.oid), c.relkind = 'i', pg_relation_filepath(c.oid)"
                " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                " LEFT JOIN pg_index i ON i.indexrelid = c.oid"
                " LEFT JOIN pg_class t ON t.oid = i.indrelid"
                " WHERE n.nspname = 'public' AND c.relkind IN ('r', 'i') ORDER BY 3 DESC"
            ).fetchall()
            return [
                Part(name, table, size, _depth(session, path) if is_index else 0)
                for name, table, size, is_index, path in found
            ]

    @contextmanager
    def logging(self) -> Iterator[Logged]:
        logged = Logged()
        with psycopg.connect(self.url, autocommit=True) as session:
            # Checkpoint: after it the first change of each page is logged as an image of the whole
            # page.
            session.execute("CHECKPOINT")
            before = _logged(session)
            yield logged
            after = _logged(session)
        logged.size_bytes, logged.images = after[0] - before[0], after[1] - before[1]

    def server_cpu_seconds(self) -> float:
        with psycopg.connect(self.url) as session:
            found = session.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid()"
            ).fetchall()
        return sum(cpu_seconds_of(pid) for (pid,) in found)


def _tables(session: psycopg.Connection) -> list[str]:
    found = session.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    ).fetchall()
    return [name for (name,) in found]


def _depth(session: psycopg.Connection, path: str) -> int:
    [(level,)] = session.execute(
        "SELECT pg_read_binary_file(%s, %s, %s)", (path, _LEVEL_AT, _LEVEL_BYTES)
    ).fetchall()
    return 1 + int.from_bytes(level, "little")


def _logged(session: psycopg.Connection) -> tuple[int, int]:
    """Bytes logged so far, and images of whole pages."""
    [(size,)] = session.execute(
        "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
    ).fetchall()
    [(images,)] = session.execute("SELECT wal_fpi FROM pg_stat_wal").fetchall()
    return size, images


def copy_to_postgresql(file: Path, url: str) -> None:
    """Put a SQLite file's rows into a migrated PostgreSQL database, in place of its own.

    Rows come in the order of the file, which is that of their entries; `seed` draws their moments
    at random, so an index on moments is a little looser than one that grows with time.
    """
    with closing(sqlite3.connect(file)) as origin, psycopg.connect(url) as session:
        # Skip the checks of foreign keys, which the file has kept already.
        session.execute("SET session_replication_role = replica")
        tables = [name for name in _tables(session) if name not in _OF_THE_SCHEMA]
        # Empty all tables at once: emptying one that others refer to would empty those too.
        emptied = sql.SQL(", ").join(map(sql.Identifier, tables))
        session.execute(sql.SQL("TRUNCATE {}").format(emptied))
        for table in tables:
            _copy_table(origin, session, table)
        session.commit()
        session.autocommit = True
        session.execute("VACUUM ANALYZE")


def _copy_table(origin: sqlite3.Connection, session: psycopg.Connection, table: str) -> None:
    found = session.execute(
        "SELECT column_name, data_type = 'boolean', is_identity = 'YES' OR column_default LIKE"
        " 'nextval%%' FROM information_schema.columns WHERE table_schema = 'public'"
        " AND table_name = %s ORDER BY ordinal_position",
        (table,),
    ).fetchall()
    name = sql.Identifier(table)
    names = [column for column, _, _ in found]
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    booleans = {at for at, (_, is_boolean, _) in enumerate(found) if is_boolean}
    into = sql.SQL("COPY {} ({}) FROM STDIN").format(name, columns)
    with session.cursor().copy(into) as copying:
        for row in origin.execute(f"SELECT {', '.join(names)} FROM {table}"):
            copying.write_row(
                [bool(value) if at in booleans and value is not None else value
                 for at, value in enumerate(row)]
            )  # fmt: skip
    for column, _, is_counted in found:
        if is_counted:
            session.execute(
                sql.SQL(
                    "SELECT setval(pg_get_serial_sequence({}, {}), max({}) + 1) FROM {}"
                ).format(table, column, sql.Identifier(column), name)
            )
