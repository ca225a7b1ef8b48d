"""The parameters of everything that callers make, thought up from what there is.

Each draft raises `NothingThereError` while there is nothing of a kind that it has to name. Values
are few, so that requests meet: the same name, port or zone as another's now and then.
"""

from __future__ import annotations

from base64 import b64encode

from simulation.ground import Draft
from simulation.history import numbered

IMAGE = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
TYPES = ("t3.micro", "t3.small")
# An Ed25519 key of 32 zero bytes, in OpenSSH's form (RFC 8709).
_BLOB = b"".join(len(one).to_bytes(4, "big") + one for one in (b"ssh-ed25519", bytes(32)))
_PUBLIC_KEY = b64encode(b"ssh-ed25519 " + b64encode(_BLOB)).decode()
# A key that does not exist: EC2 says `creating`, and then the volume is gone without a word.
NO_KEY = "alias/not-there"


def launch(draft: Draft) -> dict[str, str]:
    least = 1 if draft.happens(0.85) else 2
    most = least + draft.happens(0.15)
    asked = {"MinCount": str(least), "MaxCount": str(most)}
    if draft.knows("lt") and draft.happens(0.3):
        asked["LaunchTemplate.LaunchTemplateId"] = draft.known("lt")
        asked["LaunchTemplate.Version"] = draft.either("$Latest", "1")
    else:
        asked |= {"ImageId": IMAGE, "InstanceType": draft.either(*TYPES)}
        if draft.knows("ami") and draft.happens(0.3):
            asked["ImageId"] = draft.known("ami")
    zone = draft.either("", draft.zone(), draft.zone())
    if draft.made("eni") and draft.happens(0.3):
        asked["NetworkInterface.1.DeviceIndex"] = "0"
        asked["NetworkInterface.1.NetworkInterfaceId"] = draft.own("eni")
        # Else its zone would be the one of whatever that id names when the request arrives.
        zone = zone or draft.zone()
    return {**asked, "Placement.AvailabilityZone": zone} if zone else asked


def volume(draft: Draft) -> dict[str, str]:
    asked = {"AvailabilityZone": draft.zone(), "Size": draft.either("8", "9")}
    if draft.knows("snap") and draft.happens(0.4):
        asked["SnapshotId"] = draft.known("snap")
    elif draft.happens(0.1):
        asked |= {"Encrypted": "true", "KmsKeyId": NO_KEY}
    return asked


def interface(draft: Draft) -> dict[str, str]:
    # Its tags are no part of what is compared, as seen of EC2: the description tells intents apart.
    asked = {"SubnetId": draft.subnet(), "Description": draft.mark}
    if draft.happens(0.3):
        asked["SecondaryPrivateIpAddressCount"] = draft.either("1", "2")
    return asked


def in_vpc(draft: Draft) -> dict[str, str]:
    return {"VpcId": draft.ground.vpc}


def template(draft: Draft) -> dict[str, str]:
    # Few names, so that one is taken already now and then.
    return {
        "LaunchTemplateName": draft.either("web", "db", "queue"),
        "LaunchTemplateData.ImageId": IMAGE,
        "LaunchTemplateData.InstanceType": draft.either(*TYPES),
    }


def template_version(draft: Draft) -> dict[str, str]:
    return {
        "LaunchTemplateId": draft.known("lt"),
        "VersionDescription": draft.mark,
        "LaunchTemplateData.ImageId": IMAGE,
        "LaunchTemplateData.InstanceType": draft.either(*TYPES),
    }


def default_version(draft: Draft) -> dict[str, str]:
    return {"LaunchTemplateId": draft.known("lt"), "SetDefaultVersion": draft.either("1", "2")}


def nat_gateway(draft: Draft) -> dict[str, str]:
    if draft.knows("eipalloc") and draft.happens(0.7):
        return {"SubnetId": draft.subnet(), "AllocationId": draft.known("eipalloc")}
    return {"SubnetId": draft.subnet(), "ConnectivityType": "private"}


def endpoint(draft: Draft) -> dict[str, str]:
    asked = {**in_vpc(draft), "ServiceName": f"com.amazonaws.{draft.ground.region}.s3"}
    if draft.happens(0.5):
        asked |= {"VpcEndpointType": "Interface", "SubnetId.1": draft.subnet()}
    elif draft.knows("rtb"):
        asked["RouteTableId.1"] = draft.known("rtb")
    return asked


def prefix_list(draft: Draft) -> dict[str, str]:
    return {"PrefixListName": "partners", "AddressFamily": "IPv4", "MaxEntries": "5"}


def reserved(draft: Draft) -> dict[str, str]:
    return {
        "AvailabilityZone": draft.zone(),
        "InstanceType": draft.either(*TYPES),
        "InstancePlatform": "Linux/UNIX",
        "InstanceCount": draft.either("1", "2"),
    }


def split(draft: Draft) -> dict[str, str]:
    return {
        "SourceCapacityReservationId": draft.known("cr"),
        "InstanceCount": draft.either("1", "1", "2"),
    }


def moved_capacity(draft: Draft) -> dict[str, str]:
    return {**split(draft), "DestinationCapacityReservationId": draft.known("cr")}


def flow_logs(draft: Draft) -> dict[str, str]:
    asked = {
        "TrafficType": draft.either("ALL", "REJECT"),
        "LogGroupName": "flows",
        "DeliverLogsPermissionArn": f"arn:aws:iam::{draft.ground.account}:role/flows",
    }
    if draft.happens(0.6):
        # Two at once: all of them, or none.
        both = draft.ground.subnets[f"{draft.ground.region}a"], draft.subnet()
        return {**asked, "ResourceType": "Subnet", **numbered("ResourceId", dict.fromkeys(both))}
    return {**asked, "ResourceType": "NetworkInterface", "ResourceId.1": draft.known("eni")}


def image_name(draft: Draft) -> str:
    return draft.either("golden", "silver", "bronze")


def copied_image(draft: Draft) -> dict[str, str]:
    return {
        "Name": image_name(draft),
        "SourceImageId": draft.known("ami"),
        "SourceRegion": draft.ground.region,
    }


def image_of_instance(draft: Draft) -> dict[str, str]:
    return {"Name": image_name(draft), "InstanceId": draft.known("i")}


def image_of_snapshot(draft: Draft) -> dict[str, str]:
    return {
        "Name": image_name(draft),
        "Architecture": "x86_64",
        "RootDeviceName": "/dev/xvda",
        "BlockDeviceMapping.1.DeviceName": "/dev/xvda",
        "BlockDeviceMapping.1.Ebs.SnapshotId": draft.known("snap"),
    }


def snapshot(draft: Draft) -> dict[str, str]:
    return {"VolumeId": draft.known("vol")}


def copied_snapshot(draft: Draft) -> dict[str, str]:
    return {"SourceSnapshotId": draft.known("snap"), "SourceRegion": draft.ground.region}


def copied_volume(draft: Draft) -> dict[str, str]:
    return {"SourceVolumeId": draft.known("vol"), "VolumeType": draft.either("gp2", "gp3")}


def credits(draft: Draft) -> dict[str, str]:
    return {
        "InstanceCreditSpecification.1.InstanceId": draft.known("i"),
        "InstanceCreditSpecification.1.CpuCredits": draft.either("standard", "unlimited"),
    }


def nothing_more(draft: Draft) -> dict[str, str]:
    return {}


def rule(draft: Draft) -> dict[str, str]:
    # Few ports, so that a rule is there already now and then.
    port = draft.either("22", "80", "443")
    return {
        "GroupName": "default",
        "IpPermissions.1.IpProtocol": "tcp",
        "IpPermissions.1.FromPort": port,
        "IpPermissions.1.ToPort": port,
        "IpPermissions.1.IpRanges.1.CidrIp": "10.0.0.0/8",
    }


def network(draft: Draft) -> dict[str, str]:
    return {"CidrBlock": "10.0.0.0/16"}


def subnet(draft: Draft) -> dict[str, str]:
    # Few ranges, so that one is taken already now and then.
    third = draft.either("1", "2", "3")
    return {
        "VpcId": draft.own("vpc"),
        "CidrBlock": f"10.0.{third}.0/24",
        "AvailabilityZone": draft.zone(),
    }


def security_group(draft: Draft) -> dict[str, str]:
    asked = {"GroupName": draft.either("web", "db", "queue"), "GroupDescription": "what it is for"}
    return {**asked, "VpcId": draft.own("vpc")} if draft.made("vpc") else {**asked, **in_vpc(draft)}


def key_pair(draft: Draft) -> dict[str, str]:
    # Imported, for what EC2 makes by itself would be another at each replay of a seed.
    return {"KeyName": draft.either("deploy", "ops", "ci"), "PublicKeyMaterial": _PUBLIC_KEY}


def dhcp_options(draft: Draft) -> dict[str, str]:
    return {"DhcpConfiguration.1.Key": "domain-name", "DhcpConfiguration.1.Value.1": "example.com"}


def vpn_gateway(draft: Draft) -> dict[str, str]:
    return {"Type": "ipsec.1"}


def customer_gateway(draft: Draft) -> dict[str, str]:
    return {"Type": "ipsec.1", "PublicIp": f"203.0.113.{draft.either('1', '2')}", "BgpAsn": "65000"}


def vpn_connection(draft: Draft) -> dict[str, str]:
    return {
        "Type": "ipsec.1",
        "CustomerGatewayId": draft.own("cgw"),
        "VpnGatewayId": draft.own("vgw"),
    }
