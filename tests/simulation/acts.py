"""What callers do with what there is: end it, attach it, look at it. None of it takes a token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from exercises import catalogue
from exercises.requests import EXERCISES, end_of
from simulation.ground import Draft
from simulation.history import ApiCall, in_form, numbered

# The action that ends what has ids of a prefix, and is no part of something else.
ENDED_BY: Mapping[str, str] = {
    catalogue.prefix_of(one.kind): one.end.partition(" ")[0] for one in EXERCISES if one.end
}
# What may end a resource of a kind beside that: taking the last of it.
USED_UP_BY: Mapping[str, tuple[str, ...]] = {
    catalogue.prefix_of(kind): tuple(
        one.make for one in EXERCISES if one.kind == kind and one.uses_up
    )
    for kind in {one.kind: None for one in EXERCISES if one.uses_up}
}
ENDING = frozenset(ENDED_BY.values())


def ending(account: str, region: str, id: str) -> ApiCall:
    """The call that asks for the end of `id`."""
    action, asked = end_of(id)
    form = catalogue.form_of(action, asked)
    return ApiCall(action, account, region, parameters=in_form(form))


def on_instances(action: str, account: str, region: str, *ids: str) -> ApiCall:
    """A call that names instances and nothing else."""
    return ApiCall(action, account, region, parameters=in_form(numbered("InstanceId", ids)))


@dataclass(frozen=True, slots=True)
class Act:
    """`asks` drafts the parameters; raises `NothingThereError`. `weight` is how often, beside the
    others that are possible."""

    action: str
    asks: Callable[[Draft], dict[str, str]]
    weight: int = 2


def _one_instance(draft: Draft) -> dict[str, str]:
    return {"InstanceId.1": draft.known("instance")}


def _attach_volume(draft: Draft) -> dict[str, str]:
    device = draft.either("/dev/sdf", "/dev/sdg")
    return {
        "VolumeId": draft.own("volume"),
        "InstanceId": draft.known("instance"),
        "Device": device,
    }


def _attach_interface(draft: Draft) -> dict[str, str]:
    return {
        "NetworkInterfaceId": draft.own("network-interface"),
        "InstanceId": draft.known("instance"),
        "DeviceIndex": "1",
    }


def _associate(draft: Draft) -> dict[str, str]:
    if draft.knows("instance") and draft.happens(0.5):
        return {"AllocationId": draft.known("elastic-ip"), "InstanceId": draft.known("instance")}
    asked = {
        "AllocationId": draft.known("elastic-ip"),
        "NetworkInterfaceId": draft.known("network-interface"),
    }
    if draft.happens(0.3):
        asked["AllowReassociation"] = "false"
    return asked


def _assign(draft: Draft) -> dict[str, str]:
    return {
        "NetworkInterfaceId": draft.known("network-interface"),
        "SecondaryPrivateIpAddressCount": "1",
    }


ACTS = (
    Act("StopInstances", _one_instance, 6),
    Act("StartInstances", _one_instance, 6),
    Act("RebootInstances", _one_instance, 1),
    Act("AttachVolume", _attach_volume, 60),
    Act("DetachVolume", lambda draft: {"VolumeId": draft.known("volume")}, 2),
    Act("AttachNetworkInterface", _attach_interface, 60),
    Act("DetachNetworkInterface", lambda draft: {"AttachmentId": draft.heard("eni-attach")}, 3),
    Act("AssociateAddress", _associate, 30),
    Act(
        "DisassociateAddress",
        lambda draft: {"AssociationId": draft.known("elastic-ip-association")},
        3,
    ),
    Act("AssignPrivateIpAddresses", _assign, 1),
    # Reads: callers learn of what comes with what they asked for.
    Act("DescribeInstances", _one_instance),
    Act("DescribeVolumes", lambda draft: {"VolumeId.1": draft.known("volume")}, 1),
    Act(
        "DescribeNetworkInterfaces",
        lambda draft: {"NetworkInterfaceId.1": draft.known("network-interface")},
        1,
    ),
    Act("DescribeNatGateways", lambda draft: {"NatGatewayId.1": draft.known("natgateway")}, 1),
    Act("DescribeVpcEndpoints", lambda draft: {"VpcEndpointId.1": draft.known("vpc-endpoint")}, 1),
    Act("DescribeAddresses", lambda draft: {"AllocationId.1": draft.known("elastic-ip")}, 1),
)
