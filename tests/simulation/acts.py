"""Acts: calls without a token on resources that exist, which end, attach, change or read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from exercises import catalogue
from exercises.requests import EXERCISES, end_of
from simulation.ground import Draft
from simulation.history import ApiCall, in_form, numbered

# Prefix of ids -> the action that ends such a resource. Parts, which end with their whole, have
# no entry.
ENDED_BY: Mapping[str, str] = {
    catalogue.prefix_of(one.kind): one.end.partition(" ")[0] for one in EXERCISES if one.end
}
# Prefix of ids -> other actions that may end such a resource, by taking the last of its capacity.
USED_UP_BY: Mapping[str, tuple[str, ...]] = {
    catalogue.prefix_of(kind): tuple(
        one.make for one in EXERCISES if one.kind == kind and one.uses_up
    )
    for kind in {one.kind: None for one in EXERCISES if one.uses_up}
}
ENDING = frozenset(ENDED_BY.values())


def ending(account: str, region: str, id: str) -> ApiCall:
    """Return the call that asks for the end of `id`."""
    action, asked = end_of(id)
    form = catalogue.form_of(action, asked)
    return ApiCall(action, account, region, parameters=in_form(form))


def on_instances(action: str, account: str, region: str, *ids: str) -> ApiCall:
    """Return a call whose only parameters are instances."""
    return ApiCall(action, account, region, parameters=in_form(numbered("InstanceId", ids)))


@dataclass(frozen=True, slots=True)
class Act:
    """A call that callers may make on resources they know.

    `asks` drafts its parameters, and raises `NothingThereError` where callers know no resource for
    it. `weight` is its share among the acts that are possible at that moment.
    """

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
    # Reads, from which callers learn of resources that came with those they asked for.
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
