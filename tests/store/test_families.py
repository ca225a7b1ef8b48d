"""A family is what the row and its children are when they are asked for one by one."""

from __future__ import annotations

from sametoken.resources.kit import endings, families, rows
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Store, Tx
from store.things import ACCOUNT, REGION, THING, id_of

PARENT, CHILDREN, OTHER = 1, (4, 2, 3), 5


def thing(tx: Tx, number: int, *parents: int) -> Row:
    doc = {"Size": number, "private": {"é": None}}
    above = tuple(id_of(parent) for parent in parents)
    return Row(
        id_of(number), THING.name, ACCOUNT, REGION, "new", doc, tx.now, "us-east-1a",
        name=f"n{number}", client_token=f"t{number}", parents=above,
    )  # fmt: skip


def make(tx: Tx) -> None:
    rows.insert(tx, [thing(tx, PARENT), *(thing(tx, one, PARENT) for one in CHILDREN)])
    rows.insert(tx, [thing(tx, OTHER)])


def one_by_one(tx: Tx, number: int) -> tuple[Row, list[Row]] | None:
    row = rows.find(tx, id_of(number))
    return None if row is None else (row, rows.children(tx, [row.id])[row.id])


def compare(tx: Tx) -> list[int]:
    """Compare the families of all things; return how many rows each has."""
    found = [families.find(tx, id_of(number)) for number in range(7)]
    assert found == [one_by_one(tx, number) for number in range(7)]
    return [0 if one is None else 1 + len(one[1]) for one in found]


def test_a_family_is_the_row_and_what_is_under_it(store: Store) -> None:
    def made(tx: Tx) -> list[int]:
        make(tx)
        return compare(tx)

    assert store.run(made) == store.read(compare) == [0, 4, 1, 1, 1, 1, 0]


def test_changes_of_the_transaction_itself_are_seen(store: Store) -> None:
    store.run(make)

    def changed(tx: Tx) -> list[int]:
        found = rows.by_ids(tx, [id_of(2), id_of(3)], lock=True)
        rows.change(tx, THING, found[id_of(2)], Size=9)
        endings.end_regardless(tx, THING, found[id_of(3)], cause="a test")
        rows.insert(tx, [thing(tx, 6, PARENT)])
        return compare(tx)

    assert store.run(changed) == [0, 4, 1, 1, 1, 1, 1]
    assert store.read(compare) == [0, 4, 1, 1, 1, 1, 1]


def test_a_row_without_a_parent_of_its_own_has_no_family(store: Store) -> None:
    def orphan(tx: Tx) -> object:
        rows.insert(tx, [thing(tx, 6, 9)])
        return families.find(tx, id_of(9))

    assert store.run(orphan) is None
