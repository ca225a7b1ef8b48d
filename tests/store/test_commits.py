"""Transactions of one commit know of each other, but of no undone one."""

from __future__ import annotations

from sametoken.errors import Transient
from sametoken.resources.kit import counters, regions
from sametoken.store.port import Tx
from store.batches import Bench, Fn
from store.gathered import fails, told, watched

PLACE = ("000000000001", "us-east-1")


def test_a_member_does_not_use_what_an_undone_one_kept(bench: Bench) -> None:
    def keeps(value: str) -> Fn:
        def run(tx: Tx) -> str:
            regions.lock_region(tx, *PLACE)
            return tx.cached(PLACE, "key", lambda: value)

        return run

    def renews(tx: Tx) -> None:
        regions.renew_stamp(tx, *PLACE)

    bench.run([lambda tx: regions.mark_seeded(tx, *PLACE)])
    guilty = fails(renews, keeps("undone"))
    assert told(bench, keeps("kept"), guilty, keeps("read")) == ["kept", Transient, "read"]
    assert told(bench, renews, keeps("new"), keeps("newer")) == [None, "new", "new"]


def test_debits_of_one_commit_know_of_each_other_but_not_of_undone_ones(bench: Bench) -> None:
    name = counters.capacity_name("us-east-1a", "t3.micro")

    def takes(amount: int) -> Fn:
        def run(tx: Tx) -> int:
            regions.lock_region(tx, *PLACE)
            counters.debit(tx, PLACE, {name: amount})
            return counters.free(tx, PLACE, [name])[name]

        return run

    bench.run([lambda tx: counters.set_maximum(tx, name, 5)])
    members = takes(2), fails(takes(3)), takes(2), takes(2), takes(1)
    with watched(bench) as sent:
        assert told(bench, *members) == [3, Transient, 1, Transient, 0]
        reads = [one for one in sent if one.startswith("SELECT counter.name, counter.used")]
    # At first, and after each undoing.
    assert len(reads) == 3
