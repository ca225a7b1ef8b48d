"""What callers do with what there is: end it, attach it, look at it. None of it takes a token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulation.ground import Draft
from simulation.history import ApiCall, in_form, numbered, prefix_of

# How each kind is ended, by the prefix of its ids: the action and the parameter that names it.
_ENDED_BY: Mapping[str, tuple[str, str]] = {
    "i": ("TerminateInstances", "InstanceId.1"),
    "vol": ("DeleteVolume", "VolumeId"),
    "eni": ("DeleteNetworkInterface", "NetworkInterfaceId"),
    "rtb": ("DeleteRouteTable", "RouteTableId"),
    "acl": ("DeleteNetworkAcl", "NetworkAclId"),
    "eigw": ("DeleteEgressOnlyInternetGateway", "EgressOnlyInternetGatewayId"),
    "cagw": ("DeleteCarrierGateway", "CarrierGatewayId"),
    "lt": ("DeleteLaunchTemplate", "LaunchTemplateId"),
    "nat": ("DeleteNatGateway", "NatGatewayId"),
    "vpce": ("DeleteVpcEndpoints", "VpcEndpointId.1"),
    "pl": ("DeleteManagedPrefixList", "PrefixListId"),
    "cr": ("CancelCapacityReservation", "CapacityReservationId"),
    "fl": ("DeleteFlowLogs", "FlowLogId.1"),
    "ami": ("DeregisterImage", "ImageId"),
    "snap": ("DeleteSnapshot", "SnapshotId"),
    "eipalloc": ("ReleaseAddress", "AllocationId"),
    "vpc": ("DeleteVpc", "VpcId"),
    "subnet": ("DeleteSubnet", "SubnetId"),
    "sg": ("DeleteSecurityGroup", "GroupId"),
    "key": ("DeleteKeyPair", "KeyPairId"),
    "igw": ("DeleteInternetGateway", "InternetGatewayId"),
    "dopt": ("DeleteDhcpOptions", "DhcpOptionsId"),
    "vgw": ("DeleteVpnGateway", "VpnGatewayId"),
    "cgw": ("DeleteCustomerGateway", "CustomerGatewayId"),
    "vpn": ("DeleteVpnConnection", "VpnConnectionId"),
    "sgr": ("RevokeSecurityGroupIngress", "SecurityGroupRuleId.1"),
}
# What an end also needs to be told: the group that a rule is of.
_ALSO_SAID: Mapping[str, dict[str, str]] = {"sgr": {"GroupName": "default"}}
ENDED_BY: Mapping[str, str] = {prefix: action for prefix, (action, _) in _ENDED_BY.items()}
# What may end a resource of a kind beside that: taking the last of it.
USED_UP_BY: Mapping[str, tuple[str, ...]] = {
    "cr": ("CreateCapacityReservationBySplitting", "MoveCapacityReservationInstances")
}
ENDING = frozenset(ENDED_BY.values())


def ending(account: str, region: str, id: str) -> ApiCall:
    """The call that asks for the end of `id`."""
    prefix = prefix_of(id) or ""
    action, parameter = _ENDED_BY[prefix]
    said = {parameter: id, **_ALSO_SAID.get(prefix, {})}
    return ApiCall(action, account, region, parameters=in_form(said))


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
    return {"InstanceId.1": draft.known("i")}


def _attach_volume(draft: Draft) -> dict[str, str]:
    device = draft.either("/dev/sdf", "/dev/sdg")
    return {"VolumeId": draft.own("vol"), "InstanceId": draft.known("i"), "Device": device}


def _attach_interface(draft: Draft) -> dict[str, str]:
    return {
        "NetworkInterfaceId": draft.own("eni"),
        "InstanceId": draft.known("i"),
        "DeviceIndex": "1",
    }


def _associate(draft: Draft) -> dict[str, str]:
    if draft.knows("i") and draft.happens(0.5):
        return {"AllocationId": draft.known("eipalloc"), "InstanceId": draft.known("i")}
    asked = {"AllocationId": draft.known("eipalloc"), "NetworkInterfaceId": draft.known("eni")}
    if draft.happens(0.3):
        asked["AllowReassociation"] = "false"
    return asked


def _assign(draft: Draft) -> dict[str, str]:
    return {"NetworkInterfaceId": draft.known("eni"), "SecondaryPrivateIpAddressCount": "1"}


ACTS = (
    Act("StopInstances", _one_instance, 6),
    Act("StartInstances", _one_instance, 6),
    Act("RebootInstances", _one_instance, 1),
    Act("AttachVolume", _attach_volume, 60),
    Act("DetachVolume", lambda draft: {"VolumeId": draft.known("vol")}, 2),
    Act("AttachNetworkInterface", _attach_interface, 60),
    Act("DetachNetworkInterface", lambda draft: {"AttachmentId": draft.known("eni-attach")}, 3),
    Act("AssociateAddress", _associate, 30),
    Act("DisassociateAddress", lambda draft: {"AssociationId": draft.known("eipassoc")}, 3),
    Act("AssignPrivateIpAddresses", _assign, 1),
    # Reads: callers learn of what comes with what they asked for.
    Act("DescribeInstances", _one_instance),
    Act("DescribeVolumes", lambda draft: {"VolumeId.1": draft.known("vol")}, 1),
    Act("DescribeNetworkInterfaces", lambda draft: {"NetworkInterfaceId.1": draft.known("eni")}, 1),
    Act("DescribeNatGateways", lambda draft: {"NatGatewayId.1": draft.known("nat")}, 1),
    Act("DescribeVpcEndpoints", lambda draft: {"VpcEndpointId.1": draft.known("vpce")}, 1),
    Act("DescribeAddresses", lambda draft: {"AllocationId.1": draft.known("eipalloc")}, 1),
)
