"""Parameters of served actions that have no effect here: each is refused by name, or told why not.

A caller who sends one would be misled if it were dropped. A false flag, an empty list or an empty
text asks for nothing, and passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sametoken.ec2.kit.actions import Action
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals

REFUSED: Mapping[str, tuple[str, ...]] = {
    "AssignIpv6Addresses": ("Ipv6PrefixCount", "Ipv6Prefixes"),
    "AssignPrivateIpAddresses": ("Ipv4PrefixCount", "Ipv4Prefixes"),
    "AttachNetworkInterface": ("EnaQueueCount", "EnaSrdSpecification"),
    "CancelCapacityReservation": ("ApplyCancellationCharges", "QuoteId"),
    "ModifyInstanceAttribute": ("Kernel", "Ramdisk"),
    "ModifyManagedPrefixList": ("IpamPrefixListResolverSyncEnabled",),
    "ModifyNetworkInterfaceAttribute": (
        "AssociatedSubnetIds", "ConnectionTrackingSpecification", "EnaSrdSpecification",
    ),
    "ModifySubnetAttribute": (
        "CustomerOwnedIpv4Pool", "DisableLniAtDeviceIndex", "EnableLniAtDeviceIndex",
    ),
    "MonitorInstances": ("MetricCategoryIds",),
    "UnassignIpv6Addresses": ("Ipv6Prefixes",),
    "UnassignPrivateIpAddresses": ("Ipv4Prefixes",),
    "UnmonitorInstances": ("MetricCategoryIds",),
}  # fmt: skip

# TAKEN are those for which EC2's answer is the same with them as without, given what is here.
_NONE_MANAGED = "No resource here is managed by a service of AWS's."
_NOTHING_RUNS = "No operating system runs in a simulated machine."
_MANAGED = {"IncludeManagedResources": _NONE_MANAGED}
TAKEN: Mapping[str, Mapping[str, str]] = {
    "DescribeInstanceStatus": _MANAGED,
    "DescribeInstanceTypes": {"IncludeUnsupportedInRegion": "Every Region supports every type."},
    "DescribeInstances": _MANAGED,
    "DescribeLaunchTemplateVersions": _MANAGED,
    "DescribeLaunchTemplates": _MANAGED,
    "DescribeNetworkInterfaces": _MANAGED,
    "DescribeVolumeStatus": _MANAGED,
    "DescribeVolumes": _MANAGED,
    "DescribeVolumesModifications": _MANAGED,
    "DescribeAddressesAttribute": {"Attribute": "There is one attribute, and it is described."},
    "DetachNetworkInterface": {"Force": _NOTHING_RUNS},
    "DetachVolume": {"Force": _NOTHING_RUNS},
    "GetConsoleOutput": {"Latest": "The latest output is always shown."},
    "StopInstances": {"Force": _NOTHING_RUNS, "SkipOsShutdown": _NOTHING_RUNS},
    "TerminateInstances": {"Force": _NOTHING_RUNS, "SkipOsShutdown": _NOTHING_RUNS},
}


def refusing(action: Action) -> Action:
    """The action, whose checks begin with the parameters that it refuses."""
    names = REFUSED.get(action.name, ())
    if not names:
        return action
    validate = action.validate

    def check(request: Request) -> None:
        for name in names:
            if request.params.get(name):
                raise refusals.unsupported(name)
        validate(request)

    return replace(action, validate=check)
