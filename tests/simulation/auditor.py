"""Auditor of promises P1 to P11, which judges by the rows and by the answers that callers got.

It reads rows by its own SQL (`snapshot`), calls none of the program's functions on them, and keeps
a book of its own: the intent each token bound in each life of its entry (an *era*: from the claim
to the sweep), the resources each intent made, and those whose end was acknowledged. `answers`
judges the answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from exercises.storage import NO_KEY
from sametoken.faults.rules import Rule
from simulation import answers, endstate, invariants
from simulation.acts import ENDED_BY, USED_UP_BY
from simulation.attachments import available_addresses
from simulation.database import Database
from simulation.history import Delivery, Fate, History, prefix_of
from simulation.promises import require
from simulation.rules import struck_for_good
from simulation.scheduler import HOUR
from simulation.snapshot import INTERNAL, EntryRow, OutcomeRow, ResourceRow, Snapshot
from simulation.usage import Usage

# P7 as it is promised, not the program's constant, which may be wrong.
RETENTION_US = 24 * HOUR
# Commits after which the auditor checks all rows, even if no entry was made or forgotten.
_ALL_ROWS_COMMITS = 25
# States of a resource whose end was asked for and is not reached yet.
_ENDING = ("shutting-down", "deleting")


@dataclass(slots=True)
class Bound:
    """The binding of a token in one zone: `intent` was the first there, `made` are the ids it made,
    `told` those that its first accepted answer named, `since_us` when its last outcome was
    recorded, by the time that has passed."""

    intent: str
    last: OutcomeRow
    since_us: int
    made: tuple[str, ...] = ()
    told: tuple[str, ...] | None = None


@dataclass(slots=True)
class Era:
    """A life of a token's entry; `kept` are the ids of resources that it must outlive."""

    entry: EntryRow
    kept: list[str] = field(default_factory=list)
    bound: dict[str, Bound] = field(default_factory=dict)


@dataclass(slots=True)
class Auditor:
    """The judge of one schedule.

    `observe` must be called after commits and before sweeps, `answered` for each answer that leaves
    a node.
    """

    database: Database
    history: History
    # Returns the time that has passed, which nobody's clock may know.
    elapsed_us: Callable[[], int]
    seen: Snapshot = field(init=False)
    usage: Usage = field(init=False)
    eras: dict[tuple[int, int], Era] = field(default_factory=dict)
    # The outcome that names each id: its era and its zone.
    named: dict[str, tuple[tuple[int, int], str]] = field(default_factory=dict)
    # Instances of each reservation in launch order, as they were when it was first seen.
    reservations: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # Resources whose end was acknowledged.
    ended: dict[str, None] = field(default_factory=dict)
    # Counts, for the report: resources made of each kind, and uses of tokens by action and effect.
    made: Counter[str] = field(default_factory=Counter)
    tokens: Counter[tuple[str, str]] = field(default_factory=Counter)
    # Instances of which a service has refused a step for good, as the hazards keep them.
    refused: set[str] = field(default_factory=set)
    # The rules of the schedule, by which others may be refused one.
    rules: Sequence[Rule] = ()
    # Resources that existed before the first request.
    fixtures: dict[str, None] = field(init=False)
    _last: dict[str, ResourceRow] = field(default_factory=dict)
    # When each resource that has ended did so, by the time that has passed.
    _ended_us: dict[str, int] = field(default_factory=dict)
    # Resources that each intent without a token made, by the part that each request makes once.
    _unprotected: dict[str, dict[str, dict[str, None]]] = field(default_factory=dict)
    _commits: int = 0
    # SQLite's count of changes at the last look: an equal count means that no row has changed.
    _changes: int = -1
    _now: int = 0

    def __post_init__(self) -> None:
        self.seen = Snapshot(self.database)
        self.seen.refresh()
        self._last = dict(self.seen.resources)
        self.fixtures = dict.fromkeys(self.seen.resources)
        self.usage = Usage(dict(self.seen.limits))

    def observe(self) -> Snapshot:
        """Check the rows touched since the last look: by the promises, and by their last state."""
        seen, changes = self.seen, self.database.raw.total_changes
        if changes == self._changes:
            return seen
        self._changes = changes
        touched = seen.refresh()
        if not touched:
            return seen
        now = self.database.moment_us()
        require(now >= self._now, "P7", "the store's clock went back by {} us", self._now - now)
        self._now = now
        self._commits += 1
        callers = [
            entry
            for id in touched.get("entries", ())
            if (entry := seen.entries.get(id)) is not None and entry.account != INTERNAL
        ]
        news = self._forget()
        for entry in callers:
            news |= self._bind(entry)
        for id in touched.get("resource", ()):
            self._follow(id)
        self.usage.check(seen, touched)
        invariants.check_touched(seen, touched)
        if news or self._commits % _ALL_ROWS_COMMITS == 0:
            invariants.check_all(seen, self.named)
        return seen

    def look(self) -> None:
        """Observe, for callbacks that return nothing."""
        self.observe()

    def answered(self, delivery: Delivery) -> None:
        """Judge an answer, which counts from the moment it leaves its node."""
        self.observe()
        answers.judge(self, delivery)

    def _forget(self) -> bool:
        """P7: an entry that is gone has outlived all it made by the retention. Tell if one went."""
        present = {entry.key for entry in self.seen.entries.values()}
        gone = [key for key in self.eras if key not in present]
        for key in gone:
            era = self.eras.pop(key)
            for zone, bound in era.bound.items():
                age = self.elapsed_us() - bound.since_us
                require(
                    age >= RETENTION_US,
                    "P7",
                    "{} forgot {} of {!r} too early",
                    era.entry,
                    bound,
                    zone,
                )
                for id in bound.made:
                    del self.named[id]
            for id in era.kept:
                self._require_over(self._last.get(id), f"{era.entry} was forgotten")
        return bool(gone)

    def _require_over(self, row: ResourceRow | None, what: str) -> None:
        assert row is not None, "what an outcome names was seen when it was recorded"
        now_us = self.elapsed_us()
        over = row.gone_at is not None and now_us - self._ended_us[row.id] >= RETENTION_US
        require(over, "P7", "{}, but {} was not over for long enough at {}", what, row, now_us)

    def _bind(self, entry: EntryRow) -> bool:
        """P1, P4, P5: a binding never changes while its entry lives. Tell if one is new."""
        news = False
        era = self.eras.setdefault(entry.key, Era(entry))
        era.kept = self.seen.retained.get(entry.id, [])
        for outcome in self.seen.outcomes.get(entry.id, ()):
            delivery = self.history.deliveries.get(outcome.request_id)
            require(delivery is not None, "P2", "{} is of a request nobody sent", outcome)
            assert delivery is not None, "required above"
            answers.was_entitled(outcome, delivery)
            call = delivery.call
            require(call.zone == outcome.zone, "P1", "{} was recorded for {!r}", call, outcome.zone)
            scope = (entry.account, entry.region, entry.action, entry.client_token)
            asked = (call.account, call.region, call.action, call.client_token)
            require(scope == asked, "P10", "{} was recorded in {}", call, entry)
            before = era.bound.get(outcome.zone)
            if before is None:
                before = era.bound[outcome.zone] = Bound(call.intent, outcome, self.elapsed_us())
                news = True
            require(
                before.intent == call.intent,
                "P4",
                "{}: {} became {}",
                entry,
                before.intent,
                call.intent,
            )
            if before.last.identities is not None:
                same = before.last.identities == outcome.identities
                require(same, "P1", "{}: {} became {}", entry, before.last, outcome)
            elif outcome.identities is not None:
                self.tokens[entry.action, "failed, then made"] += before.last is not outcome
            if before.last != outcome:
                before.last, before.since_us = outcome, self.elapsed_us()
            if outcome.identities is not None and not before.made:
                self._name(era, before)
                news = True
        regional = "" in era.bound
        require(not regional or len(era.bound) == 1, "P1", "{} acted Regionally and zonally", entry)
        return news

    def _name(self, era: Era, bound: Bound) -> None:
        """Book the resources that the outcome names as made, if they bear its intent's mark."""
        resources = self.seen.resources
        named = _texts(bound.last.identities)
        bound.made = tuple(
            id for id in named if id in resources and resources[id].mark == bound.intent
        )
        for id in bound.made:
            require(id not in self.named, "P1", "{} is named by two outcomes", id)
            self.named[id] = (era.entry.key, bound.last.zone)

    def _follow(self, id: str) -> None:
        """Check a resource that was made or changed, or has ended, or whose row was removed."""
        row, before = self.seen.resources.get(id), self._last.pop(id, None)
        if row is None:
            if before is not None:
                self._require_over(before, "a tombstone is gone")
                self._ended_us.pop(id, None)
            return
        self._last[id] = row
        self.usage.follow(before, row)
        if before is None:
            self._arrived(row)
        elif before.gone_at is not None:
            same = (row.state, row.gone_at) == (before.state, before.gone_at)
            require(same, "P8", "{} had ended and is now {}", id, row)
        if row.gone_at is not None and (before is None or before.gone_at is None):
            self._ended_us[id] = self.elapsed_us()
            require(self._may_end(row), "P9", "nobody asked for the end of {}", row)
        if id in self.ended:
            ending = row.gone_at is not None or row.state in _ENDING
            require(ending, "P9", "{} was ended for its caller, and is {}", id, row)

    def _arrived(self, row: ResourceRow) -> None:
        """P1, P6, P10: a new row was asked for, in this account and Region, and not made before."""
        self.made[row.kind] += 1
        if row.kind == "instance":
            self._book_reservation(row)
        if row.mark is None:
            return
        deliveries = self.history.of_intent(row.mark)
        require(deliveries, "P1", "{} was made for {}, which nobody has asked for", row, row.mark)
        call = deliveries[0].call
        place = (call.account, call.region)
        require((row.account, row.region) == place, "P10", "{} was made for {}", row, call)
        if call.client_token is None:
            require(row.client_token is None, "P6", "{} was made for {}", row, call)
            whole = row.private["ReservationId"] if row.kind == "instance" else row.id
            part = row.doc.get("ResourceId", "")
            self._unprotected.setdefault(row.mark, {}).setdefault(part, {})[whole] = None
            self.unprotected_are_counted(row.mark)
            return
        require(row.id in self.named, "P1", "{} was made for {}, and no entry names it", row, call)
        era, zone = self.named[row.id]
        require(self.eras[era].bound[zone].intent == row.mark, "P1", "{} is of another intent", row)

    def _book_reservation(self, row: ResourceRow) -> None:
        reservation = row.private["ReservationId"]
        known = self.reservations.get(reservation)
        if known is None:
            rows = [
                one
                for one in self.seen.of_kind("instance")
                if one.private["ReservationId"] == reservation
            ]
            rows.sort(key=lambda one: int(one.doc["AmiLaunchIndex"]))
            known = self.reservations[reservation] = tuple(one.id for one in rows)
        require(row.id in known, "P1", "{} joined {} later", row, known)

    def unprotected_are_counted(self, intent: str) -> None:
        """P6: without a token, each request that may have run has made one resource at most."""
        open_or_done = sum(one.may_have_made for one in self.history.of_intent(intent))
        for part, made in self._unprotected.get(intent, {}).items():
            count = len(made)
            require(
                count <= open_or_done, "P6", "{} made {} of {}: {}", intent, count, part, list(made)
            )

    def _may_end(self, row: ResourceRow) -> bool:
        """Tell whether a resource that ended was allowed to.

        A resource that callers made ends only when they ask for it. Instances may fail, volumes
        whose key does not exist disappear, and resources made with others end with those.
        """
        if row.mark is None or row.kind == "instance" or row.doc.get("KmsKeyId") == NO_KEY:
            return True
        # A template's version ends with it, and its id is the template's, a colon and a number.
        id = row.id.partition(":")[0]
        prefix = prefix_of(id) or ""
        actions = (ENDED_BY[prefix], *USED_UP_BY.get(prefix, ()))
        return any((action, id) in self.history.asked_of for action in actions)

    def check_settled(self) -> None:
        """Check everything, once faults have stopped and all work has drained."""
        seen = self.observe()
        invariants.check_all(seen, self.named)
        endstate.check_all(seen, self.history)
        struck = struck_for_good(seen, self.rules)
        endstate.check_failed_alone(seen, self.refused | struck)

    def check_subnets(self, fate: Fate) -> None:
        """P8: a subnet's free addresses are those that no row holds. Call when no work is left."""
        assert fate.result is not None, "nothing stands in the way of a look"
        for subnet in fate.result["Subnets"]:
            shown, id = subnet["AvailableIpAddressCount"], subnet["SubnetId"]
            free = available_addresses(self.seen, id)
            require(shown == free, "P8", "{} shows {} free addresses, and has {}", id, shown, free)

    def check_itself(self) -> None:
        """Check that the rows kept from look to look are those that the database has."""
        require(self.observe() == self.seen.whole(), "AUDIT", "a change of the rows was missed")

    def check_forgotten(self) -> None:
        """Check that nothing is left once all has ended, the retention is over and a sweep ran."""
        seen = self.observe()
        invariants.check_all(seen, self.named)
        endstate.check_forgotten(seen, self.fixtures)


def _texts(identities: Any) -> Iterator[str]:
    """Yield every id that identities name."""
    for value in identities.values():
        if isinstance(value, list):
            yield from map(str, value)
        else:
            yield str(value)
