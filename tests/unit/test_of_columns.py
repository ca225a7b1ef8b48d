"""Statements for one set of values are made into statements for many, where that is the same."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from sametoken.store.dialects import POSTGRESQL, inserting
from sametoken.store.pgvalues import of_columns

THING = sa.Table(
    "thing",
    sa.MetaData(),
    sa.Column("id", sa.String(8), primary_key=True),
    sa.Column("count", sa.BigInteger),
    sa.Column("doc", sa.JSON),
)


def test_an_insertion_takes_an_array_for_each_column_and_cuts_no_text() -> None:
    insert = inserting(THING, "id", "count", "doc").for_driver[POSTGRESQL]
    made = of_columns(insert)
    assert made is not None
    assert made.sql == (
        'INSERT INTO thing ("id", "count", "doc") '
        "SELECT * FROM unnest(%s::text[], %s::bigint[], %s::json[])"
    )
    assert made.takes([("a", 1, "{}"), ("a", 1, "{}")]), "two rows that the server refuses alike"


def test_a_change_of_many_finds_each_row_by_values_of_its_own() -> None:
    made = of_columns("UPDATE thing SET count=%s::BIGINT \nWHERE thing.id = %s::VARCHAR")
    assert made is not None
    assert made.sql == (
        "UPDATE thing SET count=given.v0 FROM unnest(%s::BIGINT[], %s::VARCHAR[])"
        " AS given(v0, v1) WHERE thing.id = given.v1"
    )
    assert made.takes([(1, "a"), (2, "b")])
    assert not made.takes([(1, "a"), (2, "a")]), "the second change would be lost"


def test_a_deletion_of_many_names_its_table_once() -> None:
    made = of_columns("DELETE FROM thing WHERE thing.id = %s::VARCHAR")
    assert made is not None
    assert made.sql == (
        "DELETE FROM thing USING unnest(%s::VARCHAR[]) AS given(v0) WHERE thing.id = given.v0"
    )


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO thing (id) VALUES (%s)",
        "INSERT INTO thing (id) VALUES (%s::VARCHAR) ON CONFLICT DO NOTHING",
        "INSERT INTO thing (id) VALUES (%s::VARCHAR) RETURNING id",
        "UPDATE thing SET count=count + %s WHERE thing.id = %s::VARCHAR",
        "UPDATE thing SET count=1 WHERE id IN (SELECT id FROM thing WHERE count = %s::BIGINT)",
        "DELETE FROM thing",
        "SELECT id FROM thing WHERE id = %s::VARCHAR",
    ],
)
def test_whatever_is_not_simple_is_sent_for_each_set(sql: str) -> None:
    assert of_columns(sql) is None
