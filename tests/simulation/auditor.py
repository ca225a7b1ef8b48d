"""An independent judge of promises P1 to P9, from the rows and from what callers were told.

It reads rows by its own SQL (`snapshot`), knows nothing of the program's functions, and keeps its
own book: which token bound which intent in which life of its entry (an *era*: from the claim to
the sweep), what each reservation consists of, and what has been acknowledged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from simulation import endstate, invariants, snapshot
from simulation.database import Database
from simulation.history import ApiCall, Delivery, Fate, History
from simulation.promises import require
from simulation.scheduler import HOUR
from simulation.snapshot import INTERNAL, EntryRow, OutcomeRow, ResourceRow, Snapshot

# The promise itself, not the program's constant: P7.
RETENTION_US = 24 * HOUR
_PROBE = (
    "SELECT count(*), total(claimed_at), (SELECT total(maximum) FROM counter_limit)"
    " FROM idempotency_entry WHERE account != 'internal'"
)
CAPACITY = "InsufficientInstanceCapacity"
MISMATCH = "IdempotentParameterMismatch"


@dataclass(slots=True)
class Bound:
    """What a token is bound to in one zone: the intent that was first, and what it made."""

    intent: str
    last: OutcomeRow


@dataclass(slots=True)
class Era:
    """One life of one token's entry."""

    entry: EntryRow
    bound: dict[str, Bound] = field(default_factory=dict)
    instances: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one launch made, as first seen: the ids in launch order."""

    account: str
    region: str
    client_token: str | None
    intent: str
    ids: tuple[str, ...]


@dataclass(slots=True)
class Auditor:
    """`observe` after commits and before sweeps; `answered` for each answer that leaves a node."""

    database: Database
    history: History
    eras: dict[tuple[int, int], Era] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    _last: dict[str, ResourceRow] = field(default_factory=dict)
    _acknowledged: dict[str, None] = field(default_factory=dict)
    _terminated: dict[str, None] = field(default_factory=dict)
    _unprotected: dict[str, str] = field(default_factory=dict)
    _limits: list[dict[str, int]] = field(default_factory=list)
    _used: dict[str, int] = field(default_factory=dict)
    _probe: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        # The first batch may lower a maximum after a launch that was entitled to the old one.
        self._limits = [snapshot.take(self.database).limits]

    def glance(self) -> None:
        """Cheap, after every commit: observe if an entry or a maximum came, went or changed."""
        probe = self._probe_now()
        if probe != self._probe:
            self.observe()

    def _probe_now(self) -> tuple[float, ...]:
        [probe] = self.database.query(_PROBE)
        return probe

    def look(self) -> None:
        """Observe, for those who only want to be told of a violation."""
        self.observe()

    def observe(self) -> Snapshot:
        """Compare every committed row with the promises and with what was seen before."""
        seen = snapshot.take(self.database)
        now = self.database.moment_us()
        callers = [entry for entry in seen.entries if entry.account != INTERNAL]
        self._probe = self._probe_now()
        self._forgotten(seen, callers, now)
        for entry in callers:
            self._bind(entry, seen)
        invariants.check_all(seen)
        for row in seen.of_kind("instance"):
            self._register(row, seen)
        self._nothing_is_lost(seen, now)
        self._nothing_is_oversold(seen)
        self._unprotected_launches_are_counted()
        self._last |= {row.id: row for row in seen.of_kind("instance")}
        return seen

    def _forgotten(self, seen: Snapshot, callers: list[EntryRow], now: int) -> None:
        """P7: an entry that is gone has outlived everything it made by the retention."""
        present = {entry.key for entry in callers}
        for key in [key for key in self.eras if key not in present]:
            era = self.eras.pop(key)
            for zone, bound in era.bound.items():
                age = now - bound.last.recorded_at
                require(
                    age >= RETENTION_US, "P7", f"{era.entry} forgot {bound} of {zone!r} too early"
                )
            for id in era.instances:
                self._require_over(id, now, f"{era.entry} was forgotten")

    def _require_over(self, id: str, now: int, what: str) -> None:
        last = self._last.get(id)
        require(last is not None, "P9", f"{what}, and {id} was never seen")
        assert last is not None, "required above"
        over = last.gone_at is not None and now - last.gone_at >= RETENTION_US
        require(over, "P7", f"{what}, but {id} was {last.state} ({last.gone_at}) at {now}")

    def _bind(self, entry: EntryRow, seen: Snapshot) -> None:
        """P1, P4, P5: what a token is bound to never changes while its entry lives."""
        era = self.eras.setdefault(entry.key, Era(entry))
        for outcome in seen.outcomes.get(entry.id, ()):
            delivery = self.history.deliveries.get(outcome.request_id)
            require(delivery is not None, "P2", f"{outcome} is of a request nobody sent")
            assert delivery is not None, "required above"
            self._was_entitled(outcome, delivery)
            call = delivery.call
            require(call.zone == outcome.zone, "P1", f"{call} was recorded for {outcome.zone!r}")
            require(
                call.client_token == entry.client_token, "P10", f"{call} was recorded in {entry}"
            )
            before = era.bound.setdefault(outcome.zone, Bound(call.intent, outcome))
            require(
                before.intent == call.intent, "P4", f"{entry}: {before.intent} became {call.intent}"
            )
            if before.last.identities is not None:
                same = before.last.identities == outcome.identities
                require(same, "P1", f"{entry}: {before.last} became {outcome}")
            before.last = outcome
            if outcome.identities is not None:
                era.instances |= dict.fromkeys(outcome.identities["instances"])
        regional = "" in era.bound
        require(not regional or len(era.bound) == 1, "P1", f"{entry} acted Regionally and zonally")

    def _was_entitled(self, outcome: OutcomeRow, delivery: Delivery) -> None:
        """P4, P5, P6: whoever was refused, or told that nothing ran, has left nothing behind."""
        fate = delivery.fate
        if fate is None:
            return
        unknown = fate.code == "Unavailable" and fate.ran
        made = outcome.identities is not None
        allowed = fate.status == 200 if made else fate.code == CAPACITY
        promise = "P6" if not fate.ran else "P4" if fate.code == MISMATCH else "P5"
        require(allowed or unknown, promise, f"{delivery} left {outcome}")

    def _register(self, row: ResourceRow, seen: Snapshot) -> None:
        """Book a new reservation; compare one that is known."""
        assert row.reservation is not None, "an instance is of a reservation"
        known = self.reservations.get(row.reservation)
        if known is None:
            rows = [one for one in seen.of_kind("instance") if one.reservation == row.reservation]
            rows.sort(key=lambda one: one.launch_index or 0)
            ids = tuple(one.id for one in rows)
            known = Reservation(row.account, row.region, row.client_token, row.intent or "", ids)
            self.reservations[row.reservation] = known
            if known.client_token is None:
                self._unprotected[row.reservation] = known.intent
        require(row.id in known.ids, "P1", f"{row.id} joined {known} later")
        before = self._last.get(row.id)
        if before is not None and before.gone_at is not None:
            same = (row.state, row.gone_at) == (before.state, before.gone_at)
            require(same, "P8", f"{row.id} had ended and is now {row.state}")

    def _nothing_is_lost(self, seen: Snapshot, now: int) -> None:
        """P9: what was acknowledged is there until its retention is over."""
        for id in [id for id in self._acknowledged if id not in seen.resources]:
            self._require_over(id, now, "an acknowledged instance is gone")
            del self._acknowledged[id]
        for id in self._terminated:
            row = seen.resources.get(id)
            ending = row is None or row.state in ("shutting-down", "terminated")
            require(ending, "P9", f"{id} was terminated for its caller, and is {row}")

    def _nothing_is_oversold(self, seen: Snapshot) -> None:
        """P2: no counter grew beyond the maxima that stood since the last look, or now.

        Lowering a maximum below what is taken is allowed; taking more after that is not.
        """
        self._limits = [*self._limits[-2:], seen.limits]
        for name, used in seen.counters.items():
            if used > self._used.get(name, 0):
                most = max(_maximum(limits, name) for limits in self._limits)
                require(used <= most, "P2", f"{name}: {used} taken of {most}")
        self._used = seen.counters

    def _unprotected_launches_are_counted(self) -> None:
        """P6: without a token, a request that says it did not run has made nothing."""
        made: dict[str, int] = {}
        for intent in self._unprotected.values():
            made[intent] = made.get(intent, 0) + 1
        for intent, count in made.items():
            open_or_done = [one for one in self.history.of_intent(intent) if _may_have_made(one)]
            require(count <= len(open_or_done), "P6", f"{intent} made {count} reservations")

    def answered(self, delivery: Delivery) -> None:
        """Judge one answer. It counts from the moment it leaves its node."""
        fate, call = delivery.fate, delivery.call
        assert fate is not None, "an answer has a fate"
        if call.action == "RunInstances":
            self._launch_answered(delivery, call, fate)
        elif call.action == "TerminateInstances" and fate.status == 200:
            self._terminated |= dict.fromkeys(call.ids)
            self.observe()
        elif fate.result is not None and call.action == "DescribeInstances":
            self._shown_exist(fate)

    def _launch_answered(self, delivery: Delivery, call: ApiCall, fate: Fate) -> None:
        if fate.status == 200:
            self._accepted(delivery, call, fate)
            return
        require(fate.code != "InternalError", "P11", f"{delivery} met a bug")
        if call.client_token is None or fate.code == "Unavailable":
            return
        mine = self._bound_before(delivery)
        if fate.code == CAPACITY:
            require(mine is None or mine.last.identities is None, "P3", f"{delivery} is settled")
            self.observe()
            bound = self._bound_before(delivery, at_all=True)
            require(bound is not None, "P5", f"{delivery} has left no binding")
            return
        if mine is not None:
            # A bound failure is evaluated anew, and may then be refused for another reason.
            fair = mine.last.identities is None and fate.code != MISMATCH
            require(fair, "P3", f"{delivery} repeats {mine}, and is refused")
        if fate.code == MISMATCH:
            require(any(self._rivals(call)), "P4", f"{delivery} mismatches nothing")

    def _accepted(self, delivery: Delivery, call: ApiCall, fate: Fate) -> None:
        """P3 and P9: a reservation that exists, is of this intent, and is complete and in order."""
        assert fate.result is not None, "an accepted launch has a result"
        id = fate.result["ReservationId"]
        ids = tuple(one["InstanceId"] for one in fate.result["Instances"])
        if id not in self.reservations:
            self.observe()
        made = self.reservations.get(id)
        require(made is not None, "P9", f"{delivery} was told of {id}, which does not exist")
        expected = Reservation(call.account, call.region, call.client_token, call.intent, ids)
        promise = "P3" if made is not None and made.intent == call.intent else "P4"
        require(made == expected, promise, f"{delivery} was told {expected}, made was {made}")
        self._acknowledged |= dict.fromkeys(ids)
        if call.client_token is None:
            others = [
                one
                for one in self.history.of_intent(call.intent)
                if one is not delivery and one.fate is not None and one.fate.result is not None
                and one.fate.result["ReservationId"] == id
            ]  # fmt: skip
            require(not others, "P6", f"{delivery} and {others} share {id}")

    def _bound_before(self, delivery: Delivery, *, at_all: bool = False) -> Bound | None:
        """The binding to this very intent that stood when the request arrived, in this era."""
        call = delivery.call
        for era in self.eras.values():
            entry = era.entry
            if (entry.account, entry.region, entry.client_token) == (
                call.account, call.region, call.client_token,
            ):  # fmt: skip
                bound = era.bound.get(call.zone)
                if bound is not None and bound.intent == call.intent:
                    stood = at_all or bound.last.recorded_at < delivery.arrived_at
                    return bound if stood else None
        return None

    def _rivals(self, call: ApiCall) -> Iterator[ApiCall]:
        """Other intents that may have bound the token where `call` needs it."""
        for delivery in self.history.deliveries.values():
            other = delivery.call
            if (other.action, other.account, other.region, other.client_token) != (
                call.action, call.account, call.region, call.client_token,
            ):  # fmt: skip
                continue
            if other.intent != call.intent and (
                other.zone == call.zone or "" in (other.zone, call.zone)
            ):
                yield other

    def _shown_exist(self, fate: Fate) -> None:
        assert fate.result is not None, "asked with a result"
        for reservation in fate.result["Reservations"]:
            shown = reservation["ReservationId"]
            if shown not in self.reservations:
                self.observe()
            require(shown in self.reservations, "P9", f"{shown} was shown and does not exist")

    def check_settled(self) -> None:
        """Once faults have stopped and all has drained."""
        endstate.check_all(self.observe(), self.database)

    def check_forgotten(self) -> None:
        """Once everything was terminated, a retention has passed and the sweep has run."""
        endstate.check_forgotten(self.observe())


def _may_have_made(delivery: Delivery) -> bool:
    fate = delivery.fate
    return fate is None or fate.status == 200 or (fate.code == "Unavailable" and fate.ran)


def _maximum(limits: dict[str, int], name: str) -> int:
    """The most particular setting for a counter, read as its documentation says."""
    what, first, second = name.split("/", 2)
    families = (name, f"{what}/{first}/*", f"{what}/*/{second}", f"{what}/*/*")
    return next(limits[family] for family in families if family in limits)
