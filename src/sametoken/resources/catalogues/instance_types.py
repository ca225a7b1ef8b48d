"""The built-in catalogue of instance types: all that EC2's model names, as EC2 describes them.

`instance_types.jsonl` has the facts: those of a data set of EC2's own answers, and for types that
no data set has what follows from a type that is like them (`derived`). `docs/instance_types.py`
writes it, and tells its form and its sources. The file is read when a type is first asked for, and
a family's line is decoded when one of its types is.

Every Region and zone offers every type. Not here: how many instances of a type there is room for,
which `counters` has; prices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import orjson

_FILE = Path(__file__).with_name("instance_types.jsonl")


@dataclass(frozen=True, slots=True)
class InstanceType:
    """An instance type: what is said of it alone, and what is said of its whole family, by path."""

    name: str
    own: Mapping[str, Any]
    family: Mapping[str, Any]

    def fact(self, path: str) -> Any:
        """The member at a path of its description; None where it has none.

        Network cards and numbers of cores are as the file has them.
        """
        return self.own[path] if path in self.own else self.family.get(path)

    def told(self, path: str) -> Any:
        """The member at a path of its description, as it is described; None where it has none."""
        return _WORKED_OUT[path](self) if path in _WORKED_OUT else self.fact(path)

    @property
    def vcpus(self) -> int:
        return int(self.fact("VCpuInfo.DefaultVCpus"))

    @property
    def cores(self) -> int:
        return int(self.fact("VCpuInfo.DefaultCores"))

    @property
    def threads_per_core(self) -> int:
        return int(self.fact("VCpuInfo.DefaultThreadsPerCore"))

    @property
    def architectures(self) -> tuple[str, ...]:
        """The architectures in EC2's words; the usual one last."""
        return tuple(self.fact("ProcessorInfo.SupportedArchitectures"))

    @property
    def nitro(self) -> bool:
        """True when the machine has Nitro's cards, as every bare-metal machine does."""
        return bool(self.fact("Hypervisor") != "xen")

    @property
    def burstable(self) -> bool:
        return bool(self.fact("BurstablePerformanceSupported"))

    @property
    def interfaces(self) -> int:
        return int(self.fact("NetworkInfo.MaximumNetworkInterfaces"))

    @property
    def ipv4_per_interface(self) -> int:
        return int(self.fact("NetworkInfo.Ipv4AddressesPerInterface"))

    @property
    def ipv6_per_interface(self) -> int:
        return int(self.fact("NetworkInfo.Ipv6AddressesPerInterface"))


class _Catalogue(Mapping[str, InstanceType]):
    """All types by name, in the order of the file: by family, then by size."""

    def __init__(self) -> None:
        self._families: dict[str, dict[str, InstanceType]] = {}

    @cached_property
    def _lines(self) -> dict[str, bytes]:
        """The line of each family, as it stands in the file. The first line has no family."""
        head, *lines = _FILE.read_bytes().splitlines()
        parts = (line.partition(b"\t") for line in lines)
        return {"": head} | {family.decode(): line for family, _, line in parts}

    @cached_property
    def head(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = orjson.loads(self._lines[""])
        return found

    def _family(self, family: str) -> dict[str, InstanceType]:
        if family not in self._families:
            if not family or family not in self._lines:
                return {}
            self._families[family] = dict(self._decoded(family, self._lines[family]))
        return self._families[family]

    def _decoded(self, family: str, line: bytes) -> Iterator[tuple[str, InstanceType]]:
        shared, differing, sizes = orjson.loads(line)
        columns: list[str] = self.head["columns"]
        facts = dict(zip(columns, self.head["usual"], strict=True))
        facts |= {columns[int(place)]: value for place, value in shared.items()}
        own = [columns[place] for place in differing]
        for size, row in sizes.items():
            name = f"{family}.{size}"
            yield name, InstanceType(name, dict(zip(own, row, strict=True)), facts)

    def __getitem__(self, name: str) -> InstanceType:
        return self._family(name.rpartition(".")[0])[name]

    def __iter__(self) -> Iterator[str]:
        for family in self._lines:
            yield from self._family(family)

    def __len__(self) -> int:
        return sum(1 for _ in self)


_CATALOGUE = _Catalogue()
INSTANCE_TYPES: Mapping[str, InstanceType] = _CATALOGUE


def derived() -> frozenset[str]:
    """The types of which no data set tells: what is said of them follows from others."""
    return frozenset(_CATALOGUE.head["derived"])


def describe(instance_type: InstanceType) -> dict[str, Any]:
    """The type in botocore's `InstanceTypeInfo` shape; members that do not apply are left out."""
    shown: dict[str, Any] = {}
    for path in dict.fromkeys((*_CATALOGUE.head["columns"], *_WORKED_OUT)):
        value = instance_type.told(path)
        if value is None:
            continue
        *parents, name = path.split(".")
        part = shown
        for one in parents:
            part = part.setdefault(one, {})
        part[name] = value
    return shown


def _cards(one: InstanceType) -> list[dict[str, Any]]:
    members: list[str] = _CATALOGUE.head["card"]
    rows = [row for count, *row in one.fact("NetworkInfo.NetworkCards") for _ in range(count)]
    cards = []
    for index, row in enumerate(rows):
        card = {name: value for name, value in zip(members, row, strict=True) if value is not None}
        card.setdefault("NetworkPerformance", one.fact("NetworkInfo.NetworkPerformance"))
        cards.append({"NetworkCardIndex": index, **card})
    return cards


def _valid_cores(one: InstanceType) -> list[int] | None:
    runs = one.fact("VCpuInfo.ValidCores")
    if runs is None:  # bare metal takes no CPU options
        return None
    return [number for first, last, step in runs for number in range(first, last + 1, step)]


def _valid_threads(one: InstanceType) -> list[int] | None:
    takes_options = one.fact("VCpuInfo.ValidCores") is not None
    return list(range(1, one.threads_per_core + 1)) if takes_options else None


def _disk_space(one: InstanceType) -> int | None:
    disks = one.fact("InstanceStorageInfo.Disks")
    return None if disks is None else sum(disk["Count"] * disk["SizeInGB"] for disk in disks)


def _tpm_versions(one: InstanceType) -> list[str] | None:
    return ["2.0"] if one.fact("NitroTpmSupport") == "supported" else None


def _throughput(word: str, one: InstanceType) -> float | None:
    """The throughput, where it is not said: the bandwidth, in bytes."""
    info = f"EbsInfo.EbsOptimizedInfo.{word}"
    said: float | None = one.fact(f"{info}ThroughputInMBps")
    mbps: int | None = one.fact(f"{info}BandwidthInMbps")
    return said if said is not None or mbps is None else mbps / 8


# Members that follow from others, or that the file has in a shorter form.
_WORKED_OUT: Mapping[str, Callable[[InstanceType], Any]] = {
    **{
        f"EbsInfo.EbsOptimizedInfo.{word}ThroughputInMBps": partial(_throughput, word)
        for word in ("Baseline", "Maximum")
    },
    "InstanceStorageInfo.TotalSizeInGB": _disk_space,
    "NetworkInfo.EfaSupported": lambda one: (
        one.fact("NetworkInfo.EfaInfo.MaximumEfaInterfaces") is not None
    ),
    "NetworkInfo.MaximumNetworkCards": lambda one: len(_cards(one)),
    "NetworkInfo.NetworkCards": _cards,
    "InstanceType": lambda one: one.name,
    "NitroTpmInfo.SupportedVersions": _tpm_versions,
    "SupportedInRegion": lambda one: True,
    "VCpuInfo.ValidCores": _valid_cores,
    "VCpuInfo.ValidThreadsPerCore": _valid_threads,
}
