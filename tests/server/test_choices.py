"""What an operator chooses changes what is answered, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ec2.asking import launch, refusal, wait
from plane import LAUNCH, Plane, running_plane
from sametoken.server.choices import Choices


def lose_tokens(client: Any, action: str) -> None:
    """Send `action` as a client without tokens does."""

    def drop(params: dict[str, Any], **context: Any) -> None:
        params["body"].pop("ClientToken", None)

    client.meta.events.register_first(f"before-call.ec2.{action}", drop)


def resend(client: Any, action: str, invocation: str) -> None:
    """Let every later call carry one invocation id, as attempts of one call do."""

    def set_id(context: dict[str, Any], **more: Any) -> None:
        context.setdefault("retries", {})["invocation-id"] = invocation

    client.meta.events.register_first(f"before-call.ec2.{action}", set_id)


def test_after_termination_a_replay_may_be_refused_and_still_launches_nothing(
    tmp_path: Path,
) -> None:
    with running_plane(tmp_path, choices=Choices(after_termination="error")) as plane:
        client = plane.client()
        asked = {**LAUNCH, "ClientToken": "over"}
        id = launch(client, ClientToken="over")["InstanceId"]
        assert client.run_instances(**asked)["Instances"][0]["InstanceId"] == id
        wait(client, "instance_running", id)
        client.terminate_instances(InstanceIds=[id])
        wait(client, "instance_terminated", id)
        refused = refusal(client.run_instances, **asked)
        assert (refused.code, refused.status) == ("IdempotentInstanceTerminated", 400)
        assert len(client.describe_instances()["Reservations"]) == 1


def make_vpc_twice(plane: Plane) -> list[str]:
    client = plane.client(keys=plane.account("twice"))
    resend(client, "CreateVpc", "0b0c6ac5-54f5-4b5c-8d2a-1f3c4c1f1a11")
    return [client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"] for _ in range(2)]


def test_invocations_stand_in_for_tokens_only_where_that_is_chosen(
    tmp_path: Path, plane: Plane
) -> None:
    assert len(set(make_vpc_twice(plane))) == 2, "CreateVpc has no token: a repeat is another"
    with running_plane(tmp_path, choices=Choices(dedupe_invocations=True)) as deduping:
        assert len(set(make_vpc_twice(deduping))) == 1
        client = deduping.client(keys=deduping.account("launches"))
        lose_tokens(client, "RunInstances")
        resend(client, "RunInstances", "0b0c6ac5-54f5-4b5c-8d2a-1f3c4c1f1a12")
        ids = {launch(client)["InstanceId"] for _ in range(2)}
        assert len(ids) == 1
        refused = refusal(client.run_instances, **{**LAUNCH, "InstanceType": "t3.small"})
        assert refused.code == "IdempotentParameterMismatch"
        gone = deduping.client(keys=deduping.account("twice"))
        vpc = gone.describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.0.0.0/16"]}])
        resend(gone, "DeleteVpc", "0b0c6ac5-54f5-4b5c-8d2a-1f3c4c1f1a13")
        for _ in range(2):
            gone.delete_vpc(VpcId=vpc["Vpcs"][0]["VpcId"])


def test_old_signatures_are_taken_unless_they_are_switched_off(
    tmp_path: Path, plane: Plane
) -> None:
    assert plane.client(signature_version="v2").describe_regions()["Regions"]
    with running_plane(tmp_path, choices=Choices(allow_signature_v2=False)) as strict:
        refused = refusal(strict.client(signature_version="v2").describe_regions)
        assert (refused.code, refused.status) == ("AuthFailure", 401)
        assert strict.client().describe_regions()["Regions"]
