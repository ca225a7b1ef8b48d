"""What the very same request does a second time, with no token to say that it is the same.

EC2 gives a client token to few of its actions. This table says of all that change anything what a
repeat does when it has none: a row for each action, and a row more for a way of asking that ends
otherwise. The tests ask every row twice, having lost the first reply, and docs/actions.md shows
them. With a token, or where invocations stand in for tokens, every repeat is `SAME`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Does(StrEnum):
    """What becomes of the repeat."""

    DOUBLE = "double"
    CONFLICT = "conflict"
    SAME = "same"


# How we know what EC2 does, from the strongest to the weakest.
EVIDENCE: Mapping[str, str] = {
    "NAT": "answers of EC2 itself, captured by a third party",
    "DOC": "the EC2 developer guide",
    "MOD": "the API reference, as botocore's model carries it",
    "ERR": "the API's list of error codes",
    "FLD": "seen in the field: an issue, or what a client's source provides for",
    "DER": "derived: no source says it outright",
    "MEM": "general knowledge, not confirmed by a source",
}


@dataclass(frozen=True, slots=True)
class Repeat:
    """One row. `asked` is an action, and after a blank the way it is asked, if that matters.

    `code` is the refusal of a `CONFLICT`. An action on several resources may tell it beside what
    it did, in an answer that succeeds.
    """

    asked: str
    does: Does
    evidence: str
    code: str = ""

    @property
    def action(self) -> str:
        return self.asked.partition(" ")[0]

    @property
    def way(self) -> str:
        return self.asked.partition(" ")[2]


def _doubling(evidence: str, *asked: str) -> Iterator[Repeat]:
    return (Repeat(one, Does.DOUBLE, evidence) for one in asked)


def _same(evidence: str, *asked: str) -> Iterator[Repeat]:
    return (Repeat(one, Does.SAME, evidence) for one in asked)


def _conflicting(evidence: str, codes: Mapping[str, str]) -> Iterator[Repeat]:
    return (Repeat(one, Does.CONFLICT, evidence, code) for one, code in codes.items())


REPEATS: tuple[Repeat, ...] = (
    *_doubling("NAT", "CreateRouteTable", "CreateNetworkAcl"),
    # It ends `failed`, its address being the first one's (terraform-provider-aws, issue 709).
    *_doubling("FLD", "CreateNatGateway with the same address"),
    # The model has no token for these, or has one that may be left out, and no natural key.
    *_doubling(
        "DER",
        "AllocateAddress",
        "AssignPrivateIpAddresses by number",
        "CopySnapshot",
        "CopyVolumes",
        "CreateCapacityReservation",
        "CreateCapacityReservationBySplitting",
        "CreateDhcpOptions",
        "CreateEgressOnlyInternetGateway",
        "CreateInternetGateway",
        "CreateLaunchTemplateVersion",
        "CreateManagedPrefixList",
        "CreateNatGateway",
        "CreateNetworkInterface",
        "CreateSnapshot",
        "CreateVolume",
        "CreateVpc",
        "CreateVpcEndpoint",
        "CreateVpnGateway",
        "RunInstances",
    ),
    *_same(
        "NAT",
        "CreateRoute",
        "DeleteKeyPair",
        "DeleteKeyPair by id",
        "StartInstances",
        "StopInstances",
    ),
    *_same(
        "DOC",
        "AssociateAddress",
        "CreateVpnConnection",
        "DisassociateAddress",
        "ReplaceNetworkAclAssociation",
        "TerminateInstances",
    ),
    *_same(
        "MOD",
        "CreateCustomerGateway",
        "CreateTags",
        "RevokeSecurityGroupEgress in the default VPC",
        "RevokeSecurityGroupIngress in the default VPC",
    ),
    *_same(
        "DER",
        "AssignPrivateIpAddresses by address",
        "AssociateDhcpOptions",
        "DeleteNatGateway",
        "DeleteTags",
        "DeleteVpnConnection",
        "DisableVgwRoutePropagation",
        "EnableVgwRoutePropagation",
        "ModifyImageAttribute",
        "ModifyInstanceAttribute",
        "ModifyInstanceCreditSpecification",
        "ModifyLaunchTemplate",
        "ModifyManagedPrefixList",
        "ModifyNetworkInterfaceAttribute",
        "ModifySecurityGroupRules",
        "ModifySubnetAttribute",
        "ModifyVpcAttribute",
        "ModifyVpcEndpoint",
        "MonitorInstances",
        "RebootInstances",
        "ReplaceNetworkAclEntry",
        "ReplaceRoute",
        "UnmonitorInstances",
        "UpdateSecurityGroupRuleDescriptionsEgress",
        "UpdateSecurityGroupRuleDescriptionsIngress",
    ),
    *_same("MEM", "AssociateRouteTable"),
    *_conflicting(
        "NAT",
        {
            "CreateKeyPair": "InvalidKeyPair.Duplicate",
            "DeregisterImage": "InvalidAMIID.Unavailable",
        },
    ),
    *_conflicting(
        "MOD",
        {
            "ReleaseAddress": "InvalidAllocationID.NotFound",
            "RevokeSecurityGroupEgress": "InvalidPermission.NotFound",
            "RevokeSecurityGroupIngress": "InvalidPermission.NotFound",
        },
    ),
    *_conflicting(
        "ERR",
        {
            "AttachInternetGateway": "Resource.AlreadyAssociated",
            "AttachNetworkInterface": "InvalidNetworkInterface.InUse",
            "AttachVolume": "VolumeInUse",
            "AttachVpnGateway": "VpnGatewayAttachmentLimitExceeded",
            "AuthorizeSecurityGroupEgress": "InvalidPermission.Duplicate",
            "AuthorizeSecurityGroupIngress": "InvalidPermission.Duplicate",
            "CreateDefaultSubnet": "DefaultSubnetAlreadyExistsInAvailabilityZone",
            "CreateDefaultVpc": "DefaultVpcAlreadyExists",
            "CreateFlowLogs": "FlowLogAlreadyExists",
            "CreateImage": "InvalidAMIName.Duplicate",
            "CreateLaunchTemplate": "InvalidLaunchTemplateName.AlreadyExistsException",
            "CreateNetworkAclEntry": "NetworkAclEntryAlreadyExists",
            "CreatePlacementGroup": "InvalidPlacementGroup.Duplicate",
            "CreateSecurityGroup": "InvalidGroup.Duplicate",
            "CreateSubnet": "InvalidSubnet.Conflict",
            "DetachInternetGateway": "Gateway.NotAttached",
            "DetachNetworkInterface": "InvalidAttachmentID.NotFound",
            "DetachVolume": "IncorrectState",
            "DetachVpnGateway": "InvalidVpnGatewayAttachment.NotFound",
            "DisassociateRouteTable": "InvalidAssociationID.NotFound",
            "ImportKeyPair": "InvalidKeyPair.Duplicate",
            "ModifyVolume": "IncorrectModificationState",
            "RegisterImage": "InvalidAMIName.Duplicate",
            "ReplaceRouteTableAssociation": "InvalidAssociationID.NotFound",
            "RevokeSecurityGroupEgress by rule id": "InvalidSecurityGroupRuleId.NotFound",
            "RevokeSecurityGroupIngress by rule id": "InvalidSecurityGroupRuleId.NotFound",
        },
    ),
    *_conflicting(
        "FLD",
        {
            "CreateVpcEndpoint in the same route table": "RouteAlreadyExists",
            "CreateVpcEndpoint with private names": "InvalidParameter",
            "DeleteLaunchTemplateVersions": "launchTemplateVersionDoesNotExist",
            "ModifyManagedPrefixList of the current version": "PrefixListVersionMismatch",
            "UnassignPrivateIpAddresses": "InvalidParameterValue",
        },
    ),
    *_conflicting(
        "DER",
        {
            "CopyImage": "InvalidAMIName.Duplicate",
            # All of it was moved, which ends the source; of less, a repeat moves as much again.
            "MoveCapacityReservationInstances": "InvalidCapacityReservationId.NotFound",
            # A VPC has one; there is no code of its own for a second.
            "CreateCarrierGateway": "ResourceLimitExceeded",
        },
    ),
    # That the code exists is in the list of error codes; that a repeated delete gets it is not.
    *_conflicting(
        "MEM",
        {
            "CancelCapacityReservation": "InvalidCapacityReservationId.NotFound",
            "DeleteCarrierGateway": "InvalidCarrierGatewayID.NotFound",
            "DeleteCustomerGateway": "InvalidCustomerGatewayID.NotFound",
            "DeleteDhcpOptions": "InvalidDhcpOptionID.NotFound",
            "DeleteEgressOnlyInternetGateway": "InvalidGatewayID.NotFound",
            "DeleteFlowLogs": "InvalidFlowLogId.NotFound",
            "DeleteInternetGateway": "InvalidInternetGatewayID.NotFound",
            "DeleteLaunchTemplate": "InvalidLaunchTemplateId.NotFound",
            "DeleteManagedPrefixList": "InvalidPrefixListID.NotFound",
            "DeleteNetworkAcl": "InvalidNetworkAclID.NotFound",
            "DeleteNetworkAclEntry": "InvalidNetworkAclEntry.NotFound",
            "DeleteNetworkInterface": "InvalidNetworkInterfaceID.NotFound",
            "DeletePlacementGroup": "InvalidPlacementGroup.Unknown",
            "DeleteRoute": "InvalidRoute.NotFound",
            "DeleteRouteTable": "InvalidRouteTableID.NotFound",
            "DeleteSecurityGroup": "InvalidGroup.NotFound",
            "DeleteSnapshot": "InvalidSnapshot.NotFound",
            "DeleteSubnet": "InvalidSubnetID.NotFound",
            "DeleteVolume": "InvalidVolume.NotFound",
            "DeleteVpc": "InvalidVpcID.NotFound",
            "DeleteVpcEndpoints": "InvalidVpcEndpointId.NotFound",
            "DeleteVpnGateway": "InvalidVpnGatewayID.NotFound",
        },
    ),
)
assert len({one.asked for one in REPEATS}) == len(REPEATS), "each way of asking is told once"
