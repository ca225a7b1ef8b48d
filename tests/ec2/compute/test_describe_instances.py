"""DescribeInstances and its relatives: instances found by id, by filter and in pages."""

from __future__ import annotations

from typing import Any

import pytest

from ec2.asking import AT_ONCE, by_filter, code, described, found, launch, refusal, running, wait
from plane import LAUNCH, Plane
from sametoken.ec2.compute.instance_filters import INSTANCE_FILTERS
from sametoken.ec2.kit.filters import member
from sametoken.ec2.kit.paths import getters


def tagged(**tags: str) -> list[dict[str, Any]]:
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    return [{"ResourceType": "instance", "Tags": listed}]


@pytest.fixture(scope="module")
def one(plane: Plane) -> tuple[Any, str]:
    """Return a client, and a running instance that has a value for every filter that can match."""
    client = plane.client(keys=plane.account("one"))
    client.create_placement_group(GroupName="g", Strategy="partition")
    id = running(
        client,
        ClientToken="The*Token",
        Monitoring={"Enabled": True},
        TagSpecifications=tagged(Name="one", colour="blue"),
        Placement={"AvailabilityZone": "us-east-1a", "GroupName": "g", "PartitionNumber": 2},
        IamInstanceProfile={"Name": "role"},
        MaxCount=1,
    )
    launch(client, InstanceType="t3.small", ClientToken="the other")
    return client, id


# Filter -> a value of it that matches the instance. Filters for features that instances here never
# have are left out; `ec2/test_catalog.py` asks every filter that the model documents.
KNOWN = {
    "architecture": "x86_64",
    "availability-zone": "us-east-1a",
    "availability-zone-id": "use1-az*",
    "block-device-mapping.delete-on-termination": "true",
    "block-device-mapping.device-name": "/dev/xvda",
    "block-device-mapping.status": "attached",
    "block-device-mapping.volume-id": "vol-*",
    "client-token": r"The\*Token",
    "current-instance-boot-mode": "uefi",
    "dns-name": "ec2-*.compute-1.amazonaws.com",
    "hypervisor": "xen",
    "iam-instance-profile.arn": "arn:aws:iam::*:instance-profile/role",
    "image-id": "ami-*",
    "instance-state-code": "16",
    "instance-state-name": "running",
    "instance-type": "t3.micro",
    "instance.group-name": "default",
    "ip-address": "100.*",
    "launch-index": "0",
    "launch-time": "20??-*T*Z",
    "metadata-options.http-tokens": "required",
    "metadata-options.http-put-response-hop-limit": "2",
    "monitoring-state": "enabled",
    "network-interface.addresses.primary": "true",
    "network-interface.addresses.private-ip-address": "172.31.*",
    "network-interface.attachment.device-index": "0",
    "network-interface.attachment.status": "attached",
    "network-interface.group-name": "default",
    "network-interface.status": "in-use",
    "placement-group-name": "g",
    "placement-partition-number": "2",
    "platform-details": "Linux/UNIX",
    "private-ip-address": "172.31.*",
    "private-dns-name": "ip-172-31-*.ec2.internal",
    "reservation-id": "r-*",
    "root-device-name": "/dev/xvda",
    "root-device-type": "ebs",
    "source-dest-check": "true",
    "subnet-id": "subnet-*",
    "tag-key": "colour",
    "tag-value": "blue",
    "tag:colour": "blue",
    "tenancy": "default",
    "virtualization-type": "hvm",
    "vpc-id": "vpc-*",
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_filter_finds_the_instance_by_what_it_shows(one: tuple[Any, str], name: str) -> None:
    client, id = one
    assert id in found(client, name, KNOWN[name])
    assert id in found(client, name, "no such value", KNOWN[name])
    assert found(client, name, "no such value") == set()


def test_every_path_of_the_filter_table_leads_somewhere_in_a_running_instance(
    one: tuple[Any, str],
) -> None:
    """A misspelt path would make a filter that never matches, and no other test would fail."""
    client, id = one
    shown = {**described(client, id), "ReservationId": "r-", "OwnerId": "o"}
    # Members that other instances have, and this one does not.
    absent = {"key-name", "platform", "state-reason-code", "state-reason-message"}
    absent |= {name for name in INSTANCE_FILTERS if "ipv6-address" in name}
    absent |= {name for name in INSTANCE_FILTERS if name.endswith("capacity-reservation-id")}
    for name, path in INSTANCE_FILTERS.items():
        if path and not path.startswith("=") and name not in absent:
            assert list(getters({name: path})[name](shown)), f"{name} finds nothing at {path}"


def test_the_client_token_filter_is_exact_case_sensitive_and_takes_wildcards(
    plane: Plane,
) -> None:
    client = plane.client(keys=plane.account("tokens"))
    ids = {
        token: launch(client, ClientToken=token)["InstanceId"]
        for token in ("job-1", "job-2", "Job-1", "job", "a*b", "axb")
    }

    def tokens(*values: str) -> set[str]:
        by_id = {id: token for token, id in ids.items()}
        return {by_id[id] for id in found(client, "client-token", *values)}

    assert tokens("job-1") == {"job-1"}
    assert tokens("JOB-1") == set()
    assert tokens("job") == {"job"}
    assert tokens("job-1", "Job-1", "absent") == {"job-1", "Job-1"}
    assert tokens("job-*") == {"job-1", "job-2"}
    assert tokens("?ob-1") == {"job-1", "Job-1"}
    assert tokens("job-?", "a*b") == {"job-1", "job-2", "a*b", "axb"}
    assert tokens(r"a\*b") == {"a*b"}
    assert tokens("") == set()


@pytest.mark.parametrize("name", sorted(INSTANCE_FILTERS))
def test_every_filter_answers_whatever_state_instances_are_in(
    one: tuple[Any, str], name: str
) -> None:
    """A member that a running instance lacks (its state reason) must not crash a filter."""
    client, _ = one
    assert found(client, name, "no such value") == set()


def test_filters_join_with_and_and_their_values_with_or(one: tuple[Any, str]) -> None:
    client, id = one
    both = by_filter("instance-type", "t3.micro") + by_filter("tag:colour", "red", "blue")
    answer = client.describe_instances(Filters=both)["Reservations"]
    assert [each["InstanceId"] for each in answer[0]["Instances"]] == [id]
    neither = by_filter("instance-type", "t3.small") + by_filter("tag:colour", "blue")
    assert client.describe_instances(Filters=neither)["Reservations"] == []


@pytest.mark.parametrize("name", ["colour", "Client-Token", "tag:", "instance_id", ""])
@pytest.mark.parametrize("action", ["describe_instances", "describe_instance_status"])
def test_an_unknown_filter_is_refused(plane: Plane, action: str, name: str) -> None:
    call = getattr(plane.client(), action)
    refused = refusal(call, Filters=by_filter(name, "x"))
    assert (refused.code, refused.status) == ("InvalidParameterValue", 400)
    assert refused.message.startswith(f"The filter '{name or 'null'}' is invalid")


def test_ids_are_checked_before_anything_is_shown(plane: Plane) -> None:
    client = plane.client()
    id = launch(client)["InstanceId"]
    stranger = launch(plane.client(keys=plane.account("stranger")))["InstanceId"]
    describe = client.describe_instances
    assert code(describe, InstanceIds=[id, "i-x"]) == "InvalidInstanceID.Malformed"
    refused = refusal(describe, InstanceIds=[id, "i-00000000000000000", stranger])
    assert refused.code == "InvalidInstanceID.NotFound"
    assert refused.message == f"The instance IDs 'i-00000000000000000, {stranger}' do not exist"
    assert refusal(describe, InstanceIds=["i-x"]).message == 'Invalid id: "i-x"'
    assert refusal(describe, InstanceIds=["x"]).message == 'Invalid id: "x" (expecting "i-...")'
    assert found(client, "instance-id", stranger) == set()


def test_a_terminated_instance_is_shown_for_an_hour_without_what_it_gave_back(
    plane: Plane,
) -> None:
    client = plane.client(keys=plane.account("terminated"))
    id = running(client, ClientToken="gone", TagSpecifications=tagged(Name="gone"))
    client.terminate_instances(InstanceIds=[id])
    wait(client, "instance_terminated", id)
    shown = described(client, id)
    assert shown["BlockDeviceMappings"] == shown["NetworkInterfaces"] == []
    assert shown["SecurityGroups"] == []
    assert (shown["PrivateDnsName"], shown["PublicDnsName"]) == ("", "")
    assert not {"PrivateIpAddress", "PublicIpAddress", "SubnetId", "VpcId"} & shown.keys()
    assert shown["Tags"] == [{"Key": "Name", "Value": "gone"}]
    assert found(client, "client-token", "gone") == {id}


def test_instances_of_one_launch_share_a_reservation(plane: Plane) -> None:
    client = plane.client(keys=plane.account("reservation"))
    launched = client.run_instances(**{**LAUNCH, "MinCount": 3, "MaxCount": 3})
    launch(client)
    every = client.describe_instances()["Reservations"]
    assert sorted(len(each["Instances"]) for each in every) == [1, 3]
    [three] = [each for each in every if each["ReservationId"] == launched["ReservationId"]]
    assert three["OwnerId"] == launched["OwnerId"]


def test_pages_show_everything_once(plane: Plane) -> None:
    client = plane.client(keys=plane.account("pages"))
    launched = client.run_instances(**{**LAUNCH, "MinCount": 12, "MaxCount": 12})
    ids = {each["InstanceId"] for each in launched["Instances"]}
    wait(client, "instance_running", *ids)
    for operation, path in (
        ("describe_instances", "Reservations.Instances.InstanceId"),
        ("describe_instance_status", "InstanceStatuses.InstanceId"),
        ("describe_volumes", "Volumes.Attachments.InstanceId"),
        ("describe_network_interfaces", "NetworkInterfaces.Attachment.InstanceId"),
    ):
        paginator = client.get_paginator(operation)
        pages = list(paginator.paginate(PaginationConfig={"PageSize": 5}))
        shown = [id for each in pages for id in member(path)(each)]
        assert (len(pages), len(shown), set(shown)) == (3, 12, ids), operation


def test_pages_have_limits_and_tokens_of_their_own(plane: Plane) -> None:
    client = plane.client(keys=plane.account("page limits"))
    client.run_instances(**{**LAUNCH, "MinCount": 6, "MaxCount": 6})
    for size in (4, 0, -1, 1001):
        assert code(client.describe_instances, MaxResults=size) == "InvalidParameterValue"
    token = client.describe_instances(MaxResults=5)["NextToken"]
    rest = client.describe_instances(MaxResults=5, NextToken=token)
    assert len(rest["Reservations"][0]["Instances"]) == 1 and "NextToken" not in rest
    for other in (
        {"NextToken": "nonsense"},
        {"NextToken": token, "Filters": by_filter("instance-type", "t3.micro")},
    ):
        assert code(client.describe_instances, **other) == "InvalidParameterValue"
    id = next(iter(found(client, "instance-type", "t3.micro")))
    for call in (client.describe_instances, client.describe_instance_status):
        refused = refusal(call, InstanceIds=[id], MaxResults=5)
        assert refused.code == "InvalidParameterCombination"


def test_status_is_of_running_instances_unless_all_are_asked_for(plane: Plane) -> None:
    client = plane.client(keys=plane.account("status"))
    runs, stopped = running(client), running(client)
    client.stop_instances(InstanceIds=[stopped])
    wait(client, "instance_stopped", stopped)
    [status] = client.describe_instance_status()["InstanceStatuses"]
    assert status["InstanceId"] == runs and status["InstanceState"]["Name"] == "running"
    for name in ("InstanceStatus", "SystemStatus"):
        assert status[name] == {
            "Status": "ok",
            "Details": [{"Name": "reachability", "Status": "passed"}],
        }
    every = client.describe_instance_status(IncludeAllInstances=True)["InstanceStatuses"]
    assert {each["InstanceId"]: each["InstanceStatus"]["Status"] for each in every} == {
        runs: "ok",
        stopped: "not-applicable",
    }
    filters = by_filter("instance-state-name", "stopped")
    [only] = client.describe_instance_status(IncludeAllInstances=True, Filters=filters)[
        "InstanceStatuses"
    ]
    assert only["InstanceId"] == stopped
    assert client.describe_instance_status(InstanceIds=[stopped])["InstanceStatuses"] == []


def test_botocores_waiters_see_the_whole_life_of_an_instance(plane: Plane) -> None:
    client = plane.client()
    id = launch(client)["InstanceId"]
    for waiter in ("instance_exists", "instance_running", "instance_status_ok", "system_status_ok"):
        wait(client, waiter, id)
    volume = described(client, id)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    client.get_waiter("volume_in_use").wait(VolumeIds=[volume], WaiterConfig=AT_ONCE)
    client.stop_instances(InstanceIds=[id])
    wait(client, "instance_stopped", id)
    client.start_instances(InstanceIds=[id])
    wait(client, "instance_running", id)
    client.terminate_instances(InstanceIds=[id])
    wait(client, "instance_terminated", id)
    client.get_waiter("volume_deleted").wait(VolumeIds=[volume], WaiterConfig=AT_ONCE)


def test_the_console_tells_how_the_machine_came_up(plane: Plane) -> None:
    client = plane.client()
    id = running(client)
    answer = client.get_console_output(InstanceId=id)
    assert answer["InstanceId"] == id and answer["Timestamp"]
    # botocore decodes the base64 that EC2 sends.
    assert "pending -> running" in answer["Output"]
    assert client.get_console_output(InstanceId=id, Latest=True)["Output"] == answer["Output"]
    missing = "i-00000000000000000"
    assert code(client.get_console_output, InstanceId=missing) == "InvalidInstanceID.NotFound"
