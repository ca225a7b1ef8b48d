"""An operator's choices change certain answers, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ec2.asking import launch, refusal, wait
from plane import LAUNCH, Plane, everything, running_plane
from sametoken.ec2.kit.packing import packed
from sametoken.idempotency import entries, tables
from sametoken.resources.account import accounts
from sametoken.server.choices import Choices
from sametoken.server.rates import Rate


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


def test_no_entry_keeps_what_the_model_calls_sensitive(tmp_path: Path) -> None:
    secret = "b2ggbm8="
    with running_plane(tmp_path, choices=Choices(dedupe_invocations=True)) as plane:
        client = plane.client()
        client.create_launch_template(
            LaunchTemplateName="web", LaunchTemplateData={"UserData": secret}, ClientToken="t"
        )
        id = launch(client, UserData=secret)["InstanceId"]
        wait(client, "instance_running", id)
        client.stop_instances(InstanceIds=[id])
        wait(client, "instance_stopped", id)
        client.modify_instance_attribute(InstanceId=id, UserData={"Value": secret})
        kept = repr(everything(plane.store)["idempotency_entry"])
    assert "LaunchTemplateData.UserData" in kept
    assert "UserData.Value" in kept
    assert [one for one in (secret, "b2ggbm8", "oh no") if one in kept] == []


def test_an_answer_that_0_1_0_kept_whole_is_heard_again(tmp_path: Path) -> None:
    answer = {"Vpc": {"VpcId": "vpc-0a", "CidrBlock": "10.0.0.0/16"}}
    with running_plane(tmp_path, choices=Choices(dedupe_invocations=True)) as plane:
        client = plane.client()
        resend(client, "CreateVpc", "0b0c6ac5-54f5-4b5c-8d2a-1f3c4c1f1a14")
        made = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        as_0_1_0 = sa.update(tables.ENTRY).values(identities={"answer": packed(answer)})
        plane.run(
            lambda tx: tx.execute(
                as_0_1_0.where(sa.cast(tables.ENTRY.c.identities, sa.Text).contains(made))
            )
        )
        assert client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"] == answer["Vpc"]


def test_old_signatures_are_taken_unless_they_are_switched_off(
    tmp_path: Path, plane: Plane
) -> None:
    assert plane.client(signature_version="v2").describe_regions()["Regions"]
    with running_plane(tmp_path, choices=Choices(allow_signature_v2=False)) as strict:
        refused = refusal(strict.client(signature_version="v2").describe_regions)
        assert (refused.code, refused.status) == ("AuthFailure", 401)
        assert strict.client().describe_regions()["Regions"]


def test_one_account_may_be_held_to_version_4(plane: Plane) -> None:
    old, new = plane.account("old-clients"), plane.account("new-clients")
    plane.run(lambda tx: accounts.allow_signature_v2(tx, "new-clients", False))
    refused = refusal(plane.client(keys=new, signature_version="v2").describe_regions)
    assert (refused.code, refused.status) == ("AuthFailure", 401)
    assert "this account" in refused.message
    assert plane.client(keys=new).describe_regions()["Regions"]
    assert plane.client(keys=old, signature_version="v2").describe_regions()["Regions"]


def test_a_throttled_launch_binds_nothing_and_others_go_on(tmp_path: Path) -> None:
    # A rate so slow that no second token comes while the test runs.
    rates = {"RunInstances": Rate(0.0001, 1)}
    with running_plane(tmp_path, choices=Choices(rates=rates)) as plane:
        client, stranger = plane.client(), plane.client(keys=plane.account("stranger"))
        id = launch(client, ClientToken="first")["InstanceId"]
        for token in ("first", "second"):
            refused = refusal(client.run_instances, **LAUNCH, ClientToken=token)
            assert (refused.code, refused.status) == ("RequestLimitExceeded", 503)
        assert launch(plane.client(region="eu-west-1"), ClientToken="first")["InstanceId"] != id
        assert launch(stranger, ClientToken="first")["InstanceId"] != id
        assert len(client.describe_instances()["Reservations"]) == 1
        assert plane.run(lambda tx: entries.find_everywhere(tx, "second")) == []


def test_whoever_cannot_sign_spends_nobodys_tokens(tmp_path: Path) -> None:
    with running_plane(tmp_path, choices=Choices(rates={"*": Rate(0.0001, 1)})) as plane:
        forger = plane.client(keys=replace(plane.keys, secret="guessed"))
        for _ in range(3):
            assert refusal(forger.describe_vpcs).code == "SignatureDoesNotMatch"
        assert plane.client().describe_vpcs()["Vpcs"]
        assert refusal(plane.client().describe_vpcs).code == "RequestLimitExceeded"
