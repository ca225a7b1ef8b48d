"""Writes the built-in catalogue of instance types from answers of DescribeInstanceTypes.

    .venv/bin/python docs/instance_types.py ANSWER.json [ANSWER.json ...]

An answer is what `aws ec2 describe-instance-types` prints, or one of the public data sets of the
same form: a mapping from names to such descriptions, as moto carries it (its 5.2.5 and 5.2.0 were
read last, with all of us-east-1). A later file adds to the ones before it. Types that botocore's
model lists and no answer has are derived from a type that is like them (`LIKE`): vCPUs, memory,
disks and accelerators as EC2's pages on earlier generations tell, interfaces as the limits in
amazon-vpc-cni do. The catalogue names these `derived`.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from botocore.session import get_session

FILE = Path(__file__).parent.parent / "src/sametoken/resources/catalogues/instance_types.jsonl"
Facts = dict[str, Any]
# What the reader of the file works out again (`instance_types.described`).
_WORKED_OUT = (
    "InstanceType", "InstanceStorageInfo.TotalSizeInGB", "NetworkInfo.EfaSupported",
    "NetworkInfo.MaximumNetworkCards", "NitroTpmInfo.SupportedVersions", "SupportedInRegion",
    "VCpuInfo.ValidThreadsPerCore",
)  # fmt: skip
_BANDWIDTH, _THROUGHPUT = "BandwidthInMbps", "ThroughputInMBps"
_SPEED = "NetworkPerformance"
# Members of a network card, in the order in which the file has them. Null is one that is not there,
# or the speed where it is that of the whole type.
CARD = (
    "MaximumNetworkInterfaces", _SPEED, "BaselineBandwidthInGbps", "PeakBandwidthInGbps",
    "DefaultEnaQueueCountPerInterface", "MaximumEnaQueueCount", "MaximumEnaQueueCountPerInterface",
    "AdditionalFlexibleNetworkInterfaces", "InterfaceTypes",
)  # fmt: skip
_CARDS, _CORES = "NetworkInfo.NetworkCards", "VCpuInfo.ValidCores"


def _gpu(count: int, name: str, mib: int, maker: str = "NVIDIA") -> Facts:
    one = {"Count": count, "Manufacturer": maker, "MemoryInfo": {"SizeInMiB": mib}, "Name": name}
    return {"GpuInfo.Gpus": [one], "GpuInfo.TotalGpuMemoryInMiB": count * mib}


def _fpga(count: int) -> Facts:
    memory = {"SizeInMiB": 65536}
    one = {"Count": count, "Manufacturer": "Xilinx", "MemoryInfo": memory, "Name": "Virtex VU9P"}
    return {"FpgaInfo.Fpgas": [one], "FpgaInfo.TotalFpgaMemoryInMiB": count * 65536}


def _disks(count: int, gb: int, kind: str = "ssd") -> Facts:
    return {"InstanceStorageInfo.Disks": [{"Count": count, "SizeInGB": gb, "Type": kind}]}


def _network(interfaces: int, addresses: int, speed: str | None = None) -> Facts:
    found: Facts = {
        "interfaces": interfaces,
        "NetworkInfo.Ipv4AddressesPerInterface": addresses,
        "NetworkInfo.Ipv6AddressesPerInterface": addresses,
    }
    return found if speed is None else {**found, "NetworkInfo.NetworkPerformance": speed}


_GIB = 1024
_TIB = 1024 * _GIB
# Type -> a type that it is like, its vCPUs, its memory in MiB, and what else differs.
LIKE: Mapping[str, tuple[str, int, int, Facts]] = {
    "cc1.4xlarge": ("r3.8xlarge", 16, 23 * _GIB, {**_disks(2, 840, "hdd"), **_network(8, 30)}),
    "cc2.8xlarge": ("r3.8xlarge", 32, 61952, {**_disks(4, 840, "hdd"), **_network(8, 30)}),
    "cg1.4xlarge": (
        "r3.8xlarge", 16, 23040,
        {**_disks(2, 840, "hdd"), **_network(8, 30), **_gpu(2, "M2050", 3072)},
    ),
    "cr1.8xlarge": ("r3.8xlarge", 32, 244 * _GIB, {**_disks(2, 120), **_network(8, 30)}),
    "hi1.4xlarge": ("r3.8xlarge", 16, 61952, {**_disks(2, 1024), **_network(8, 30)}),
    "hs1.8xlarge": ("r3.8xlarge", 16, 117 * _GIB,
                    {**_disks(24, 2000, "hdd"), **_network(8, 30)}),
    "g2.2xlarge": ("r3.2xlarge", 8, 15 * _GIB,
                   {**_disks(1, 60), **_network(4, 15), **_gpu(1, "K520", 4096)}),
    "g2.8xlarge": ("r3.8xlarge", 32, 60 * _GIB,
                   {**_disks(2, 120), **_network(8, 30), **_gpu(4, "K520", 4096)}),
    "g3s.xlarge": ("r4.xlarge", 4, 31232, {**_network(4, 15), **_gpu(1, "M60", 8192)}),
    "g3.4xlarge": ("r4.4xlarge", 16, 122 * _GIB, {**_network(8, 30), **_gpu(1, "M60", 8192)}),
    "g3.8xlarge": ("r4.8xlarge", 32, 244 * _GIB, {**_network(8, 30), **_gpu(2, "M60", 8192)}),
    "g3.16xlarge": ("r4.16xlarge", 64, 488 * _GIB, {**_network(15, 50), **_gpu(4, "M60", 8192)}),
    "p2.xlarge": ("r4.xlarge", 4, 61 * _GIB, {**_network(4, 15), **_gpu(1, "K80", 12288)}),
    "p2.8xlarge": ("r4.8xlarge", 32, 488 * _GIB, {**_network(8, 30), **_gpu(8, "K80", 12288)}),
    "p2.16xlarge": ("r4.16xlarge", 64, 732 * _GIB, {**_network(8, 30), **_gpu(16, "K80", 12288)}),
    "p3.2xlarge": ("r4.2xlarge", 8, 61 * _GIB, {**_network(4, 15), **_gpu(1, "V100", 16384)}),
    "p3.8xlarge": ("r4.8xlarge", 32, 244 * _GIB, {**_network(8, 30), **_gpu(4, "V100", 16384)}),
    "p3.16xlarge": ("r4.16xlarge", 64, 488 * _GIB, {**_network(8, 30), **_gpu(8, "V100", 16384)}),
    "f1.2xlarge": ("i3.2xlarge", 8, 122 * _GIB, {**_disks(1, 470), **_network(4, 15), **_fpga(1)}),
    "f1.4xlarge": ("i3.4xlarge", 16, 244 * _GIB, {**_disks(1, 940), **_network(8, 30), **_fpga(2)}),
    "f1.16xlarge": ("i3.16xlarge", 64, 976 * _GIB,
                    {**_disks(4, 940), **_network(8, 50), **_fpga(8)}),
    "i3.metal": ("i3en.metal", 72, 512 * _GIB,
                 {**_disks(8, 1900), **_network(15, 50, "25 Gigabit")}),
    "dl1.24xlarge": ("p4d.24xlarge", 96, 768 * _GIB,
                     {**_disks(4, 1000), **_network(60, 50),
                      **_gpu(8, "Gaudi HL-205", 32768, "Habana")}),
    "p6e-gb200.36xlarge": ("c8g.metal-48xl", 144, 960 * _GIB,
                           {"BareMetal": False, "Hypervisor": "nitro", **_disks(3, 7500),
                            **_network(15, 64), **_gpu(4, "B200", 189440)}),
    **{f"u-{tib}tb1.112xlarge": ("u-6tb1.112xlarge", 448, tib * _TIB, _network(15, 50))
       for tib in (9, 12, 18, 24)},
    **{f"u-{tib}tb1.metal": ("u-6tb1.112xlarge", 448, tib * _TIB,
                             {"BareMetal": True, "Hypervisor": None, **_network(5, 30)})
       for tib in (6, 9, 12)},
    **{f"u-{tib}tb1.metal": ("u-6tb1.112xlarge", 448, tib * _TIB,
                             {"BareMetal": True, "Hypervisor": None, **_network(15, 50)})
       for tib in (18, 24)},
    "u7ib-12tb.224xlarge": ("u7i-12tb.224xlarge", 896, 12 * _TIB, {}),
    "u7inh-32tb.480xlarge": ("u7in-32tb.224xlarge", 1920, 32 * _TIB, {}),
    "m9g.metal-24xl": ("m9g.metal-48xl", 96, 384 * _GIB, {}),
    "m9gd.metal-24xl": ("m9gd.metal-48xl", 96, 384 * _GIB, {}),
}  # fmt: skip


def main(paths: Iterable[str]) -> None:
    described: dict[str, Facts] = {}
    for path in paths:
        answer = json.loads(Path(path).read_text())
        listed = answer["InstanceTypes"] if "InstanceTypes" in answer else answer.values()
        described = {one["InstanceType"]: one for one in listed} | described
    known = {name: facts_of(one) for name, one in described.items()}
    wanted = get_session().get_service_model("ec2").shape_for("InstanceType").enum
    derived = [name for name in wanted if name not in known]
    FILE.write_text(written({**known, **{one: _derived(one, known) for one in derived}}, derived))


def _derived(name: str, known: Mapping[str, Facts]) -> Facts:
    like, vcpus, memory, more = LIKE[name]
    facts = {**known[like], **more}
    threads = facts["VCpuInfo.DefaultThreadsPerCore"]
    facts |= {
        "VCpuInfo.DefaultVCpus": vcpus,
        "VCpuInfo.DefaultCores": vcpus // threads,
        "MemoryInfo.SizeInMiB": memory,
        "InstanceStorageSupported": "InstanceStorageInfo.Disks" in facts,
    }
    facts.pop(_CORES, None)
    if not facts["BareMetal"]:
        facts[_CORES] = _runs(range(1, vcpus // threads + 1))
    # One card with all interfaces, at the speed of the type.
    count = facts.pop("interfaces", facts["NetworkInfo.MaximumNetworkInterfaces"])
    facts["NetworkInfo.MaximumNetworkInterfaces"] = count
    _, _, _, *others = facts[_CARDS][0]
    facts[_CARDS] = [[1, count, None, *others]]
    return {name: value for name, value in facts.items() if value is not None}


def facts_of(described: Mapping[str, Any]) -> Facts:
    """The members of a description by their paths, without those that are worked out of others."""
    facts = {path: value for path, value in _flat(described) if path not in _WORKED_OUT}
    for path, value in list(facts.items()):
        if path.endswith(_THROUGHPUT) and value == (
            facts[path.replace(_THROUGHPUT, _BANDWIDTH)] / 8
        ):
            del facts[path]
    speed = facts["NetworkInfo.NetworkPerformance"]
    cards = [[_of_card(one, member, speed) for member in CARD] for one in facts[_CARDS]]
    facts[_CARDS] = [[len(list(same)), *one] for one, same in groupby(cards)]
    if _CORES in facts:
        facts[_CORES] = _runs(facts[_CORES])
    return facts


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, one in value.items():
        if isinstance(one, dict):
            yield from _flat(one, f"{prefix}{name}.")
        else:
            yield prefix + name, one


def _of_card(card: Facts, member: str, speed: str) -> Any:
    value = card.get(member)
    return None if member == _SPEED and value == speed else value


def _runs(numbers: Iterable[int]) -> list[list[int]]:
    """Numbers as runs of first, last and step: 1 2 3 4 8 12 is [[1, 4, 1], [8, 12, 4]]."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and (runs[-1][0] == runs[-1][1] or number - runs[-1][1] == runs[-1][2]):
            first, last, _ = runs[-1]
            runs[-1] = [first, number, number - last]
        else:
            runs.append([number, number, 1])
    return runs


def written(types: Mapping[str, Facts], derived: Iterable[str]) -> str:
    """The file: what is usual in a first line, then a line for each family, with what is not.

    A family has what its sizes share, the columns in which they differ, and a row for each size.
    A member is named by its place among the columns of the first line; null is a member that is
    not there.
    """
    columns = sorted({path for facts in types.values() for path in facts})
    usual = {path: _most(facts.get(path) for facts in types.values()) for path in columns}
    head = {
        "columns": columns, "usual": [usual[path] for path in columns], "card": CARD,
        "derived": sorted(derived),
    }  # fmt: skip
    lines = [_line(head)]
    for family, names in groupby(sorted(types), lambda name: name.rpartition(".")[0]):
        sizes = {name.rpartition(".")[2]: types[name] for name in names}
        shared, differing = {}, []
        for place, path in enumerate(columns):
            values = [facts.get(path) for facts in sizes.values()]
            if any(one != values[0] for one in values):
                differing.append(place)
            elif values[0] != usual[path]:
                shared[str(place)] = values[0]
        rows = {
            size: [facts.get(columns[place]) for place in differing]
            for size, facts in sorted(sizes.items(), key=lambda one: _order(one[1], one[0]))
        }
        lines.append(f"{family}\t{_line([shared, differing, rows])}")
    return "\n".join(lines) + "\n"


def _most(values: Iterable[Any]) -> Any:
    [(text, _)] = Counter(json.dumps(one, sort_keys=True) for one in values).most_common(1)
    return json.loads(text)


def _order(facts: Facts, size: str) -> tuple[int, int, str]:
    return facts["VCpuInfo.DefaultVCpus"], facts["MemoryInfo.SizeInMiB"], size


def _line(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


if __name__ == "__main__":
    main(sys.argv[1:])
