"""Rows of resources: states follow the table, ends leave tombstones, callers see their own rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from sametoken.errors import ServiceError
from sametoken.idempotency import RETENTION
from sametoken.resources.kit import listings, rows, tombstones, transitions
from sametoken.resources.kit.listings import By, Wish
from sametoken.resources.kit.looks import WHOLE
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Stale, Store, Tx
from store.creating import Caller, call
from store.stores import together
from store.things import ACCOUNT, BRIEF, REGION, THING, id_of, move, put
from store.worlds import SetWorld

MOMENT = timedelta(microseconds=1)


def stored(store: Store, id: str) -> Row | None:
    return store.read(lambda tx: rows.find(tx, id))


def getting(*ids: str, account: str = ACCOUNT, region: str = REGION) -> Callable[[Tx], list[str]]:
    return lambda tx: [row.id for row in rows.get(tx, THING, account, region, ids)]


def listed(store: Store, account: str = ACCOUNT, region: str = REGION) -> list[str]:
    return store.read(lambda tx: [row.id for row in listings.every(tx, THING, account, region)])


# -- writing ------------------------------------------------------------------------------------


def test_a_row_is_read_as_it_was_written(store: Store) -> None:
    row = put(
        store, zone="us-east-1a", name="a name", client_token="token",
        doc={"Tags": [{"Key": "é", "Value": ""}], "private": {"held": None}},
    )  # fmt: skip
    assert stored(store, row.id) == row
    assert row.private == {"held": None}


def test_changing_a_document_keeps_its_other_members(store: Store) -> None:
    row = put(store)
    store.run(lambda tx: rows.change(tx, THING, row, Colour="red"))
    found = stored(store, row.id)
    assert found is not None
    assert (found.doc, found.state) == ({"Size": 1, "Colour": "red"}, "new")


def test_a_move_is_written_down_with_its_cause_and_a_change_of_the_document_is_not(
    store: Store,
) -> None:
    row = move(store, put(store), "used", Size=2)
    store.run(lambda tx: rows.change(tx, THING, row, Size=3))
    moved = store.read(lambda tx: transitions.of(tx, row.id))
    assert [(one.from_state, one.to_state, one.cause) for one in moved] == [
        ("new", "used", "a test")
    ]


def test_a_move_that_the_table_does_not_have_is_our_bug(store: Store) -> None:
    ended = move(store, put(store), "deleted")
    with pytest.raises(AssertionError, match="no way from deleted to new"):
        move(store, ended, "new")


def test_a_row_that_was_moved_by_somebody_else_is_not_moved_again(store: Store) -> None:
    read_before = put(store)
    move(store, read_before, "used")
    with pytest.raises(Stale, match="not as it was read"):
        move(store, read_before, "deleted")
    found = stored(store, read_before.id)
    assert found is not None
    assert found.state == "used"


def test_of_many_who_move_one_row_at_once_one_does(store: Store) -> None:
    row = put(store)
    moved = together(8, lambda n: move(store, row, "used"))
    assert sum(isinstance(one, Row) for one in moved) == 1
    assert len(store.read(lambda tx: transitions.of(tx, row.id))) == 1


def test_a_name_is_one_living_resources(store: Store) -> None:
    row = put(store, 1, name="a name")
    with pytest.raises(sa.exc.IntegrityError):
        put(store, 2, name="a name")
    put(store, 3, name="a name", account="000000000002")
    put(store, 4, name="a name", region="eu-west-1")
    move(store, row, "deleted")
    assert put(store, 5, name="a name").id == store.read(
        lambda tx: getattr(rows.find_named(tx, THING, ACCOUNT, REGION, "a name"), "id", None)
    )


def test_a_name_nobody_has_is_not_found(store: Store) -> None:
    assert store.read(lambda tx: rows.find_named(tx, THING, ACCOUNT, REGION, "x")) is None


# -- ends ---------------------------------------------------------------------------------------


def test_the_end_leaves_a_tombstone_that_replays_still_read(store: Store, world: SetWorld) -> None:
    row = put(store, zone="us-east-1a")
    ended = move(store, row, "deleted")
    world.pass_time(timedelta(days=100))
    assert stored(store, row.id) == ended
    assert ended.gone_at == row.created_at
    assert store.read(lambda tx: rows.zone_of(tx, THING, ACCOUNT, REGION, row.id)) == "us-east-1a"
    assert store.read(lambda tx: rows.zone_of(tx, THING, "000000000002", REGION, row.id)) == ""


def test_an_ended_resource_is_shown_as_long_as_its_kind_lingers(
    store: Store, world: SetWorld
) -> None:
    row = move(store, put(store), "deleted")
    world.pass_time(THING.lingers - MOMENT)
    assert store.read(getting(row.id)) == listed(store) == [row.id]
    world.pass_time(MOMENT)
    assert listed(store) == []
    with pytest.raises(ServiceError, match="does not exist"):
        store.read(getting(row.id))


def test_an_ended_child_is_under_nobody_and_an_ended_parent_keeps_its_children(
    store: Store,
) -> None:
    """The unwinding of a parent must still find the rows under it."""
    parent = put(store, 1)
    child, other = put(store, 2, parents=(parent.id,)), put(store, 3, parents=(parent.id,))
    move(store, child, "deleted")
    move(store, parent, "deleted")
    assert store.read(lambda tx: rows.children(tx, [parent.id, "none"])) == {
        parent.id: [other],
        "none": [],
    }


def test_links_are_made_and_undone(store: Store) -> None:
    parent, child = put(store, 1), put(store, 2)
    store.run(lambda tx: rows.link(tx, parent.id, child.id))
    assert store.read(lambda tx: rows.children(tx, [parent.id]))[parent.id] == [child]
    store.run(lambda tx: rows.unlink(tx, parent.id, child.id))
    assert store.read(lambda tx: rows.children(tx, [parent.id]))[parent.id] == []


def test_a_tombstone_is_swept_after_24_hours_with_all_that_was_told_of_it(
    store: Store, world: SetWorld
) -> None:
    row = move(store, put(store), "deleted")
    world.pass_time(RETENTION - MOMENT)
    assert store.run(lambda tx: tombstones.sweep(tx, 10)) == []
    world.pass_time(MOMENT)
    assert store.run(lambda tx: tombstones.sweep(tx, 10)) == [row.id]
    assert stored(store, row.id) is None
    assert store.read(lambda tx: transitions.of(tx, row.id)) == []


def test_a_tombstone_that_an_entry_names_outlives_that_entry(store: Store, world: SetWorld) -> None:
    """A replay must find the row that it names, so the entry is removed before the tombstone."""
    caller = Caller(store)
    made = caller.create(call(P=1))
    row = put(store, id=made)
    move(store, row, "deleted")
    world.pass_time(RETENTION)
    assert store.run(lambda tx: tombstones.sweep(tx, 10)) == []
    assert caller.sweep() == 1
    assert store.run(lambda tx: tombstones.sweep(tx, 10)) == [made]


def test_the_end_of_a_resource_starts_the_retention_of_its_token(
    store: Store, world: SetWorld
) -> None:
    caller = Caller(store)
    row = put(store, id=caller.create(call(P=1)))
    world.pass_time(5 * RETENTION)
    move(store, row, "deleted")
    world.pass_time(RETENTION - MOMENT)
    assert caller.sweep() == 0
    world.pass_time(MOMENT)
    assert caller.sweep() == 1


def test_what_lives_is_never_swept(store: Store, world: SetWorld) -> None:
    row = put(store)
    world.pass_time(timedelta(days=1000))
    assert store.run(lambda tx: tombstones.sweep(tx, 10)) == []
    assert stored(store, row.id) == row


def test_a_sweep_takes_a_bounded_part(store: Store, world: SetWorld) -> None:
    for number in range(5):
        move(store, put(store, number), "deleted")
    world.pass_time(RETENTION)
    assert [len(store.run(lambda tx: tombstones.sweep(tx, 2))) for _ in range(4)] == [2, 2, 1, 0]


# -- reading ------------------------------------------------------------------------------------


def test_rows_are_got_in_the_callers_order_each_once(store: Store) -> None:
    one, two = put(store, 1).id, put(store, 2).id
    assert store.read(getting(two, one, two)) == [two, one]
    assert store.read(getting()) == []


def test_every_missing_id_is_named_once(store: Store) -> None:
    there = put(store, 1).id
    with pytest.raises(ServiceError) as refused:
        store.read(getting(id_of(8), there, id_of(9), id_of(8)))
    assert refused.value.code == "InvalidThingID.NotFound"
    assert refused.value.message == f"The thing IDs '{id_of(8)}, {id_of(9)}' do not exist"


def test_a_malformed_id_is_told_before_a_missing_one(store: Store) -> None:
    with pytest.raises(ServiceError) as refused:
        store.read(getting(id_of(9), "thing-x"))
    assert refused.value.code == "InvalidThingID.Malformed"


@pytest.mark.parametrize(
    "elsewhere",
    [{"account": "000000000002"}, {"region": "eu-west-1"}, {"kind": BRIEF.name}],
    ids=["account", "region", "kind"],
)
def test_what_is_of_another_account_region_or_kind_does_not_exist(
    store: Store, elsewhere: dict[str, Any]
) -> None:
    row = put(store, **elsewhere)
    with pytest.raises(ServiceError) as refused:
        store.read(getting(row.id))
    assert refused.value.code == "InvalidThingID.NotFound"
    assert listed(store) == []


def test_a_listing_is_by_id(store: Store) -> None:
    ids = [put(store, number).id for number in (3, 1, 2)]
    assert listed(store) == sorted(ids)


def test_a_listing_narrowed_by_token_or_parent_shows_those_only(store: Store) -> None:
    parent = put(store, 1)
    put(store, 2, client_token="a", parents=(parent.id,))
    put(store, 3, client_token="b")
    put(store, 4, client_token="a", account="000000000002")

    def narrowed(*wishes: Wish, after: str = "") -> list[str]:
        def run(tx: Tx) -> list[str]:
            pieces = listings.walk(tx, WHOLE, THING, ACCOUNT, REGION, wishes, after=after)
            return [row.id for piece in pieces for row in piece]

        return store.read(run)

    assert narrowed(Wish(By.CLIENT_TOKEN, ("a",))) == [id_of(2)]
    assert narrowed(Wish(By.CLIENT_TOKEN, ("a", "b", "c"))) == [id_of(2), id_of(3)]
    assert narrowed(Wish(By.CLIENT_TOKEN, ())) == []
    assert narrowed(Wish(By.PARENT, (parent.id,))) == [id_of(2)]
    assert narrowed(after=id_of(2)) == [id_of(3)]


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 500])
def test_a_listing_in_pieces_misses_nothing_and_repeats_nothing(
    store: Store, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "AT_ONCE_MAX", 6)

    def many(tx: Tx) -> None:
        made = [Row(id_of(n), THING.name, ACCOUNT, REGION, "new", {}, tx.now) for n in range(20)]
        rows.insert(tx, made)

    store.run(many)

    def walk(tx: Tx) -> list[list[str]]:
        pieces = listings.walk(tx, WHOLE, THING, ACCOUNT, REGION, at_once=at_once)
        return [[row.id for row in piece] for piece in pieces]

    pieces = store.read(walk)
    assert [id for piece in pieces for id in piece] == [id_of(n) for n in range(20)]
    assert max(map(len, pieces)) <= 6, "each piece is bounded"
