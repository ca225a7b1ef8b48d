"""DescribeInstanceTypes and DescribeInstanceTypeOfferings, from the built-in catalogue. No store.

Every zone of every Region offers every type. There are no Outposts, so no offerings either for that
`LocationType`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sametoken.ec2.kit.actions import Action, Read, stateless
from sametoken.ec2.kit.filters import Getter, compile_filters, member
from sametoken.ec2.kit.paging import page, range_refused, scope_of
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.catalogues import instance_types
from sametoken.resources.catalogues.geography import zones_of
from sametoken.resources.catalogues.instance_types import INSTANCE_TYPES, InstanceType

T = TypeVar("T")

# The bounds of the model's shapes DITMaxResults and DITOMaxResults.
PAGE_MIN = 5
TYPES_PAGE_MAX = 100
OFFERINGS_PAGE_MAX = 1000


def _told(path: str, inner: str = "") -> Getter[InstanceType]:
    """Get a member of a type's description, or in a list of documents one member of each."""
    values = member(f"value.{inner}" if inner else "value")
    return lambda one: values({"value": one.told(path)})


def _joined(path: str) -> Getter[InstanceType]:
    """Get the members of a list one by one, and all of them as EC2's filters write them: `1,2`."""
    one_by_one = _told(path)

    def getter(one: InstanceType) -> list[str]:
        values = list(one_by_one(one))
        return [*values, ",".join(values)] if len(values) > 1 else values

    return getter


TYPE_FILTERS: Mapping[str, Getter[InstanceType]] = {
    "auto-recovery-supported": _told("AutoRecoverySupported"),
    "bare-metal": _told("BareMetal"),
    "burstable-performance-supported": _told("BurstablePerformanceSupported"),
    "current-generation": _told("CurrentGeneration"),
    "dedicated-hosts-supported": _told("DedicatedHostsSupported"),
    "ebs-info.attachment-limit-type": _told("EbsInfo.AttachmentLimitType"),
    "ebs-info.maximum-ebs-attachments": _told("EbsInfo.MaximumEbsAttachments"),
    "ebs-info.ebs-optimized-info.baseline-bandwidth-in-mbps": _told(
        "EbsInfo.EbsOptimizedInfo.BaselineBandwidthInMbps"
    ),
    "ebs-info.ebs-optimized-info.baseline-iops": _told("EbsInfo.EbsOptimizedInfo.BaselineIops"),
    "ebs-info.ebs-optimized-info.baseline-throughput-in-mbps": _told(
        "EbsInfo.EbsOptimizedInfo.BaselineThroughputInMBps"
    ),
    "ebs-info.ebs-optimized-info.maximum-bandwidth-in-mbps": _told(
        "EbsInfo.EbsOptimizedInfo.MaximumBandwidthInMbps"
    ),
    "ebs-info.ebs-optimized-info.maximum-iops": _told("EbsInfo.EbsOptimizedInfo.MaximumIops"),
    "ebs-info.ebs-optimized-info.maximum-throughput-in-mbps": _told(
        "EbsInfo.EbsOptimizedInfo.MaximumThroughputInMBps"
    ),
    "ebs-info.ebs-optimized-support": _told("EbsInfo.EbsOptimizedSupport"),
    "ebs-info.encryption-support": _told("EbsInfo.EncryptionSupport"),
    "ebs-info.nvme-support": _told("EbsInfo.NvmeSupport"),
    "free-tier-eligible": _told("FreeTierEligible"),
    "hibernation-supported": _told("HibernationSupported"),
    "hypervisor": _told("Hypervisor"),
    "instance-storage-info.disk.count": _told("InstanceStorageInfo.Disks", "Count"),
    "instance-storage-info.disk.size-in-gb": _told("InstanceStorageInfo.Disks", "SizeInGB"),
    "instance-storage-info.disk.type": _told("InstanceStorageInfo.Disks", "Type"),
    "instance-storage-info.encryption-support": _told("InstanceStorageInfo.EncryptionSupport"),
    "instance-storage-info.nvme-support": _told("InstanceStorageInfo.NvmeSupport"),
    "instance-storage-info.total-size-in-gb": _told("InstanceStorageInfo.TotalSizeInGB"),
    "instance-storage-supported": _told("InstanceStorageSupported"),
    "instance-type": _told("InstanceType"),
    "memory-info.size-in-mib": _told("MemoryInfo.SizeInMiB"),
    "network-info.bandwidth-weightings": _told("NetworkInfo.BandwidthWeightings"),
    "network-info.efa-info.maximum-efa-interfaces": _told(
        "NetworkInfo.EfaInfo.MaximumEfaInterfaces"
    ),
    "network-info.efa-supported": _told("NetworkInfo.EfaSupported"),
    "network-info.ena-support": _told("NetworkInfo.EnaSupport"),
    "network-info.flexible-ena-queues-support": _told("NetworkInfo.FlexibleEnaQueuesSupport"),
    "network-info.encryption-in-transit-supported": _told(
        "NetworkInfo.EncryptionInTransitSupported"
    ),
    "network-info.ipv4-addresses-per-interface": _told("NetworkInfo.Ipv4AddressesPerInterface"),
    "network-info.ipv6-addresses-per-interface": _told("NetworkInfo.Ipv6AddressesPerInterface"),
    "network-info.ipv6-supported": _told("NetworkInfo.Ipv6Supported"),
    "network-info.maximum-network-cards": _told("NetworkInfo.MaximumNetworkCards"),
    "network-info.maximum-network-interfaces": _told("NetworkInfo.MaximumNetworkInterfaces"),
    "network-info.network-performance": _told("NetworkInfo.NetworkPerformance"),
    "nitro-enclaves-support": _told("NitroEnclavesSupport"),
    "nitro-tpm-support": _told("NitroTpmSupport"),
    "nitro-tpm-info.supported-versions": _told("NitroTpmInfo.SupportedVersions"),
    "processor-info.supported-architecture": _told("ProcessorInfo.SupportedArchitectures"),
    "processor-info.sustained-clock-speed-in-ghz": _told("ProcessorInfo.SustainedClockSpeedInGhz"),
    "processor-info.supported-features": _told("ProcessorInfo.SupportedFeatures"),
    "reboot-migration-support": _told("RebootMigrationSupport"),
    "supported-boot-mode": _told("SupportedBootModes"),
    "supported-root-device-type": _told("SupportedRootDeviceTypes"),
    "supported-usage-class": _told("SupportedUsageClasses"),
    "supported-virtualization-type": _told("SupportedVirtualizationTypes"),
    "vcpu-info.default-cores": _told("VCpuInfo.DefaultCores"),
    "vcpu-info.default-threads-per-core": _told("VCpuInfo.DefaultThreadsPerCore"),
    "vcpu-info.default-vcpus": _told("VCpuInfo.DefaultVCpus"),
    "vcpu-info.valid-cores": _joined("VCpuInfo.ValidCores"),
    "vcpu-info.valid-threads-per-core": _joined("VCpuInfo.ValidThreadsPerCore"),
}

OFFERING_FILTERS: Mapping[str, Getter[Mapping[str, Any]]] = {
    "instance-type": member("InstanceType"),
    "location": member("Location"),
}


def describe_instance_types(request: Request) -> Document:
    """Return the types asked for, by name or filter; `InvalidInstanceType` for unknown names."""
    params = request.params
    passes = compile_filters(params.get("Filters"), TYPE_FILTERS)
    named = _known(params.get("InstanceTypes") or [])
    found = [one for one in named or INSTANCE_TYPES.values() if passes(one)]
    answer = _answer(request, "InstanceTypes", found, lambda one: one.name, TYPES_PAGE_MAX)
    # Describe the types of this page alone.
    shown = [instance_types.describe(one) for one in answer["InstanceTypes"]]
    return {**answer, "InstanceTypes": shown}


def _known(names: list[str]) -> list[InstanceType]:
    unknown = [name[:200] for name in names if name not in INSTANCE_TYPES]
    if unknown:
        raise ServiceError(
            "InvalidInstanceType",
            f"The following supplied instance types do not exist: [{', '.join(unknown)}]",
        )
    return [INSTANCE_TYPES[name] for name in dict.fromkeys(names)]


def describe_instance_type_offerings(request: Request) -> Document:
    """Return the types that each location offers; `LocationType` is `region` unless given."""
    params = request.params
    passes = compile_filters(params.get("Filters"), OFFERING_FILTERS)
    location_type = params.get("LocationType") or "region"
    offerings = (
        {"InstanceType": name, "LocationType": location_type, "Location": location}
        for location in _locations(request.region, location_type)
        for name in INSTANCE_TYPES
    )
    found = [one for one in offerings if passes(one)]
    return _answer(request, "InstanceTypeOfferings", found, _place, OFFERINGS_PAGE_MAX)


def _place(offering: Document) -> str:
    return f"{offering['InstanceType']} {offering['Location']}"


def _locations(region: str, location_type: str) -> list[str]:
    match location_type:
        case "region":
            return [region]
        case "availability-zone":
            return [zone.name for zone in zones_of(region)]
        case "availability-zone-id":
            return [zone.id for zone in zones_of(region)]
        case "outpost":
            return []
        case other:
            raise refusals.invalid_value("LocationType", other[:200])


def _answer(
    request: Request, member_name: str, found: list[T], place: Callable[[T], str], page_max: int
) -> Document:
    """A page of what was found, in the order of `place`; EC2 answers no more than one at once."""
    shown = page(
        found,
        place,
        max_results=request.params.get("MaxResults", page_max),
        next_token=request.params.get("NextToken"),
        scope=scope_of(request),
        minimum=PAGE_MIN,
        maximum=page_max,
        refuse=range_refused,
    )
    answer: Document = {member_name: shown.items}
    return answer if shown.next_token is None else answer | {"NextToken": shown.next_token}


ACTIONS: tuple[Action, ...] = (
    Read("DescribeInstanceTypes", stateless(describe_instance_types)),
    Read("DescribeInstanceTypeOfferings", stateless(describe_instance_type_offerings)),
)
