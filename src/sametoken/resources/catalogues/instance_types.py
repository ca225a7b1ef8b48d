"""The built-in catalogue of instance types: their figures, and their DescribeInstanceTypes form.

Every Region and zone offers every type. Not here: how many instances of a type there is room for,
which `counters` has; prices; the newest members of EC2's answer that tell nothing about the machine
itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sametoken.resources.catalogues.instance_families import AWS, FAMILIES, Family
from sametoken.resources.catalogues.instance_sizes import Size

# The types of EC2's free plan: of accounts from before July 2025, and of those from after.
_FREE = frozenset(["t2.micro", "t3.micro", "t3.small", "t4g.micro", "t4g.small"]) | {
    "c7i-flex.large",
    "m7i-flex.large",
}
# EC2 still runs 32-bit images on the small sizes of its oldest families.
_ALSO_32_BIT = frozenset(f"t2.{size}" for size in ("nano", "micro", "small", "medium")) | {
    "m1.small"
}

# Volumes beside one interface in the 28 slots that volumes, interfaces and disks share.
_SHARED_SLOTS = 27
_METAL_SLOTS = 31
_XEN_SLOTS = 39
# Slots, by vCPUs, of a type whose volumes have slots of their own; metal sizes have fewer.
_OWN_SLOTS = {48: 32, 64: 48, 96: 64, 128: 88, 192: 128}
_OWN_METAL_SLOTS = {96: 39, 192: 79}


@dataclass(frozen=True, slots=True)
class InstanceType:
    """An instance type. `size` has its own figures, `family` those it shares with its siblings."""

    name: str
    family: Family
    size: Size

    @property
    def vcpus(self) -> int:
        return self.size.vcpus

    @property
    def memory_mib(self) -> int:
        return self.size.memory_mib

    @property
    def architectures(self) -> tuple[str, ...]:
        """The architectures in EC2's words; the usual one last."""
        if self.family.manufacturer == AWS:
            return ("arm64",)
        return ("i386", "x86_64") if self.name in _ALSO_32_BIT else ("x86_64",)

    @property
    def bare_metal(self) -> bool:
        return self.size.name.startswith("metal")

    @property
    def hypervisor(self) -> str | None:
        """The hypervisor; None for bare metal."""
        return None if self.bare_metal else self.family.hypervisor

    @property
    def nitro(self) -> bool:
        """True when the machine has Nitro's cards, as every bare-metal machine does."""
        return self.hypervisor != "xen"

    @property
    def burstable(self) -> bool:
        return self.family.burstable

    @property
    def threads_per_core(self) -> int:
        return self.family.threads_per_core

    @property
    def cores(self) -> int:
        return max(1, self.size.vcpus // self.family.threads_per_core)

    @property
    def ebs_optimized_support(self) -> str:
        return "default" if self.size.ebs_baseline else "unsupported"

    @property
    def ebs_attachments_max(self) -> int:
        if self.family.own_volume_slots:
            slots = _OWN_METAL_SLOTS if self.bare_metal else _OWN_SLOTS
            return slots[min(limit for limit in slots if limit >= self.vcpus)]
        if not self.nitro:
            return _XEN_SLOTS
        return (_METAL_SLOTS if self.bare_metal else _SHARED_SLOTS) - self.size.disks


INSTANCE_TYPES: Mapping[str, InstanceType] = MappingProxyType(
    {
        (name := f"{family.name}.{size.name}"): InstanceType(name, family, size)
        for family in FAMILIES
        for size in family.sizes
    }
)


def describe(instance_type: InstanceType) -> dict[str, Any]:
    """The type in botocore's `InstanceTypeInfo` shape; members that do not apply are left out."""
    family, size = instance_type.family, instance_type.size
    shown: dict[str, Any] = {
        "InstanceType": instance_type.name,
        "CurrentGeneration": family.current,
        "FreeTierEligible": instance_type.name in _FREE,
        "SupportedUsageClasses": ["on-demand", "spot"],
        "SupportedRootDeviceTypes": ["ebs"],
        "SupportedVirtualizationTypes": ["hvm"],
        "BareMetal": instance_type.bare_metal,
        "ProcessorInfo": {
            "SupportedArchitectures": list(instance_type.architectures),
            "Manufacturer": family.manufacturer,
        },
        "VCpuInfo": _vcpu_info(instance_type),
        "MemoryInfo": {"SizeInMiB": size.memory_mib},
        "InstanceStorageSupported": size.disks > 0,
        "EbsInfo": _ebs_info(instance_type),
        "NetworkInfo": _network_info(instance_type),
        "PlacementGroupInfo": {
            "SupportedStrategies": [*([] if family.burstable else ["cluster"]), *_STRATEGIES]
        },
        "HibernationSupported": family.hibernates and not instance_type.bare_metal,
        "BurstablePerformanceSupported": family.burstable,
        "DedicatedHostsSupported": family.dedicated_hosts,
        **_platform(instance_type),
    }
    if instance_type.hypervisor is not None:
        shown["Hypervisor"] = instance_type.hypervisor
    if family.clock_ghz is not None:
        shown["ProcessorInfo"]["SustainedClockSpeedInGhz"] = family.clock_ghz
    if size.disks:
        shown["InstanceStorageInfo"] = _storage_info(instance_type)
    if size.accelerators:
        shown |= _accelerators(instance_type)
    return shown


_STRATEGIES = ("partition", "spread")


def _platform(instance_type: InstanceType) -> dict[str, Any]:
    """The boot modes and protections that the machine supports, and how it recovers."""
    metal, nitro = instance_type.bare_metal, instance_type.nitro
    arm = instance_type.architectures == ("arm64",)
    enclaves = nitro and not metal and not instance_type.burstable and instance_type.cores >= 2
    recovers = not metal and not instance_type.size.disks
    modes = ["uefi"] if arm else ["legacy-bios", "uefi"] if nitro else ["legacy-bios"]
    shown: dict[str, Any] = {
        "AutoRecoverySupported": recovers,
        "SupportedBootModes": modes,
        "NitroEnclavesSupport": _supported(enclaves),
        "NitroTpmSupport": _supported(nitro and not metal),
        "RebootMigrationSupport": _supported(nitro and recovers),
    }
    if nitro and not metal:
        shown["NitroTpmInfo"] = {"SupportedVersions": ["2.0"]}
    return shown


def _vcpu_info(instance_type: InstanceType) -> dict[str, Any]:
    cores, threads = instance_type.cores, instance_type.threads_per_core
    shown: dict[str, Any] = {
        "DefaultVCpus": instance_type.vcpus,
        "DefaultCores": cores,
        "DefaultThreadsPerCore": threads,
    }
    if not instance_type.bare_metal:  # bare metal takes no CPU options
        step = 2 if threads == 2 and cores > 2 else 1
        shown["ValidCores"] = list(range(step, cores + 1, step))
        shown["ValidThreadsPerCore"] = list(range(1, threads + 1))
    return shown


def _ebs_info(instance_type: InstanceType) -> dict[str, Any]:
    size = instance_type.size
    shown: dict[str, Any] = {
        "EbsOptimizedSupport": instance_type.ebs_optimized_support,
        "EncryptionSupport": "supported",
        "NvmeSupport": "required" if instance_type.nitro else "unsupported",
        "MaximumEbsAttachments": instance_type.ebs_attachments_max,
        "AttachmentLimitType": "dedicated" if instance_type.family.own_volume_slots else "shared",
    }
    if size.ebs_baseline and size.ebs_maximum:
        shown["EbsOptimizedInfo"] = {
            f"{word}{member}": value
            for word, (mbps, iops) in (
                ("Baseline", size.ebs_baseline),
                ("Maximum", size.ebs_maximum),
            )
            for member, value in (
                ("BandwidthInMbps", mbps),
                ("ThroughputInMBps", mbps / 8),  # bits to bytes
                ("Iops", iops),
            )
        }
    return shown


def _network_info(instance_type: InstanceType) -> dict[str, Any]:
    family, size = instance_type.family, instance_type.size
    efa = size.name in family.efa
    shown: dict[str, Any] = {
        "NetworkPerformance": size.network,
        "MaximumNetworkInterfaces": size.interfaces,
        "MaximumNetworkCards": 1,
        "DefaultNetworkCardIndex": 0,
        "NetworkCards": [
            {
                "NetworkCardIndex": 0,
                "NetworkPerformance": size.network,
                "MaximumNetworkInterfaces": size.interfaces,
            }
        ],
        "Ipv4AddressesPerInterface": size.ipv4_per_interface,
        "Ipv6AddressesPerInterface": size.ipv4_per_interface,
        "Ipv6Supported": True,
        "EnaSupport": _ena_support(instance_type),
        "EfaSupported": efa,
        "EncryptionInTransitSupported": family.encrypts_in_transit,
        "EnaSrdSupported": False,
        "FlexibleEnaQueuesSupport": "unsupported",
    }
    if efa:
        shown["EfaInfo"] = {"MaximumEfaInterfaces": 1}
    return shown


def _ena_support(instance_type: InstanceType) -> str:
    if instance_type.nitro:
        return "required"
    return "supported" if instance_type.size.ebs_baseline else "unsupported"


def _storage_info(instance_type: InstanceType) -> dict[str, Any]:
    size = instance_type.size
    return {
        "TotalSizeInGB": size.disks * size.disk_gb,
        "Disks": [{"SizeInGB": size.disk_gb, "Count": size.disks, "Type": "ssd"}],
        "NvmeSupport": "required",
        "EncryptionSupport": "required",
    }


def _accelerators(instance_type: InstanceType) -> dict[str, Any]:
    accelerator, count = instance_type.family.accelerator, instance_type.size.accelerators
    assert accelerator is not None, f"{instance_type.name} has {count} of nothing"
    one = {
        "Name": accelerator.name,
        "Manufacturer": accelerator.manufacturer,
        "Count": count,
        "MemoryInfo": {"SizeInMiB": accelerator.memory_mib},
    }
    total = count * accelerator.memory_mib
    match accelerator.kind:
        case "gpu":
            return {"GpuInfo": {"Gpus": [one], "TotalGpuMemoryInMiB": total}}
        case "inference":
            return {
                "InferenceAcceleratorInfo": {
                    "Accelerators": [one],
                    "TotalInferenceMemoryInMiB": total,
                }
            }
        case other:
            raise AssertionError(f"unknown kind of accelerator: {other}")


def _supported(it_is: bool) -> str:
    return "supported" if it_is else "unsupported"
