"""P2, of what is counted: no more is taken than may be, and counters say what is held."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from simulation.promises import require
from simulation.snapshot import ResourceRow, Snapshot, Touched

# EC2's quotas of a new account (Service Quotas), of what nothing but a caller's request makes: how
# many, and what one count is of: "" a Region, else a member of the resource. None: no limit
# that callers here could meet.
_QUOTAS: dict[str, tuple[int | None, str]] = {
    "elastic-ip": (5, ""),
    "natgateway": (5, "SubnetId"),
    "carrier-gateway": (1, "VpcId"),
    "egress-only-internet-gateway": (5, ""),
    "vpc-flow-log": (2, "ResourceId"),
    "vpc": (5, ""),
    "internet-gateway": (5, ""),
    "vpn-gateway": (5, ""),
    "customer-gateway": (50, ""),
    "vpn-connection": (50, ""),
    "key-pair": (None, ""),
    "subnet": (None, "VpcId"),
    "route-table": (None, "VpcId"),
    "network-acl": (None, "VpcId"),
    "prefix-list": (None, ""),
    "vpc-endpoint": (None, "VpcId"),
    "launch-template": (None, ""),
    "capacity-reservation": (None, ""),
}
QUOTAS = tuple(_QUOTAS)
# A VPC's first comes with it, whatever the quota.
_WITH_ITS_VPC = ("route-table", "network-acl")
# vCPUs of the types that the callers launch.
VCPUS = {"t3.micro": 2, "t3.small": 2}

# (counter's name, what one count is of)
_Counted = tuple[str, str]


@dataclass(slots=True)
class Usage:
    """What is taken of each counter and each quota, as of the last look."""

    limits: dict[str, int]
    _living: Counter[_Counted] = field(default_factory=Counter)
    _used: dict[str, int] = field(default_factory=dict)
    _grown: dict[_Counted, None] = field(default_factory=dict)

    def follow(self, before: ResourceRow | None, row: ResourceRow) -> None:
        """One resource came, changed or ended."""
        if row.kind not in _QUOTAS:
            return
        # A gateway that is being deleted has left its subnet, though its record stays.
        counts = row.is_living and row.state != "deleting"
        counted = before is not None and before.is_living and before.state != "deleting"
        name = f"{row.kind}/{row.account}/{row.region}"
        one = (name, str(row.doc.get(_QUOTAS[row.kind][1], "")))
        self._living[one] += counts - counted
        if counts and not counted:
            self._grown[one] = None

    def check(self, seen: Snapshot, touched: Touched) -> None:
        """Nothing grew beyond the maxima that stood at the last look, or stand now.

        Lowering a maximum below what is taken is allowed; taking more after that is not.
        """
        allowed = (self.limits, seen.limits)
        for one in self._grown:
            name, taken = one[0], self._living[one]
            kind = name.partition("/")[0]
            if taken == 1 and kind in _WITH_ITS_VPC:
                continue
            default = _QUOTAS[kind][0]
            _require_within(name, taken, [_maximum(limits, name, default) for limits in allowed])
        self._grown.clear()
        for name in touched.get("counter", ()):
            taken = seen.counters[name]
            if taken > self._used.get(name, 0):
                _require_within(name, taken, [_maximum(limits, name, None) for limits in allowed])
            self._used[name] = taken
        if "counter_limit" in touched:
            self.limits = dict(seen.limits)


def _require_within(name: str, taken: int, maxima: list[int | None]) -> None:
    if None not in maxima:
        most = max(one for one in maxima if one is not None)
        require(taken <= most, "P2", "{}: {} taken of {}", name, taken, most)


def _maximum(limits: dict[str, int], name: str, default: int | None) -> int | None:
    """The most particular setting for a counter, read as its documentation says."""
    what, first, second = name.split("/", 2)
    families = (name, f"{what}/{first}/*", f"{what}/*/{second}", f"{what}/*/*")
    return next((limits[family] for family in families if family in limits), default)


def counters_are_what_is_held(seen: Snapshot) -> None:
    """The counters equal what living instances and reservations hold, each what it is worth."""
    held: Counter[str] = Counter()
    for row in seen.of_kind("instance"):
        if row.private["held"] is not None:
            held[f"capacity/{row.zone}/{row.doc['InstanceType']}"] += 1
            held[f"vcpus/{row.account}/{row.region}"] += VCPUS[row.doc["InstanceType"]]
    for row in seen.of_kind("capacity-reservation"):
        if row.is_living:
            name = f"capacity/{row.zone}/{row.doc['InstanceType']}"
            held[name] += row.doc["TotalInstanceCount"]
    used = {name: value for name, value in seen.counters.items() if value}
    require(used == dict(held), "P2", "counters say {}, rows hold {}", used, dict(held))
