"""Endings: a row that stands under another protects it, ends with it, or stays, by its kind."""

from __future__ import annotations

import pytest

from sametoken.errors import ServiceError
from sametoken.resources.kit import endings, rows
from sametoken.resources.kit.kinds import Kind, always, states
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Store, Tx
from store.things import ACCOUNT, REGION, THING, id_of, move, put

# Parts end with the thing they are of, and a part's own parts with the part; guards do not.
PART = Kind(
    "thing-piece",
    "piece",
    "InvalidPieceID",
    "piece",
    goes_with={THING.name: lambda row, thing: row.doc["Of"] == thing.id, "thing-piece": always},
)
GUARD = Kind("thing-guard", "guard", "InvalidGuardID", "guard", outlives=frozenset({THING.name}))
LEAVING = Kind(
    "thing-that-leaves",
    "leaver",
    "InvalidLeaverID",
    "leaver",
    transitions=states(available="deleting", deleting="deleted", deleted=""),
    leaving=frozenset({"deleting"}),
    in_use="{noun} {id} is held",
)


def under(store: Store, kind: Kind, number: int, *parents: Row, of: str = "") -> Row:
    doc = {"Of": of or parents[0].id}
    id = f"{kind.prefix}-{number:017x}"
    above = tuple(row.id for row in parents)

    def run(tx: Tx) -> Row:
        row = Row(id, kind.name, ACCOUNT, REGION, "available", doc, tx.now, parents=above)
        rows.insert(tx, [row])
        return row

    return store.run(run)


def end(store: Store, kind: Kind, row: Row, *, state: str | None = None) -> Row:
    return store.run(lambda tx: endings.end(tx, kind, row, cause="a test", state=state))


def living(store: Store, *ids: str) -> set[str]:
    found = store.read(lambda tx: rows.by_ids(tx, ids))
    return {row.id for row in found.values() if row.gone_at is None}


def test_a_caller_cannot_end_what_something_stands_on(store: Store) -> None:
    thing = put(store)
    guard = under(store, GUARD, 1, thing)
    with pytest.raises(ServiceError, match=f"{thing.id}.*has dependencies") as refused:
        end(store, THING, thing)
    assert refused.value.code == "DependencyViolation"
    end(store, GUARD, guard)
    assert end(store, THING, thing).state == "deleted"


def test_what_goes_with_a_row_ends_in_the_same_transaction_and_so_do_its_own(store: Store) -> None:
    thing = put(store)
    part = under(store, PART, 1, thing)
    inner = under(store, PART, 2, part)
    end(store, THING, thing)
    assert living(store, thing.id, part.id, inner.id) == set()


def test_what_goes_with_another_row_protects_this_one(store: Store) -> None:
    thing = put(store)
    part = under(store, PART, 1, thing, of=id_of(9))
    with pytest.raises(ServiceError, match=f"{thing.id}.*has dependencies"):
        end(store, THING, thing)
    assert living(store, thing.id, part.id) == {thing.id, part.id}


def test_a_refused_end_ends_nothing_else(store: Store) -> None:
    thing = put(store)
    part, guard = under(store, PART, 1, thing), under(store, GUARD, 1, thing)
    with pytest.raises(ServiceError):
        end(store, THING, thing)
    assert living(store, thing.id, part.id, guard.id) == {thing.id, part.id, guard.id}


def test_an_ending_of_the_workflow_is_never_stopped(store: Store) -> None:
    thing = put(store)
    part, guard = under(store, PART, 1, thing), under(store, GUARD, 1, thing)
    move(store, thing, "deleted")
    assert living(store, thing.id, part.id, guard.id) == {guard.id}
    assert store.read(lambda tx: rows.children(tx, [thing.id])) == {thing.id: []}, "it stands alone"


def test_the_way_to_an_end_is_refused_like_the_end(store: Store) -> None:
    leaver = under(store, LEAVING, 1, put(store))
    guard = under(store, GUARD, 1, leaver)
    with pytest.raises(ServiceError, match=f"leaver {leaver.id} is held"):
        end(store, LEAVING, leaver, state="deleting")
    end(store, GUARD, guard)
    assert end(store, LEAVING, leaver, state="deleting").state == "deleting"


@pytest.mark.parametrize("state", ["deleting", "deleted"])
def test_a_change_ends_nothing(store: Store, state: str) -> None:
    leaver = under(store, LEAVING, 1, put(store))
    with pytest.raises(AssertionError):
        store.run(lambda tx: rows.change(tx, LEAVING, leaver, state=state))


def test_what_stands_on_a_row_that_would_go_protects_both_from_a_caller(store: Store) -> None:
    thing = put(store)
    part = under(store, PART, 1, thing)
    guard = under(store, GUARD, 1, part)
    with pytest.raises(ServiceError, match=f"{thing.id}.*has dependencies"):
        end(store, THING, thing)
    assert living(store, thing.id, part.id, guard.id) == {thing.id, part.id, guard.id}
    move(store, thing, "deleted")
    assert living(store, thing.id, part.id, guard.id) == {guard.id}
    assert store.read(lambda tx: rows.children(tx, [thing.id])) == {thing.id: []}, "it stands alone"


def test_a_row_under_two_that_end_together_ends_once(store: Store) -> None:
    thing = put(store)
    part = under(store, PART, 1, thing)
    inner = under(store, PART, 2, thing, part)
    end(store, THING, thing)
    assert living(store, thing.id, part.id, inner.id) == set()
