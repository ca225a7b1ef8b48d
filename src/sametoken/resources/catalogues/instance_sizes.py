"""The sizes of an instance family: grown by ladders, or listed row by row. Pure.

Most families grow by one law: a size's vCPUs decide its memory, network, interfaces and EBS
bandwidth. Such a family names a ladder for each; the other families list a row per size. Figures
are those of EC2's "Instance types" pages and of DescribeInstanceTypes, as far as known; interfaces
agree with the published number of pods per type (amazon-vpc-cni, eni-max-pods).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Size:
    """A size: `disks` of `disk_gb` each; `ebs_…` in Mbps and IOPS, None where not optimized."""

    name: str
    vcpus: int
    memory_mib: int
    interfaces: int
    ipv4_per_interface: int
    network: str
    ebs_baseline: tuple[int, int] | None
    ebs_maximum: tuple[int, int] | None
    disks: int = 0
    disk_gb: int = 0
    accelerators: int = 0


# A ladder's value is for as many vCPUs as its key, and for fewer down to the next lower key.
Figures = tuple[int, int]
Ladder = Mapping[int, T]
_ANY = 1_000  # more vCPUs than any size has

_INTERFACES: Ladder[Figures] = {1: (2, 4), 2: (3, 10), 15: (4, 15), 48: (8, 30), _ANY: (15, 50)}

# Network performance in Gbps; `~` stands for "Up to".
NETWORK_5 = {16: "~10", 32: "10", 48: "12", 64: "20", _ANY: "25"}
NETWORK_C5 = {16: "~10", 48: "12", _ANY: "25"}
NETWORK_5A = {32: "~10", 48: "10", 64: "12", _ANY: "20"}
NETWORK_C5A = {16: "~10", 32: "10", 48: "12", _ANY: "20"}
NETWORK_6 = {16: "~12.5", 32: "12.5", 48: "18.75", 64: "25", 96: "37.5", _ANY: "50"}
NETWORK_6G = {16: "~10", 32: "12", 48: "20", _ANY: "25"}
NETWORK_7G = {4: "~12.5", 16: "~15", 32: "15", 48: "22.5", 64: "30", 96: "40", _ANY: "50"}
NETWORK_FLEX = {32: "~12.5", 48: "~18.75", _ANY: "~25"}


@dataclass(frozen=True, slots=True)
class Ebs:
    """EBS bandwidth in Mbps and IOPS. The maximum is the largest of all three."""

    baseline: Ladder[Figures]
    burst: Figures
    ceiling: Ladder[Figures] | None = None


_BIG_6 = {
    4: (1250, 6000),
    8: (2500, 12000),
    16: (5000, 20000),
    32: (10000, 40000),
    48: (15000, 60000),
    64: (20000, 80000),
    96: (30000, 120000),
    128: (40000, 160000),
    _ANY: (40000, 240000),
}
EBS_6 = Ebs({1: (325, 2500), 2: (650, 3600), **_BIG_6}, burst=(10000, 40000))
EBS_7G = Ebs({1: (315, 2500), 2: (630, 3600), **_BIG_6}, burst=(10000, 40000))
EBS_FLEX = Ebs(
    {
        2: (312, 2500),
        4: (625, 3600),
        8: (1250, 6000),
        16: (2500, 12000),
        32: (5000, 20000),
        48: (7500, 30000),
        _ANY: (10000, 40000),
    },
    burst=(10000, 40000),
    ceiling={1: (0, 0), **_BIG_6},
)
EBS_5 = Ebs(
    {
        2: (650, 3600),
        4: (1150, 6000),
        8: (2300, 12000),
        16: (4750, 18750),
        32: (6800, 30000),
        48: (9500, 40000),
        64: (13600, 60000),
        _ANY: (19000, 80000),
    },
    burst=(4750, 18750),
)
EBS_C5 = Ebs(
    {
        2: (650, 4000),
        4: (1150, 6000),
        8: (2300, 10000),
        16: (4750, 20000),
        48: (9500, 40000),
        _ANY: (19000, 80000),
    },
    burst=(4750, 20000),
)
EBS_5A = Ebs(
    {
        2: (650, 3600),
        4: (1085, 6000),
        8: (1580, 8333),
        16: (2880, 16000),
        32: (4750, 20000),
        48: (6780, 30000),
        64: (9500, 40000),
        _ANY: (13750, 60000),
    },
    burst=(2880, 16000),
)
EBS_C5A = Ebs(
    {
        2: (200, 800),
        4: (400, 1600),
        8: (800, 3200),
        16: (1580, 6600),
        32: (3170, 13300),
        48: (4750, 20000),
        64: (6300, 26700),
        _ANY: (9500, 40000),
    },
    burst=(3170, 13300),
)
EBS_6G = Ebs(
    {
        1: (315, 2500),
        2: (630, 3600),
        4: (1188, 6000),
        8: (2375, 12000),
        16: (4750, 20000),
        32: (9500, 40000),
        48: (14250, 50000),
        _ANY: (19000, 80000),
    },
    burst=(4750, 20000),
)


def _step(ladder: Ladder[T], vcpus: int) -> T:
    return ladder[min(limit for limit in ladder if limit >= vcpus)]


def _vcpus(size: str) -> int:
    """The vCPUs of a size: `large` 2, `xlarge` 4, `12xlarge` 48; `metal=96` states the number."""
    name, _, said = size.partition("=")
    if said:
        return int(said)
    if name.endswith("xlarge"):
        return 4 * int(name.removesuffix("xlarge") or 1)
    return {"medium": 1, "large": 2}[name]


def _network(code: str) -> str:
    if code.startswith("~"):
        return f"Up to {code[1:]} Gigabit"
    return f"{code} Gigabit" if code[0].isdigit() else code.replace("_", " ")


def grown(
    names: str, gib_per_vcpu: int, network: Ladder[str], ebs: Ebs, disks: str = ""
) -> tuple[Size, ...]:
    """Sizes by ladder. `disks` has a `1x75` for each name; empty in a family without disks."""
    return tuple(_grow(names, gib_per_vcpu, network, ebs, disks))


def _grow(
    names: str, gib_per_vcpu: int, network: Ladder[str], ebs: Ebs, disks: str
) -> Iterator[Size]:
    all_disks = disks.split() or ["0x0"] * len(names.split())
    for written, disk in zip(names.split(), all_disks, strict=True):
        vcpus = _vcpus(written)
        baseline = _step(ebs.baseline, vcpus)
        ceiling = _step(ebs.ceiling, vcpus) if ebs.ceiling else (0, 0)
        at_most = (
            max(baseline[0], ebs.burst[0], ceiling[0]),
            max(baseline[1], ebs.burst[1], ceiling[1]),
        )
        count, _, gb = disk.partition("x")
        yield Size(
            written.partition("=")[0],
            vcpus,
            vcpus * gib_per_vcpu * 1024,
            *_step(_INTERFACES, vcpus),
            _network(_step(network, vcpus)),
            baseline,
            at_most,
            int(count),
            int(gb),
        )


def listed(table: str, burst: Figures = (0, 0)) -> tuple[Size, ...]:
    """Sizes by row: name, vCPUs, GiB, interfaces/addresses, network, EBS, disks, accelerators.

    A row may leave out the last two. `-` as EBS figure means that the size is not EBS-optimized.
    """
    return tuple(_listed_row(row.split(), burst) for row in table.strip().splitlines())


# Defaults for the columns that a row leaves out; only its last columns can be.
_NOTHING = ["", "", "", "", "", "-", "0x0", "0"]


def _listed_row(row: list[str], burst: Figures) -> Size:
    name, vcpus, gib, limits, network, ebs, disk, accelerators = [*row, *_NOTHING[len(row) :]]
    interfaces, _, addresses = limits.partition("/")
    baseline: Figures | None = None
    at_most: Figures | None = None
    if ebs != "-":
        mbps, _, iops = ebs.partition(":")
        baseline = (int(mbps), int(iops))
        at_most = (max(baseline[0], burst[0]), max(baseline[1], burst[1]))
    count, _, gb = disk.partition("x")
    return Size(
        name,
        int(vcpus),
        int(float(gib) * 1024),
        int(interfaces),
        int(addresses),
        _network(network),
        baseline,
        at_most,
        int(count),
        int(gb),
        int(accelerators),
    )
