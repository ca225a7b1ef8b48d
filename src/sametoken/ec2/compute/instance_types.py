"""DescribeInstanceTypes and DescribeInstanceTypeOfferings, from the built-in catalogue. No store.

Every zone of every Region offers every type. There are no Outposts, so no offerings either for that
`LocationType`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from sametoken.ec2.kit.actions import Action, Read, stateless
from sametoken.ec2.kit.filters import Getter, compile_filters, member
from sametoken.ec2.kit.paging import page, range_refused, scope_of
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.catalogues import instance_types
from sametoken.resources.catalogues.geography import zones_of
from sametoken.resources.catalogues.instance_types import INSTANCE_TYPES

# The bounds of the model's shapes DITMaxResults and DITOMaxResults.
PAGE_MIN = 5
TYPES_PAGE_MAX = 100
OFFERINGS_PAGE_MAX = 1000

_EBS = "EbsInfo.EbsOptimizedInfo"


def _joined(path: str) -> Getter[Mapping[str, Any]]:
    """Get the members of a list one by one, and all of them as EC2's filters write them: `1,2`."""
    one_by_one = member(path)

    def getter(document: Mapping[str, Any]) -> list[str]:
        values = list(one_by_one(document))
        return [*values, ",".join(values)] if len(values) > 1 else values

    return getter


TYPE_FILTERS: Mapping[str, Getter[Mapping[str, Any]]] = {
    "auto-recovery-supported": member("AutoRecoverySupported"),
    "bare-metal": member("BareMetal"),
    "burstable-performance-supported": member("BurstablePerformanceSupported"),
    "current-generation": member("CurrentGeneration"),
    "dedicated-hosts-supported": member("DedicatedHostsSupported"),
    "ebs-info.attachment-limit-type": member("EbsInfo.AttachmentLimitType"),
    "ebs-info.maximum-ebs-attachments": member("EbsInfo.MaximumEbsAttachments"),
    "ebs-info.ebs-optimized-info.baseline-bandwidth-in-mbps": member(
        f"{_EBS}.BaselineBandwidthInMbps"
    ),
    "ebs-info.ebs-optimized-info.baseline-iops": member(f"{_EBS}.BaselineIops"),
    "ebs-info.ebs-optimized-info.baseline-throughput-in-mbps": member(
        f"{_EBS}.BaselineThroughputInMBps"
    ),
    "ebs-info.ebs-optimized-info.maximum-bandwidth-in-mbps": member(
        f"{_EBS}.MaximumBandwidthInMbps"
    ),
    "ebs-info.ebs-optimized-info.maximum-iops": member(f"{_EBS}.MaximumIops"),
    "ebs-info.ebs-optimized-info.maximum-throughput-in-mbps": member(
        f"{_EBS}.MaximumThroughputInMBps"
    ),
    "ebs-info.ebs-optimized-support": member("EbsInfo.EbsOptimizedSupport"),
    "ebs-info.encryption-support": member("EbsInfo.EncryptionSupport"),
    "ebs-info.nvme-support": member("EbsInfo.NvmeSupport"),
    "free-tier-eligible": member("FreeTierEligible"),
    "hibernation-supported": member("HibernationSupported"),
    "hypervisor": member("Hypervisor"),
    "instance-storage-info.disk.count": member("InstanceStorageInfo.Disks.Count"),
    "instance-storage-info.disk.size-in-gb": member("InstanceStorageInfo.Disks.SizeInGB"),
    "instance-storage-info.disk.type": member("InstanceStorageInfo.Disks.Type"),
    "instance-storage-info.encryption-support": member("InstanceStorageInfo.EncryptionSupport"),
    "instance-storage-info.nvme-support": member("InstanceStorageInfo.NvmeSupport"),
    "instance-storage-info.total-size-in-gb": member("InstanceStorageInfo.TotalSizeInGB"),
    "instance-storage-supported": member("InstanceStorageSupported"),
    "instance-type": member("InstanceType"),
    "memory-info.size-in-mib": member("MemoryInfo.SizeInMiB"),
    "network-info.bandwidth-weightings": member("NetworkInfo.BandwidthWeightings"),
    "network-info.efa-info.maximum-efa-interfaces": member(
        "NetworkInfo.EfaInfo.MaximumEfaInterfaces"
    ),
    "network-info.efa-supported": member("NetworkInfo.EfaSupported"),
    "network-info.ena-support": member("NetworkInfo.EnaSupport"),
    "network-info.flexible-ena-queues-support": member("NetworkInfo.FlexibleEnaQueuesSupport"),
    "network-info.encryption-in-transit-supported": member(
        "NetworkInfo.EncryptionInTransitSupported"
    ),
    "network-info.ipv4-addresses-per-interface": member("NetworkInfo.Ipv4AddressesPerInterface"),
    "network-info.ipv6-addresses-per-interface": member("NetworkInfo.Ipv6AddressesPerInterface"),
    "network-info.ipv6-supported": member("NetworkInfo.Ipv6Supported"),
    "network-info.maximum-network-cards": member("NetworkInfo.MaximumNetworkCards"),
    "network-info.maximum-network-interfaces": member("NetworkInfo.MaximumNetworkInterfaces"),
    "network-info.network-performance": member("NetworkInfo.NetworkPerformance"),
    "nitro-enclaves-support": member("NitroEnclavesSupport"),
    "nitro-tpm-support": member("NitroTpmSupport"),
    "nitro-tpm-info.supported-versions": member("NitroTpmInfo.SupportedVersions"),
    "processor-info.supported-architecture": member("ProcessorInfo.SupportedArchitectures"),
    "processor-info.sustained-clock-speed-in-ghz": member("ProcessorInfo.SustainedClockSpeedInGhz"),
    "processor-info.supported-features": member("ProcessorInfo.SupportedFeatures"),
    "reboot-migration-support": member("RebootMigrationSupport"),
    "supported-boot-mode": member("SupportedBootModes"),
    "supported-root-device-type": member("SupportedRootDeviceTypes"),
    "supported-usage-class": member("SupportedUsageClasses"),
    "supported-virtualization-type": member("SupportedVirtualizationTypes"),
    "vcpu-info.default-cores": member("VCpuInfo.DefaultCores"),
    "vcpu-info.default-threads-per-core": member("VCpuInfo.DefaultThreadsPerCore"),
    "vcpu-info.default-vcpus": member("VCpuInfo.DefaultVCpus"),
    "vcpu-info.valid-cores": _joined("VCpuInfo.ValidCores"),
    "vcpu-info.valid-threads-per-core": _joined("VCpuInfo.ValidThreadsPerCore"),
}

OFFERING_FILTERS: Mapping[str, Getter[Mapping[str, Any]]] = {
    "instance-type": member("InstanceType"),
    "location": member("Location"),
}


@cache
def _described() -> Mapping[str, Document]:
    """Every type in its Describe form. Made once and shared by all answers, so never change it."""
    return {name: instance_types.describe(one) for name, one in INSTANCE_TYPES.items()}


def describe_instance_types(request: Request) -> Document:
    """Return the types asked for, by name or filter; `InvalidInstanceType` for unknown names."""
    params = request.params
    passes = compile_filters(params.get("Filters"), TYPE_FILTERS)
    described = _described()
    wanted = _known(params.get("InstanceTypes") or [])
    found = [described[name] for name in wanted or described if passes(described[name])]
    return _answer(request, "InstanceTypes", found, TYPES_PAGE_MAX)


def _known(names: list[str]) -> list[str]:
    unknown = [name[:200] for name in names if name not in INSTANCE_TYPES]
    if unknown:
        raise ServiceError(
            "InvalidInstanceType",
            f"The following supplied instance types do not exist: [{', '.join(unknown)}]",
        )
    return list(dict.fromkeys(names))


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
    return _answer(request, "InstanceTypeOfferings", found, OFFERINGS_PAGE_MAX)


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


def _answer(request: Request, member_name: str, found: list[Document], page_max: int) -> Document:
    shown = page(
        found,
        lambda one: f"{one['InstanceType']} {one.get('Location', '')}",
        max_results=request.params.get("MaxResults"),
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
