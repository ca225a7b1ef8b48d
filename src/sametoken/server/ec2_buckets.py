"""The token buckets that EC2 documents: for each action its size, and the refill of a second.

Data alone, of actions that are served here and of others. Source: EC2 developer guide, "Request
throttling for the Amazon EC2 API", its tables of request and of resource token buckets.
"""

from __future__ import annotations

from collections.abc import Mapping

# How many tokens a bucket holds, and how many come back in a second.
Figures = tuple[int, float]

# The request buckets of two kinds of actions. An action is of the first kind if its name begins
# with one of these words.
READING_WORDS = ("Describe", "List", "Search", "Get")
READING: Figures = (100, 20)
CHANGING: Figures = (50, 5)

# Listings that take from a smaller bucket where they ask for everything at once.
OF_EVERYTHING: Figures = (50, 10)
LISTINGS = frozenset(
    {
        "DescribeInstances", "DescribeInstanceStatus", "DescribeNetworkInterfaces",
        "DescribeSecurityGroups", "DescribeSnapshots", "DescribeSpotInstanceRequests",
        "DescribeVolumes",
    }
)  # fmt: skip

# Actions with figures of their own.
OWN: Mapping[Figures, str] = {
    (1, 0.1): """
        AdvertiseByoipCidr DeprovisionByoipCidr DisableImageBlockPublicAccess
        DisableSnapshotBlockPublicAccess EnableImageBlockPublicAccess
        EnableSnapshotBlockPublicAccess ProvisionByoipCidr WithdrawByoipCidr
    """,
    (1, 0.5): """
        AssociateCapacityReservationBillingOwner DescribeByoipCidrs
        DisassociateCapacityReservationBillingOwner
    """,
    (1, 1): """
        CancelDeclarativePoliciesReport CreateDefaultSubnet CreateDefaultVpc
        DescribeInstanceTopology DescribeMovingAddresses MoveAddressToVpc RestoreAddressToClassic
        StartDeclarativePoliciesReport
    """,
    (2, 2): "ModifyInstanceMetadataDefaults",
    (4, 0.3): "CreateVpcEndpoint DeleteVpcEndpoints ModifyVpcEndpoint",
    (5, 1): """
        CreateCoipCidr CreateCoipPool CreateSubnetCidrReservation DeleteCoipCidr DeleteCoipPool
        DeleteSubnetCidrReservation
    """,
    (5, 2): """
        AuthorizeClientVpnIngress CreateClientVpnRoute DeleteClientVpnRoute
        DescribeHostReservationOfferings DescribeHostReservations DisableFastLaunch
        EnableFastLaunch GetHostReservationPurchasePreview PurchaseHostReservation
        RevokeClientVpnIngress RunInstances StartInstances
    """,
    (5, 5): """
        DeleteQueuedReservedInstances DescribeDeclarativePoliciesReports
        GetDeclarativePoliciesReportSummary PurchaseReservedInstancesOffering
    """,
    (10, 0.15): """
        DescribeCapacityBlockExtensionOfferings DescribeCapacityBlockOfferings
        PurchaseCapacityBlock PurchaseCapacityBlockExtension
    """,
    (10, 1): """
        AcceptVpcEndpointConnections AssignPrivateNatGatewayAddress
        AssociateEnclaveCertificateIamRole AssociateNatGatewayAddress CreateNatGateway
        CreateVpcEndpointServiceConfiguration DeleteNatGateway
        DeleteVpcEndpointServiceConfigurations DisassociateEnclaveCertificateIamRole
        DisassociateNatGatewayAddress GetAssociatedEnclaveCertificateIamRoles
        ModifyVpcEndpointServiceConfiguration RejectVpcEndpointConnections
        UnassignPrivateNatGatewayAddress
    """,
    (10, 2): """
        AttachVerifiedAccessTrustProvider CreateVerifiedAccessGroup CreateVerifiedAccessInstance
        CreateVerifiedAccessTrustProvider DeleteVerifiedAccessGroup DeleteVerifiedAccessInstance
        DeleteVerifiedAccessTrustProvider DescribeVerifiedAccessInstanceLoggingConfigurations
        DetachVerifiedAccessTrustProvider ModifyVerifiedAccessGroup ModifyVerifiedAccessInstance
        ModifyVerifiedAccessInstanceLoggingConfiguration ModifyVerifiedAccessTrustProvider
    """,
    (10, 10): """
        DescribeAggregateIdFormat DescribeIdFormat DescribeIdentityIdFormat
        DescribePrincipalIdFormat DescribeReservedInstancesOfferings
    """,
    (20, 4): """
        CreateVerifiedAccessEndpoint DeleteVerifiedAccessEndpoint ModifyVerifiedAccessEndpoint
        ModifyVerifiedAccessEndpointPolicy ModifyVerifiedAccessGroupPolicy
    """,
    (20, 5): "DescribeSecurityGroupReferences DescribeStaleSecurityGroups",
    (50, 0.1): "CreateRestoreImageTask CreateStoreImageTask",
    (50, 0.5): "DescribeStoreImageTasks",
    (50, 3): """
        CreateSpotDatafeedSubscription DeleteSpotDatafeedSubscription DescribeSpotFleetRequests
    """,
    # Called resource-intensive by EC2: throttled apart from other changes, with as much.
    (50, 5): """
        AcceptVpcPeeringConnection AuthorizeSecurityGroupIngress CancelSpotInstanceRequests
        CreateKeyPair CreateVpcPeeringConnection DeleteVpcPeeringConnection
        RejectVpcPeeringConnection RequestSpotInstances RevokeSecurityGroupIngress
    """,
    (100, 1): "CopyImage",
    (100, 5): """
        AssignIpv6Addresses AssignPrivateIpAddresses AssociateIamInstanceProfile
        CreateLaunchTemplateVersion CreateNetworkInterface CreateSnapshot CreateSnapshots
        CreateVolume DeleteNetworkInterface DeleteSnapshot DeleteVolume DeregisterImage
        DescribeSpotFleetInstances DescribeSpotFleetRequestHistory
        DisassociateIamInstanceProfile ModifyImageAttribute ModifyInstanceMetadataOptions
        ModifyLaunchTemplate ModifyNetworkInterfaceAttribute ModifySnapshotAttribute
        TerminateInstances UnassignPrivateIpAddresses
    """,
    (100, 10): "CreateTags DeleteTags",
    (100, 13): "DescribeSpotDatafeedSubscription",
}

# Buckets of resources: a request takes a token for each instance that it is for.
OF_RESOURCES: Mapping[str, Figures] = {
    "RunInstances": (1000, 2),
    "StartInstances": (1000, 2),
    "StopInstances": (1000, 20),
    "TerminateInstances": (1000, 20),
}
