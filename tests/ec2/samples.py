"""A sample of every create with a client token: what to ask, what differs, how to remove it.

A test fails for an action that is served, takes a token, and has no sample here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore import xform_name

from ec2.asking import described, running
from plane import IMAGE, LAUNCH

Document = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """`asked` and `other` are two valid requests of one account in one Region that differ.

    `id` finds the created thing's id in an answer, `remove` begins to remove it. With a
    `natural_key`, another token does not make another one.
    """

    asked: Callable[[Any], Document]
    other: Callable[[Document], Document]
    id: Callable[[Document], str]
    remove: Callable[[Any, str], object]
    natural_key: bool = False

    def call(self, client: Any, action: str, asked: Document, token: str) -> Document:
        answer: Document = getattr(client, xform_name(action))(**asked, ClientToken=token)
        return answer


def vpc(client: Any) -> str:
    """The default VPC of the client's Region."""
    found = client.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])
    return str(found["Vpcs"][0]["VpcId"])


def in_vpc(client: Any) -> Document:
    return {"VpcId": vpc(client)}


def tagged(noun: str) -> Callable[[Document], Document]:
    """The same request with a tag more."""
    specification = [{"ResourceType": noun, "Tags": [{"Key": "other", "Value": "yes"}]}]
    return lambda asked: {**asked, "TagSpecifications": specification}


def changed(**members: Any) -> Callable[[Document], Document]:
    return lambda asked: {**asked, **members}


def at(*path: str | int) -> Callable[[Document], str]:
    def find(answer: Any) -> str:
        for step in path:
            answer = answer[step]
        return str(answer)

    return find


def removing(action: str, parameter: str) -> Callable[[Any, str], object]:
    return lambda client, id: getattr(client, xform_name(action))(**{parameter: id})


def in_subnet(client: Any) -> Document:
    """The default subnet of the Region's first zone."""
    found = client.describe_subnets(
        Filters=[{"Name": "availability-zone", "Values": [first_zone(client)]}]
    )
    return {"SubnetId": found["Subnets"][0]["SubnetId"]}


def template(client: Any) -> str:
    """The name of a template that exists."""
    if not client.describe_launch_templates()["LaunchTemplates"]:
        data = {"ImageId": IMAGE, "InstanceType": "t3.micro"}
        client.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
    return "web"


def template_version(client: Any) -> Document:
    return {"LaunchTemplateName": template(client), "LaunchTemplateData": {"KeyName": "k"}}


def built_in_image(client: Any) -> Document:
    images = client.describe_images(Owners=["amazon"])["Images"]
    return {
        "Name": "a-copy",
        "SourceImageId": images[0]["ImageId"],
        "SourceRegion": client.meta.region_name,
    }


def first_zone(client: Any) -> str:
    return f"{client.meta.region_name}a"


def reserved(client: Any, count: int) -> str:
    """A capacity reservation of that many instances."""
    made = client.create_capacity_reservation(
        AvailabilityZone=first_zone(client), InstanceType="t3.micro",
        InstancePlatform="Linux/UNIX", InstanceCount=count,
    )  # fmt: skip
    return str(made["CapacityReservation"]["CapacityReservationId"])


def root_volume(client: Any) -> str:
    """The volume of a running instance: it can be copied at once."""
    [mapping] = described(client, running(client))["BlockDeviceMappings"]
    return str(mapping["Ebs"]["VolumeId"])


SAMPLES: dict[str, Sample] = {
    "RunInstances": Sample(
        lambda client: dict(LAUNCH),
        changed(InstanceType="t3.small"),
        at("Instances", 0, "InstanceId"),
        lambda client, id: client.terminate_instances(InstanceIds=[id]),
    ),
    "CreateRouteTable": Sample(
        in_vpc,
        tagged("route-table"),
        at("RouteTable", "RouteTableId"),
        removing("DeleteRouteTable", "RouteTableId"),
    ),
    "CreateNetworkAcl": Sample(
        in_vpc,
        tagged("network-acl"),
        at("NetworkAcl", "NetworkAclId"),
        removing("DeleteNetworkAcl", "NetworkAclId"),
    ),
    "CreateEgressOnlyInternetGateway": Sample(
        in_vpc,
        tagged("egress-only-internet-gateway"),
        at("EgressOnlyInternetGateway", "EgressOnlyInternetGatewayId"),
        removing("DeleteEgressOnlyInternetGateway", "EgressOnlyInternetGatewayId"),
    ),
    "CreateCarrierGateway": Sample(
        in_vpc,
        tagged("carrier-gateway"),
        at("CarrierGateway", "CarrierGatewayId"),
        removing("DeleteCarrierGateway", "CarrierGatewayId"),
        natural_key=True,
    ),
    "CreateNetworkInterface": Sample(
        in_subnet,
        changed(Description="other"),
        at("NetworkInterface", "NetworkInterfaceId"),
        removing("DeleteNetworkInterface", "NetworkInterfaceId"),
    ),
    "CreateManagedPrefixList": Sample(
        lambda client: {"PrefixListName": "a", "AddressFamily": "IPv4", "MaxEntries": 5},
        changed(MaxEntries=6),
        at("PrefixList", "PrefixListId"),
        removing("DeleteManagedPrefixList", "PrefixListId"),
    ),
    "CreateCapacityReservation": Sample(
        lambda client: {
            "AvailabilityZone": first_zone(client),
            "InstanceType": "t3.micro",
            "InstancePlatform": "Linux/UNIX",
            "InstanceCount": 1,
        },
        changed(InstanceCount=2),
        at("CapacityReservation", "CapacityReservationId"),
        removing("CancelCapacityReservation", "CapacityReservationId"),
    ),
    "CreateFlowLogs": Sample(
        lambda client: {
            "ResourceIds": [vpc(client)],
            "ResourceType": "VPC",
            "TrafficType": "ALL",
            "LogGroupName": "flows",
            "DeliverLogsPermissionArn": "arn:aws:iam::000000000001:role/flows",
        },
        changed(TrafficType="REJECT"),
        at("FlowLogIds", 0),
        lambda client, id: client.delete_flow_logs(FlowLogIds=[id]),
        natural_key=True,
    ),
    "CreateLaunchTemplate": Sample(
        lambda client: {
            "LaunchTemplateName": "web",
            "LaunchTemplateData": {"ImageId": IMAGE, "InstanceType": "t3.micro"},
        },
        changed(LaunchTemplateName="other"),
        at("LaunchTemplate", "LaunchTemplateId"),
        removing("DeleteLaunchTemplate", "LaunchTemplateId"),
        natural_key=True,
    ),
    "CreateLaunchTemplateVersion": Sample(
        template_version,
        changed(VersionDescription="other"),
        lambda answer: "{LaunchTemplateId}:{VersionNumber}".format(
            **answer["LaunchTemplateVersion"]
        ),
        lambda client, id: client.delete_launch_template(LaunchTemplateId=id.partition(":")[0]),
    ),
    "ModifyLaunchTemplate": Sample(
        lambda client: {"LaunchTemplateName": template(client), "DefaultVersion": "1"},
        changed(DefaultVersion="2"),
        at("LaunchTemplate", "LaunchTemplateId"),
        removing("DeleteLaunchTemplate", "LaunchTemplateId"),
        natural_key=True,
    ),
    "CreateNatGateway": Sample(
        lambda client: {**in_subnet(client), "ConnectivityType": "private"},
        tagged("natgateway"),
        at("NatGateway", "NatGatewayId"),
        removing("DeleteNatGateway", "NatGatewayId"),
    ),
    "CreateVpcEndpoint": Sample(
        lambda client: {
            **in_vpc(client),
            "ServiceName": f"com.amazonaws.{client.meta.region_name}.s3",
        },
        changed(PolicyDocument="{}"),
        at("VpcEndpoint", "VpcEndpointId"),
        lambda client, id: client.delete_vpc_endpoints(VpcEndpointIds=[id]),
    ),
    "CreateVolume": Sample(
        lambda client: {"AvailabilityZone": first_zone(client), "Size": 8},
        changed(Size=9),
        at("VolumeId"),
        removing("DeleteVolume", "VolumeId"),
    ),
    "CopyVolumes": Sample(
        lambda client: {"SourceVolumeId": root_volume(client)},
        changed(VolumeType="gp3"),
        at("Volumes", 0, "VolumeId"),
        removing("DeleteVolume", "VolumeId"),
    ),
    "CreateCapacityReservationBySplitting": Sample(
        lambda client: {"SourceCapacityReservationId": reserved(client, 9), "InstanceCount": 1},
        changed(InstanceCount=2),
        at("DestinationCapacityReservation", "CapacityReservationId"),
        removing("CancelCapacityReservation", "CapacityReservationId"),
    ),
    "MoveCapacityReservationInstances": Sample(
        lambda client: {
            "SourceCapacityReservationId": reserved(client, 2),
            "DestinationCapacityReservationId": reserved(client, 1),
            "InstanceCount": 2,
        },
        changed(InstanceCount=1),
        at("DestinationCapacityReservation", "CapacityReservationId"),
        removing("CancelCapacityReservation", "CapacityReservationId"),
        natural_key=True,
    ),
    "ModifyInstanceCreditSpecification": Sample(
        lambda client: {
            "InstanceCreditSpecifications": [
                {"InstanceId": running(client), "CpuCredits": "standard"}
            ]
        },
        lambda asked: {
            "InstanceCreditSpecifications": [
                {**one, "CpuCredits": "unlimited"} for one in asked["InstanceCreditSpecifications"]
            ]
        },
        at("SuccessfulInstanceCreditSpecifications", 0, "InstanceId"),
        lambda client, id: client.terminate_instances(InstanceIds=[id]),
        natural_key=True,
    ),
    "CopyImage": Sample(
        built_in_image,
        changed(Name="another-copy"),
        at("ImageId"),
        removing("DeregisterImage", "ImageId"),
        natural_key=True,
    ),
}
