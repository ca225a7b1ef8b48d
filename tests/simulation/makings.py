"""Everything callers make: a row an action. A new kind joins by its row here.

A row says how to ask for one, from what there is, and where the answer names what was made. What
is asked is marked with the intent's name, as a tag or in a text of its own, so that the auditor
finds in every row what it was made for. Other parameters under the same token come by themselves:
every new intent has another mark.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulation import drafts
from simulation.ground import Draft

Document = dict[str, Any]
Asking = Callable[[Draft], dict[str, str]]
Telling = Callable[[Document], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Making:
    """`asks` drafts the parameters (raises `NothingThereError`), without token and tags.

    `told` are the ids that an accepted answer names as made. `tags` is the resource type whose tag
    carries the mark, in what EC2 calls `tag_list` here; None where `asks` puts it elsewhere.
    `zone` is the parameter that scopes the token, where EC2 scopes it by zone. `needs` are actions
    that make what it names. `takes_token` is as in EC2's model. `makes` False: it changes what
    others made. `standing`: EC2 answers an equal request with what is there.
    """

    action: str
    asks: Asking
    told: Telling
    tags: str | None = None
    tag_list: str = "TagSpecification"
    zone: str | None = None
    needs: tuple[str, ...] = ()
    takes_token: bool = True
    makes: bool = True
    standing: bool = False

    def drafted(self, draft: Draft) -> dict[str, str]:
        """The parameters of a new intent, marked with its name."""
        asked = self.asks(draft)
        if self.tags is not None:
            asked[f"{self.tag_list}.1.ResourceType"] = self.tags
            asked[f"{self.tag_list}.1.Tag.1.Key"] = "intent"
            asked[f"{self.tag_list}.1.Tag.1.Value"] = draft.mark
        return asked


def at(path: str) -> Telling:
    """The text at a path like `RouteTable.RouteTableId`, or all under one like `Items[].Id`."""
    steps = path.split(".")

    def told(result: Document) -> tuple[str, ...]:
        found: list[Any] = [result]
        for step in steps:
            name = step.removesuffix("[]")
            found = [one[name] for one in found]
            if step.endswith("[]"):
                found = [inner for many in found for inner in many]
        return tuple(map(str, found))

    return told


def _told_version(result: Document) -> tuple[str, ...]:
    version = result["LaunchTemplateVersion"]
    return (f"{version['LaunchTemplateId']}:{version['VersionNumber']}",)


_MAKINGS = (
    Making(
        "RunInstances",
        drafts.launch,
        at("Instances[].InstanceId"),
        "instance",
        zone="Placement.AvailabilityZone",
    ),
    Making("CreateVolume", drafts.volume, at("VolumeId"), "volume", zone="AvailabilityZone"),
    Making(
        "CreateNetworkInterface",
        drafts.interface,
        at("NetworkInterface.NetworkInterfaceId"),
        "network-interface",
    ),
    Making("CreateRouteTable", drafts.in_vpc, at("RouteTable.RouteTableId"), "route-table"),
    Making("CreateNetworkAcl", drafts.in_vpc, at("NetworkAcl.NetworkAclId"), "network-acl"),
    Making(
        "CreateEgressOnlyInternetGateway",
        drafts.in_vpc,
        at("EgressOnlyInternetGateway.EgressOnlyInternetGatewayId"),
        "egress-only-internet-gateway",
    ),
    Making(
        "CreateLaunchTemplate",
        drafts.template,
        at("LaunchTemplate.LaunchTemplateId"),
        "launch-template",
    ),
    Making(
        "CreateLaunchTemplateVersion",
        drafts.template_version,
        _told_version,
        needs=("CreateLaunchTemplate",),
    ),
    Making(
        "ModifyLaunchTemplate",
        drafts.default_version,
        at("LaunchTemplate.LaunchTemplateId"),
        needs=("CreateLaunchTemplate",),
        makes=False,
    ),
    Making("CreateNatGateway", drafts.nat_gateway, at("NatGateway.NatGatewayId"), "natgateway"),
    Making("CreateVpcEndpoint", drafts.endpoint, at("VpcEndpoint.VpcEndpointId"), "vpc-endpoint"),
    Making(
        "CreateManagedPrefixList", drafts.prefix_list, at("PrefixList.PrefixListId"), "prefix-list"
    ),
    Making(
        "CreateCapacityReservation",
        drafts.reserved,
        at("CapacityReservation.CapacityReservationId"),
        "capacity-reservation",
        "TagSpecifications",
        zone="AvailabilityZone",
    ),
    Making(
        "CreateFlowLogs",
        drafts.flow_logs,
        at("FlowLogIds[]"),
        "vpc-flow-log",
        needs=("CreateNetworkInterface",),
    ),
    Making(
        "CreateCapacityReservationBySplitting",
        drafts.split,
        at("DestinationCapacityReservation.CapacityReservationId"),
        "capacity-reservation",
        needs=("CreateCapacityReservation",),
    ),
    Making(
        "MoveCapacityReservationInstances",
        drafts.moved_capacity,
        at("DestinationCapacityReservation.CapacityReservationId"),
        needs=("CreateCapacityReservation",),
        makes=False,
    ),
    Making(
        "ModifyInstanceCreditSpecification",
        drafts.credits,
        at("SuccessfulInstanceCreditSpecifications[].InstanceId"),
        needs=("RunInstances",),
        makes=False,
    ),
    Making(
        "CopyVolumes",
        drafts.copied_volume,
        at("Volumes[].VolumeId"),
        "volume",
        needs=("CreateVolume",),
    ),
    Making(
        "CreateCarrierGateway",
        drafts.in_vpc,
        at("CarrierGateway.CarrierGatewayId"),
        "carrier-gateway",
    ),
    Making("CopyImage", drafts.copied_image, at("ImageId"), "image", needs=("RunInstances",)),
    # Those below take no token in EC2: a repeat makes another, or is refused.
    Making(
        "CreateImage",
        drafts.image_of_instance,
        at("ImageId"),
        "image",
        needs=("RunInstances",),
        takes_token=False,
    ),
    Making(
        "RegisterImage",
        drafts.image_of_snapshot,
        at("ImageId"),
        "image",
        needs=("CreateSnapshot",),
        takes_token=False,
    ),
    Making(
        "CreateSnapshot",
        drafts.snapshot,
        at("SnapshotId"),
        "snapshot",
        needs=("CreateVolume",),
        takes_token=False,
    ),
    Making(
        "CopySnapshot",
        drafts.copied_snapshot,
        at("SnapshotId"),
        "snapshot",
        needs=("CreateSnapshot",),
        takes_token=False,
    ),
    Making(
        "AllocateAddress", drafts.nothing_more, at("AllocationId"), "elastic-ip", takes_token=False
    ),
    Making(
        "AuthorizeSecurityGroupIngress",
        drafts.rule,
        at("SecurityGroupRules[].SecurityGroupRuleId"),
        "security-group-rule",
        takes_token=False,
    ),
    Making("CreateVpc", drafts.network, at("Vpc.VpcId"), "vpc", takes_token=False),
    Making(
        "CreateSubnet",
        drafts.subnet,
        at("Subnet.SubnetId"),
        "subnet",
        needs=("CreateVpc",),
        takes_token=False,
    ),
    Making(
        "CreateSecurityGroup",
        drafts.security_group,
        at("GroupId"),
        "security-group",
        takes_token=False,
    ),
    Making("ImportKeyPair", drafts.key_pair, at("KeyPairId"), "key-pair", takes_token=False),
    Making(
        "CreateInternetGateway",
        drafts.nothing_more,
        at("InternetGateway.InternetGatewayId"),
        "internet-gateway",
        takes_token=False,
    ),
    Making(
        "CreateDhcpOptions",
        drafts.dhcp_options,
        at("DhcpOptions.DhcpOptionsId"),
        "dhcp-options",
        takes_token=False,
    ),
    Making(
        "CreateVpnGateway",
        drafts.vpn_gateway,
        at("VpnGateway.VpnGatewayId"),
        "vpn-gateway",
        takes_token=False,
    ),
    Making(
        "CreateCustomerGateway",
        drafts.customer_gateway,
        at("CustomerGateway.CustomerGatewayId"),
        "customer-gateway",
        takes_token=False,
        standing=True,
    ),
    Making(
        "CreateVpnConnection",
        drafts.vpn_connection,
        at("VpnConnection.VpnConnectionId"),
        "vpn-connection",
        needs=("CreateVpnGateway", "CreateCustomerGateway"),
        takes_token=False,
        standing=True,
    ),
)
MAKINGS: Mapping[str, Making] = {making.action: making for making in _MAKINGS}

# What meets at the same rows, so that it says most when it is mixed: most schedules begin with one.
MEETINGS = (
    ("RunInstances", "CreateVolume"),
    ("CreateVolume", "RunInstances", "CreateSnapshot"),
    ("RunInstances", "CreateNetworkInterface"),
    ("RunInstances", "CreateNetworkInterface", "AllocateAddress"),
    ("RunInstances", "CreateCapacityReservation"),
    ("CreateCapacityReservationBySplitting", "MoveCapacityReservationInstances"),
    ("RunInstances", "CreateLaunchTemplate", "CreateLaunchTemplateVersion"),
    ("AllocateAddress", "CreateNatGateway", "CreateNetworkInterface"),
    ("CreateNetworkInterface", "CreateFlowLogs"),
    ("CreateVolume", "CreateSnapshot", "RegisterImage"),
    ("CreateRouteTable", "CreateVpcEndpoint"),
    ("CreateVpc", "CreateSubnet", "CreateSecurityGroup"),
    ("CreateVpnConnection", "ImportKeyPair"),
)
