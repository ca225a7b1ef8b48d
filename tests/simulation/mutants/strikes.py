"""Bugs of faults on purpose: who is struck, what a crash leaves, and what a lost answer undoes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from unittest.mock import patch

from sametoken.faults.board import Board
from sametoken.faults.kinds import Kind
from sametoken.faults.rules import Occasion, Rule
from sametoken.idempotency.entries import Ledger
from sametoken.idempotency.ledger import Entry, Outcome
from sametoken.store.port import Store, Tx
from sametoken.workflow.mishaps import Crashed, Hands, Mishaps
from sametoken.workflow.ports import Done
from sametoken.workflow.work import Work


def rule_harms_the_mates_of_whom_it_is_for() -> Iterator[None]:
    """P8: take all that were leased together for the one that a rule is for."""
    marked = Mishaps.marked

    def mutated(self: Mishaps, store: Store, leased: Sequence[Work]) -> dict[str, str]:
        found = marked(self, store, leased)
        return {work.instance: min(found.values()) for work in leased} if found else {}

    with patch.object(Mishaps, "marked", mutated):
        yield


def crashed_controller_acts_on() -> Iterator[None]:
    """P8: record the step before which the controller has crashed."""
    drive = Mishaps.drive

    def mutated(self: Mishaps, work: Work, token: str, hands: Hands) -> None:
        try:
            drive(self, work, token, hands)
        except Crashed:
            hands.record(work, Done())
            raise

    with patch.object(Mishaps, "drive", mutated):
        yield


def failed_reply_releases_the_token() -> Iterator[None]:
    """P1: answer a failure after the COMMIT, and keep what was made, but not its token."""
    strike, settle = Board.strike, Ledger.settle
    struck = set[str]()

    def noting(self: Board, occasion: Occasion, kinds: Collection[Kind]) -> tuple[Rule, ...]:
        found = strike(self, occasion, kinds)
        if any(rule.kind is Kind.FAIL_REPLY for rule in found):
            struck.add(occasion.what)
        return found

    def mutated(
        self: Ledger, tx: Tx, entry: Entry, outcome: Outcome, resources: Sequence[str]
    ) -> None:
        if outcome.request_id not in struck:
            settle(self, tx, entry, outcome, resources)

    with patch.object(Board, "strike", noting), patch.object(Ledger, "settle", mutated):
        yield
