"""Narrowed listings show what whole ones do, and the index of traits follows from the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sametoken.idempotency import RETENTION
from sametoken.resources.account import tags
from sametoken.resources.kit import endings, listings, rows, tombstones, traits
from sametoken.resources.kit.kinds import Kind
from sametoken.resources.kit.listings import By, Wish
from sametoken.resources.kit.looks import WHOLE
from sametoken.resources.kit.rows import Row
from sametoken.resources.kit.traits import TRAIT
from sametoken.store.dialects import Text
from sametoken.store.port import Store, Tx
from store.things import ACCOUNT, BRIEF, REGION, THING, put
from store.worlds import SetWorld

KEYS, VALUES = ("Name", "team", "a:b"), ("", "web", "db", "w*b")
COLOURS, PARTS = ("", "red", "blue"), ("cog", "cam", "")
STATES, ZONES, TOKENS = ("new", "used", "deleted"), ("a", "b"), ("t", "u")
# Longer than a thing lingers.
A_WHILE = timedelta(hours=2)
# Each example has an account of its own, so that all can share one database.
accounts = count(1)


@dataclass(frozen=True)
class Planned:
    """A row to make, and what happens to it afterwards."""

    kind: Kind
    doc: dict[str, object]
    zone: str
    token: str | None
    below: int | None
    tags: dict[str, str] | None
    colour: str | None
    state: str
    ends_early: bool


def some(*values: str, least: int = 0) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=least, max_size=3)


def any_of(*values: str) -> st.SearchStrategy[list[str]]:
    """Values of a wish: seldom none, which finds nothing."""
    return st.one_of(*[some(*values, least=1)] * 9, st.just([]))


TAGS = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=3)
PLANNED = st.builds(
    Planned,
    kind=st.sampled_from((THING, THING, BRIEF)),
    doc=st.builds(
        lambda tags, colour, parts, hidden: {
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            "Colour": colour,
            "Parts": [{"Name": part} for part in parts],
            "private": {"Part": hidden},
        },
        TAGS,
        st.sampled_from(COLOURS),
        some(*PARTS),
        st.sampled_from((None, *PARTS)),
    ),
    zone=st.sampled_from(ZONES),
    token=st.sampled_from((None, *TOKENS)),
    below=st.none() | st.integers(0, 2),
    tags=st.none() | TAGS,
    colour=st.none() | st.sampled_from(COLOURS),
    state=st.sampled_from(STATES),
    ends_early=st.booleans(),
)
WISHES = st.lists(
    st.one_of(
        st.builds(lambda found: (By.STATE, "", found), any_of(*STATES)),
        st.builds(lambda found: (By.ZONE, "", found), any_of(*ZONES, "c")),
        st.builds(lambda found: (By.CLIENT_TOKEN, "", found), any_of(*TOKENS, "v")),
        st.builds(lambda found: (By.TRAIT, "Colour", found), any_of("red", "blue", "none")),
        st.builds(lambda found: (By.TRAIT, "Parts.Name", found), any_of("cog", "cam")),
        st.builds(lambda found: (By.TRAIT, "tag-key", found), any_of(*KEYS, "none")),
        st.builds(
            lambda key, found: (By.TRAIT, f"tag:{key}", found),
            st.sampled_from(KEYS),
            any_of(*VALUES),
        ),
        st.builds(lambda found: (By.PARENT, "", found), any_of("0", "1", "2")),
        st.builds(lambda found: (By.ID, "", found), any_of("0", "3", "4", "5")),
    ),
    max_size=4,
)


def id_of(kind: Kind, account: str, number: int | str) -> str:
    return f"{kind.prefix}-{account}{int(number):05x}"


def make(tx: Tx, account: str, planned: Sequence[Planned]) -> None:
    """Make the rows, each under one of the three that stand above others, and change them."""
    above = [Row(id_of(THING, account, n), THING.name, account, REGION, "new", {}, tx.now)
             for n in range(3)]  # fmt: skip
    made = [
        Row(
            id_of(one.kind, account, number),
            one.kind.name,
            account,
            REGION,
            "new",
            one.doc,
            tx.now,
            one.zone,
            client_token=one.token,
            parents=() if one.below is None else (above[one.below].id,),
        )
        for number, one in enumerate(planned, 3)
    ]
    rows.insert(tx, above + made)
    for number, one in enumerate(planned, 3):
        change(tx, id_of(one.kind, account, number), one)


def change(tx: Tx, id: str, planned: Planned) -> None:
    def current() -> Row:
        return rows.by_ids(tx, [id])[id]

    if planned.tags is not None:
        tags.set_all(tx, current(), planned.tags)
    if planned.colour is not None:
        rows.change(tx, planned.kind, current(), Colour=planned.colour)
    if planned.state == "used":
        rows.change(tx, planned.kind, current(), state="used", cause="a test")
    if planned.state == "deleted" and planned.ends_early:
        endings.end_regardless(tx, planned.kind, current(), cause="a test")


def end_late(tx: Tx, account: str, planned: Sequence[Planned]) -> None:
    for number, one in enumerate(planned, 3):
        if one.state == "deleted" and not one.ends_early:
            row = rows.find(tx, id_of(one.kind, account, number))
            assert row is not None
            endings.end_regardless(tx, one.kind, row, cause="a test", Colour="blue")


def meets(tx: Tx, row: Row, wish: Wish) -> bool:
    """Has the row what the wish is about? Read from the row itself, and not from an index."""
    match wish.by:
        case By.TRAIT:
            held = {(one.name, one.value) for one in traits.of(row)}
            return any((wish.name, value) in held for value in wish.values)
        case By.PARENT:
            under = rows.children(tx, list(wish.values))
            return any(row.id == child.id for found in under.values() for child in found)
        case _:
            return getattr(row, wish.by) in wish.values


def shown(tx: Tx, kind: Kind, account: str) -> list[Row]:
    """List what is there, and what ended a while ago, without a listing of ours."""
    of_account = rows.STORED.where(rows.RESOURCE.c.account == account)
    every = [rows.from_record(found) for found in tx.execute(of_account)]
    return sorted(
        (
            row
            for row in every
            if row.kind == kind.name
            and (row.gone_at is None or row.gone_at + kind.lingers > tx.now)
        ),
        key=lambda row: row.id,
    )


def kept(tx: Tx, account: str) -> set[tuple[object, ...]]:
    found = tx.execute(sa.select(TRAIT).where(TRAIT.c.account == account))
    return {(row.kind, row.resource_id, row.name, row.value, row.gone_at) for row in found}


def derived(tx: Tx, account: str) -> set[tuple[object, ...]]:
    stored = rows.STORED.where(rows.RESOURCE.c.account == account)
    every = [rows.from_record(found) for found in tx.execute(stored)]
    return {(row.kind, row.id, *trait) for row in every for trait in traits.of(row)}


@settings(
    derandomize=True, max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    planned=st.lists(PLANNED, min_size=4, max_size=14),
    asked=st.lists(WISHES, min_size=8, max_size=8),
    at_once=st.sampled_from((1, 2, 5, 500)),
    after=st.sampled_from((0, 0, 4)),
)
def test_a_narrowed_listing_finds_what_a_whole_one_has(
    store: Store,
    world: SetWorld,
    planned: list[Planned],
    asked: list[list[tuple[By, str, list[str]]]],
    at_once: int,
    after: int,
) -> None:
    account = f"{next(accounts):012d}"
    store.run(lambda tx: make(tx, account, planned))
    world.pass_time(A_WHILE)
    store.run(lambda tx: end_late(tx, account, planned))

    def compare(tx: Tx) -> None:
        assert kept(tx, account) == derived(tx, account)
        for kind in (THING, BRIEF):
            first = id_of(kind, account, after) if after else ""
            every = [one for one in shown(tx, kind, account) if one.id > first]
            for parts in asked:
                wishes = [wish_of(kind, account, *part) for part in parts]
                pieces = listings.walk(
                    tx, WHOLE, kind, account, REGION, wishes, after=first, at_once=at_once
                )
                found = [row for piece in pieces for row in piece]
                assert [row.id for row in found] == sorted({row.id for row in found})
                told = [row for row in found if all(meets(tx, row, wish) for wish in wishes)]
                assert told == [row for row in every if all(meets(tx, row, w) for w in wishes)]

    store.read(compare)


def wish_of(kind: Kind, account: str, by: By, name: str, values: list[str]) -> Wish:
    if by in (By.ID, By.PARENT):
        of = kind if by is By.ID else THING
        values = [id_of(of, account, one) for one in values]
    return Wish(by, tuple(values), name)


def test_a_row_with_two_of_the_values_is_found_once(store: Store) -> None:
    tagged = [{"Key": key, "Value": "a"} for key in ("Name", "team")]
    ids = [put(store, number, doc={"Tags": tagged}).id for number in (1, 2, 3)]
    wish = (Wish(By.TRAIT, ("team", "Name", "none"), "tag-key"),)

    def found(at_once: int) -> list[str]:
        def run(tx: Tx) -> list[str]:
            pieces = listings.walk(tx, WHOLE, THING, ACCOUNT, REGION, wish, at_once=at_once)
            return [row.id for piece in pieces for row in piece]

        return store.read(run)

    assert [found(at_once) for at_once in (1, 2, 500)] == [ids, ids, ids]


def test_traits_go_with_the_tombstone(store: Store, world: SetWorld) -> None:
    row = put(store, doc={"Colour": "red", "Tags": [{"Key": "Name", "Value": "a"}]})
    store.run(lambda tx: endings.end_regardless(tx, THING, row, cause="a test"))
    assert len(store.read(lambda tx: kept(tx, ACCOUNT))) == 3
    world.pass_time(RETENTION)
    store.run(lambda tx: tombstones.sweep(tx, 10))
    assert store.read(lambda tx: kept(tx, ACCOUNT)) == set()


def test_a_row_without_traits_writes_none_and_one_with_many_writes_them_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    write = Tx.write

    def noted(self: Tx, statement: Text, values: Sequence[Sequence[Any]]) -> None:
        if values:
            sent.append(statement.for_driver["sqlite"])
        write(self, statement, values)

    monkeypatch.setattr(Tx, "write", noted)

    def statements(doc: dict[str, object]) -> int:
        def run(tx: Tx) -> int:
            sent.clear()
            at = id_of(THING, "000000000009", len(doc))
            row = Row(at, THING.name, ACCOUNT, REGION, "new", doc, tx.now)
            rows.insert(tx, [row])
            return len(sent)

        return store.run(run)

    tagged: dict[str, object] = {
        "Tags": [{"Key": key, "Value": "x"} for key in KEYS],
        "Colour": "red",
    }
    assert (statements({}), statements(tagged)) == (1, 2)


def test_a_long_value_is_found_too(store: Store) -> None:
    long = "é" * 300 + "\0"
    row = put(store, doc={"Tags": [{"Key": "k" * 128, "Value": long}]})
    wish = (Wish(By.TRAIT, (long,), f"tag:{'k' * 128}"),)
    found = store.read(lambda tx: list(listings.walk(tx, WHOLE, THING, ACCOUNT, REGION, wish)))
    assert [[one.id for one in piece] for piece in found] == [[row.id]]


def test_so_many_are_counted_and_tested_and_all_is_found_beyond_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five wishes, each met by more rows than are counted: what is not tested is the caller's."""
    monkeypatch.setattr(listings, "COUNTED_MAX", 2)
    listings.count.cache_clear()
    tags = [{"Key": key, "Value": "x"} for key in "abcde"]
    ids = [put(store, number, doc={"Tags": tags}).id for number in range(1, 6)]
    other = put(store, 9, doc={"Tags": tags[: listings.TESTED_MAX + 1]})
    wishes = tuple(Wish(By.TRAIT, ("x",), f"tag:{key}") for key in "abcde")
    assert len(wishes) > listings.TESTED_MAX + 1

    def walk(tx: Tx) -> list[str]:
        pieces = listings.walk(tx, WHOLE, THING, ACCOUNT, REGION, wishes)
        return [row.id for piece in pieces for row in piece]

    found = store.read(walk)
    listings.count.cache_clear()
    assert found == [*ids, other.id]
