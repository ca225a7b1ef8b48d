"""The intent of a token: always the same, because it follows from the token alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from chaos.cluster import Account
from plane import IMAGE

# Percent of creates. Launches are few: their work goes on behind the reply, and costs most.
MIX: Mapping[str, int] = {
    "RunInstances": 6,
    "CreateVolume": 44,
    "CreateNetworkInterface": 10,
    "CreateRouteTable": 20,
    "CreateNetworkAcl": 20,
}
# The action that removes each create's resource, and its parameter for the id.
REMOVED_BY: Mapping[str, tuple[str, str]] = {
    "RunInstances": ("TerminateInstances", "InstanceId.{}"),
    "CreateVolume": ("DeleteVolume", "VolumeId"),
    "CreateNetworkInterface": ("DeleteNetworkInterface", "NetworkInterfaceId"),
    "CreateRouteTable": ("DeleteRouteTable", "RouteTableId"),
    "CreateNetworkAcl": ("DeleteNetworkAcl", "NetworkAclId"),
}
_NOUNS = {"CreateRouteTable": "route-table", "CreateNetworkAcl": "network-acl"}
# Numbers of instances that a launch asks for.
_LAUNCHED = (1, 1, 1, 2)

Parameters = dict[str, str]


@dataclass(frozen=True, slots=True)
class Intent:
    """A create: its action, its parameters, and `other` ones for the same token."""

    action: str
    token: str
    parameters: Parameters
    other: Parameters


def intent_of(seed: int, account: Account, token: str) -> Intent:
    """The intent of `token` in `account`."""
    random = Random(f"{seed}/{account.keys.account}/{token}")
    [action] = random.choices(list(MIX), list(MIX.values()))
    zone, subnet = random.choice(account.subnets)
    named = {"ClientToken": token}
    match action:
        case "RunInstances":
            count = str(random.choice(_LAUNCHED))
            asked = {
                "ImageId": IMAGE, "InstanceType": "t3.micro", "SubnetId": subnet,
                "MinCount": count, "MaxCount": count,
            }  # fmt: skip
            differs = {"InstanceType": "t3.small"}
        case "CreateVolume":
            asked = {"AvailabilityZone": zone, "Size": str(random.randint(1, 9))}
            differs = {"Size": "10"}
        case "CreateNetworkInterface":
            asked, differs = {"SubnetId": subnet}, {"Description": "another"}
        case "CreateRouteTable" | "CreateNetworkAcl":
            asked, differs = {"VpcId": account.vpc}, _tagged(_NOUNS[action])
        case _:
            raise AssertionError(f"{action} is not in the mix")
    return Intent(action, token, {**asked, **named}, {**asked, **differs, **named})


def _tagged(noun: str) -> Parameters:
    return {
        "TagSpecification.1.ResourceType": noun,
        "TagSpecification.1.Tag.1.Key": "other",
        "TagSpecification.1.Tag.1.Value": "yes",
    }


def removal(action: str, ids: tuple[str, ...]) -> tuple[str, Parameters]:
    """The request that removes what `action` made; instances several at once."""
    remover, name = REMOVED_BY[action]
    return remover, {name.format(number): id for number, id in enumerate(ids, 1)}
