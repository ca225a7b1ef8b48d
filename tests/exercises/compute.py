"""Exercises of compute: instances, launch templates, key pairs, placement and capacity."""

from __future__ import annotations

from base64 import b64encode

from exercises.exercise import (
    Document,
    Exercise,
    Ground,
    Live,
    Way,
    after,
    changed,
    nothing_more,
    of,
)

IMAGE = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
TYPES = ("t3.micro", "t3.small")
# An Ed25519 key of 32 zero bytes, in OpenSSH's form (RFC 8709).
_BLOB = b"".join(len(one).to_bytes(4, "big") + one for one in (b"ssh-ed25519", bytes(32)))
PUBLIC_KEY = b"ssh-ed25519 " + b64encode(_BLOB)


def _launch(ground: Ground) -> Document:
    least = 2 if ground.happens(0.15) else 1
    asked: Document = {"MinCount": least, "MaxCount": least + ground.happens(0.15)}
    if ground.knows("launch-template") and ground.happens(0.3):
        template = {"LaunchTemplateId": ground.known("launch-template")}
        asked["LaunchTemplate"] = {**template, "Version": ground.either("$Latest", "1")}
    else:
        asked |= {"ImageId": IMAGE, "InstanceType": ground.either(*TYPES)}
        if ground.knows("image") and ground.happens(0.3):
            asked["ImageId"] = ground.known("image")
    zone = ground.either(ground.zone(), "", ground.zone())
    if ground.has("network-interface") and ground.happens(0.3):
        interface = {"DeviceIndex": 0, "NetworkInterfaceId": ground.own("network-interface")}
        asked["NetworkInterfaces"] = [interface]
        # Name the zone: else it would be the zone of whichever interface has this id when the
        # request arrives, and the auditor could not know in which zone the token is used.
        zone = zone or ground.zone()
    if "InstanceType" in asked and ground.happens(0.2):
        asked["CapacityReservationSpecification"] = _reserved(ground)
    return {**asked, "Placement": {"AvailabilityZone": zone}} if zone else asked


def _reserved(ground: Ground) -> Document:
    if ground.knows("capacity-reservation") and ground.happens(0.6):
        id = ground.known("capacity-reservation")
        return {"CapacityReservationTarget": {"CapacityReservationId": id}}
    return {"CapacityReservationPreference": ground.either("none", "capacity-reservations-only")}


def stopped(ground: Live) -> str:
    id = ground.known("instance")
    ground.call("StopInstances", InstanceIds=[id])
    ground.later()
    return id


def _instances(ground: Live) -> Document:
    return {"InstanceIds": [ground.known("instance")]}


def _all_tagged(ground: Live) -> Document:
    for reservation in ground.call("DescribeInstances")["Reservations"]:
        ids = [one["InstanceId"] for one in reservation["Instances"]]
        ground.call("CreateTags", Resources=ids, Tags=[{"Key": "n", "Value": ids[0]}])
    return {}


def _credits(ground: Ground) -> Document:
    credits = ground.either("standard", "unlimited")
    one = {"InstanceId": ground.known("instance"), "CpuCredits": credits}
    return {"InstanceCreditSpecifications": [one]}


def _other_credits(asked: Document) -> Document:
    [one] = asked["InstanceCreditSpecifications"]
    return {"InstanceCreditSpecifications": [{**one, "CpuCredits": "unlimited"}]}


def _data(ground: Ground) -> Document:
    return {"ImageId": IMAGE, "InstanceType": ground.either(*TYPES)}


# Few names, so that some requests meet one that is taken.
def _template(ground: Ground) -> Document:
    return {
        "LaunchTemplateName": ground.name("web", "data", "queue"),
        "LaunchTemplateData": _data(ground),
    }


def _version(ground: Ground) -> Document:
    return {
        "LaunchTemplateId": ground.known("launch-template"),
        "VersionDescription": ground.mark,
        "LaunchTemplateData": _data(ground),
    }


def _told_version(answer: Document) -> tuple[str, ...]:
    version = answer["LaunchTemplateVersion"]
    return (f"{version['LaunchTemplateId']}:{version['VersionNumber']}",)


def _default_version(ground: Ground) -> Document:
    template = ground.known("launch-template")
    return {"LaunchTemplateId": template, "DefaultVersion": ground.either("1", "2")}


def _with_version(ground: Live) -> Document:
    asked = _version(ground)
    ground.call("CreateLaunchTemplateVersion", **asked)
    return {"LaunchTemplateId": asked["LaunchTemplateId"], "Versions": ["2"]}


def _of_the_template(ground: Live) -> Document:
    [shown] = ground.call("DescribeLaunchTemplates")["LaunchTemplates"]
    return {"LaunchTemplateId": shown["LaunchTemplateId"]}


def _reservation(ground: Ground) -> Document:
    return {
        "AvailabilityZone": ground.zone(),
        "InstanceType": ground.either(*TYPES),
        "InstancePlatform": "Linux/UNIX",
        "InstanceCount": ground.either(4, 1, 1, 2, 2),
    }


def _split(ground: Ground) -> Document:
    source = ground.known("capacity-reservation")
    return {"SourceCapacityReservationId": source, "InstanceCount": ground.either(1, 1, 2)}


def _moved(ground: Ground) -> Document:
    return {
        "SourceCapacityReservationId": ground.known("capacity-reservation"),
        "DestinationCapacityReservationId": ground.known("capacity-reservation"),
        # Moving all of the capacity ends the source.
        "InstanceCount": ground.either(4, 1, 1, 2),
    }


# Import a key, because one that EC2 makes would differ at each replay of a seed.
def _key(ground: Ground) -> Document:
    return {"KeyName": ground.name("deploy", "ops", "ci"), "PublicKeyMaterial": PUBLIC_KEY}


def _new_key(ground: Ground) -> Document:
    return {"KeyName": ground.name("deploy"), "KeyType": "ed25519"}


def _group(ground: Ground) -> Document:
    return {"GroupName": ground.name("close"), "Strategy": "cluster"}


_INSTANCE: dict[str, Way] = {
    "ModifyInstanceAttribute": of("instance", "InstanceId", DisableApiTermination={"Value": True}),
    "ModifyInstanceCapacityReservationAttributes": lambda ground: {
        "InstanceId": stopped(ground),
        "CapacityReservationSpecification": {"CapacityReservationPreference": "none"},
    },
    "MonitorInstances": _instances,
    "RebootInstances": _instances,
    "StartInstances": lambda ground: {"InstanceIds": [stopped(ground)]},
    "StopInstances": _instances,
    "UnmonitorInstances": after("MonitorInstances", _instances),
}

EXERCISES = (
    Exercise(
        kind="instance",
        make="RunInstances",
        ask=_launch,
        other=changed(InstanceType="t3.medium"),
        end="TerminateInstances",
        lists={
            "DescribeInstanceCreditSpecifications": nothing_more,
            "DescribeInstanceStatus": nothing_more,
            "DescribeTags": _all_tagged,
        },
        changes=_INSTANCE,
    ),
    Exercise(
        kind="instance",
        make="ModifyInstanceCreditSpecification",
        ask=_credits,
        other=_other_credits,
        told="SuccessfulInstanceCreditSpecifications[].InstanceId",
        makes=False,
    ),
    Exercise(
        kind="launch-template",
        make="CreateLaunchTemplate",
        ask=_template,
        other=changed(LaunchTemplateName="other"),
        end="DeleteLaunchTemplate",
        id="LaunchTemplateId",
    ),
    Exercise(
        kind="launch-template-version",
        make="CreateLaunchTemplateVersion",
        ask=_version,
        other=changed(VersionDescription="other"),
        told=_told_version,
        brought_by="launch-template",
        lists={"DescribeLaunchTemplateVersions": _of_the_template},
        changes={"DeleteLaunchTemplateVersions": _with_version},
    ),
    Exercise(
        kind="launch-template",
        make="ModifyLaunchTemplate",
        ask=_default_version,
        other=changed(DefaultVersion="2"),
        makes=False,
    ),
    Exercise(
        kind="capacity-reservation",
        make="CreateCapacityReservation",
        ask=_reservation,
        other=changed(InstanceCount=3),
        end="CancelCapacityReservation",
    ),
    Exercise(
        kind="capacity-reservation",
        make="CreateCapacityReservationBySplitting",
        ask=_split,
        other=changed(InstanceCount=2),
        told="DestinationCapacityReservation.CapacityReservationId",
        uses_up=True,
    ),
    Exercise(
        kind="capacity-reservation",
        make="MoveCapacityReservationInstances",
        ask=_moved,
        other=changed(InstanceCount=1),
        told="DestinationCapacityReservation.CapacityReservationId",
        makes=False,
        uses_up=True,
    ),
    Exercise(
        kind="key-pair",
        make="ImportKeyPair",
        ask=_key,
        end="DeleteKeyPair by id",
        id="KeyPairId",
        changes={
            "CreateKeyPair": _new_key,
            "DeleteKeyPair": after("ImportKeyPair", _key, "KeyName"),
        },
    ),
    Exercise(
        kind="placement-group",
        make="CreatePlacementGroup",
        ask=_group,
        changes={"DeletePlacementGroup": after("CreatePlacementGroup", _group, "GroupName")},
        unmixed="it is named by its name, which tells the auditor of no one row",
    ),
)
