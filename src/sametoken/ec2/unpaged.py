"""Describes of which EC2 takes ids or a size of page, and refuses both together.

Sources: the API reference, which says so of instances and interfaces, and refusals that clients of
EC2 have met, whose words are repeated here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sametoken.ec2.protocol import refusals

# Each action's parameter of ids, with the words of the refusal.
_OLDER: Final = "The parameter {} cannot be used with the parameter maxResults"
_NEWER: Final = "The parameter {} cannot be used with the parameter MaxResults"
_REFUSED: Final[Mapping[str, tuple[str, str]]] = {
    "DescribeImages": ("ImageIds", _OLDER.format("imageIdsSet")),
    "DescribeInstanceCreditSpecifications": ("InstanceIds", _OLDER.format("instancesSet")),
    "DescribeInstanceStatus": ("InstanceIds", _OLDER.format("instancesSet")),
    "DescribeInstances": ("InstanceIds", _OLDER.format("instancesSet")),
    "DescribeNetworkInterfaces": ("NetworkInterfaceIds", _NEWER.format("NetworkInterfaceIds")),
    "DescribeSecurityGroups": ("GroupIds", _NEWER.format("GroupIds")),
    "DescribeSnapshots": ("SnapshotIds", _OLDER.format("snapshotSet")),
    "DescribeSubnets": ("SubnetIds", _NEWER.format("SubnetIds")),
    "DescribeVolumes": ("VolumeIds", _OLDER.format("volumeSet")),
    "DescribeVpcs": ("VpcIds", _NEWER.format("VpcIds")),
}


def check(action: str, params: Mapping[str, Any]) -> None:
    """Raise InvalidParameterCombination for a page of a list of ids."""
    ids, refused = _REFUSED.get(action, ("", ""))
    if ids and "MaxResults" in params and params.get(ids):
        raise refusals.invalid_combination(refused)
