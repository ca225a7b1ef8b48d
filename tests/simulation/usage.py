"""P2 for counters and quotas: none exceeds its maximum, and counters equal what is held."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from exercises.catalogue import QUOTAS, ZONE, Quota
from exercises.requests import brought_by, mixed, parent_of
from simulation.promises import require
from simulation.snapshot import ResourceRow, Snapshot, Touched


def _counted() -> dict[str, Quota]:
    """Return the quotas of kinds that callers make, and that no resource of another kind brings.

    The parent that a quota counts under may bring one.
    """
    made = [one.kind for one in mixed() if one.makes and one.kind in QUOTAS]
    alone = [kind for kind in made if brought_by(kind) in ("", "account", parent_of(kind))]
    return {kind: QUOTAS[kind] for kind in alone}


# EC2's quotas of a new account: the maximum, and the member of the parent that each count is of.
COUNTED = _counted()
# Kinds whose parent brings the first resource, even beyond the quota.
_WITH_ITS_PARENT = {kind for kind in COUNTED if brought_by(kind) == parent_of(kind) != ""}
# vCPUs of the instance types that callers launch.
VCPUS = {"t3.micro": 2, "t3.small": 2}

# (the counter's name, the parent or zone that is counted under)
_Counted = tuple[str, str]


@dataclass(slots=True)
class Usage:
    """Amounts taken of each counter and each quota, as of the last look."""

    limits: dict[str, int]
    _living: Counter[_Counted] = field(default_factory=Counter)
    _used: dict[str, int] = field(default_factory=dict)
    _grown: dict[_Counted, None] = field(default_factory=dict)

    def follow(self, before: ResourceRow | None, row: ResourceRow) -> None:
        """Count a resource that was made, has changed or has ended."""
        per = _per(row)
        if per is None:
            return
        # A gateway that is being deleted has left its subnet, though its row stays.
        counts = row.is_living and row.state != "deleting"
        counted = before is not None and before.is_living and before.state != "deleting"
        name = f"{row.kind}/{row.account}/{row.region}"
        one = (name, per)
        self._living[one] += counts - counted
        if counts and not counted:
            self._grown[one] = None

    def check(self, seen: Snapshot, touched: Touched) -> None:
        """Require that no amount has grown beyond the maxima of the last look or of now.

        Lowering a maximum below the amount taken is allowed; taking more after that is not.
        """
        allowed = (self.limits, seen.limits)
        for one in self._grown:
            name, taken = one[0], self._living[one]
            kind = name.partition("/")[0]
            if taken == 1 and kind in _WITH_ITS_PARENT:
                continue
            default = COUNTED[kind].maximum
            _require_within(name, taken, [_maximum(limits, name, default) for limits in allowed])
        self._grown.clear()
        for name in touched.get("counter", ()):
            taken = seen.counters[name]
            if taken > self._used.get(name, 0):
                _require_within(name, taken, [_maximum(limits, name, None) for limits in allowed])
            self._used[name] = taken
        if "counter_limit" in touched:
            self.limits = dict(seen.limits)


def _per(row: ResourceRow) -> str | None:
    """Return the parent or zone that the row is counted under.

    None if the row is not counted, or its document does not name the parent. Rules of a group are
    counted by their direction.
    """
    if row.kind not in COUNTED:
        return None
    per = COUNTED[row.kind].per
    if per == ZONE:
        return row.zone
    within = row.doc.get(per) if per else ""
    return None if within is None else f"{within}{row.doc.get('IsEgress', '')}"


def _require_within(name: str, taken: int, maxima: list[int | None]) -> None:
    if None not in maxima:
        most = max(one for one in maxima if one is not None)
        require(taken <= most, "P2", "{}: {} taken of {}", name, taken, most)


def _maximum(limits: dict[str, int], name: str, default: int | None) -> int | None:
    """Return the most specific setting for a counter, in the documented order."""
    what, first, second = name.split("/", 2)
    families = (name, f"{what}/{first}/*", f"{what}/*/{second}", f"{what}/*/*")
    return next((limits[family] for family in families if family in limits), default)


def counters_are_what_is_held(seen: Snapshot) -> None:
    """Counters equal the capacity and vCPUs that instances and reservations hold."""
    held: Counter[str] = Counter()
    active = {row.id for row in seen.of_kind("capacity-reservation") if row.is_living}
    for row in seen.of_kind("instance"):
        if row.private["held"] is not None:
            # An instance in a reservation has a part of the reservation's capacity.
            if row.private["held"].get("reservation") not in active:
                held[f"capacity/{row.zone}/{row.doc['InstanceType']}"] += 1
            held[f"vcpus/{row.account}/{row.region}"] += VCPUS[row.doc["InstanceType"]]
    for row in seen.of_kind("capacity-reservation"):
        if row.is_living:
            name = f"capacity/{row.zone}/{row.doc['InstanceType']}"
            held[name] += row.doc["TotalInstanceCount"]
    used = {name: value for name, value in seen.counters.items() if value}
    require(used == dict(held), "P2", "counters say {}, rows hold {}", used, dict(held))


def places_are_what_instances_take(seen: Snapshot) -> None:
    """The places that are left of each reservation are those that no instance has."""
    taken = Counter(
        row.private["held"].get("reservation")
        for row in seen.of_kind("instance")
        if row.private["held"] is not None
    )
    for row in seen.of_kind("capacity-reservation"):
        if row.is_living:
            left = row.doc["TotalInstanceCount"] - taken[row.id]
            told = row.doc["AvailableInstanceCount"]
            require(told == left, "P2", "{} says {} places, {} are left", row, told, left)
