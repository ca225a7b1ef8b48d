"""Client tokens as callers meet them: form, scope, and the parameters that are compared."""

from __future__ import annotations

from typing import Any

import pytest

from ec2.asking import code, described, end, found, injected, insert, launch, refusal
from plane import LAUNCH, Plane
from sametoken.ec2.kit.actions import GENERAL_MISMATCH
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import default_vpc, vpcs
from sametoken.store.port import Tx


def without_token(plane: Plane, **params: Any) -> Any:
    """Return a client that strips the token that botocore adds to every request."""
    client = plane.client(**params)

    def strip(params: dict[str, Any], **context: Any) -> None:
        del params["body"]["ClientToken"]

    client.meta.events.register_first("before-call.ec2.RunInstances", strip)
    return client


def subnets(client: Any) -> dict[str, str]:
    """Return the default subnets, by zone."""
    every = client.describe_subnets()["Subnets"]
    return {one["AvailabilityZone"]: one["SubnetId"] for one in every}


def test_a_token_of_64_characters_works_and_is_echoed(plane: Plane) -> None:
    client, token = plane.client(), "x" * 64
    first = launch(client, ClientToken=token)
    assert first["ClientToken"] == token
    assert launch(client, ClientToken=token)["InstanceId"] == first["InstanceId"]


@pytest.mark.parametrize(
    "token",
    ["", " ", " \t ", "x" * 65, "x" * 63 + "  ", "tok\N{LATIN SMALL LETTER E WITH ACUTE}", "a\nb"],
    ids=["empty", "blank", "blanks", "65", "65 before the trim", "not ascii", "line end"],
)
def test_a_token_that_breaks_the_grammar_is_refused_in_ec2s_words(plane: Plane, token: str) -> None:
    client = plane.client(keys=plane.account("grammar"))
    for dry_run in (False, True):
        refused = refusal(client.run_instances, **LAUNCH, ClientToken=token, DryRun=dry_run)
        assert (refused.code, refused.status) == ("InvalidParameterValue", 400)
        assert refused.message.startswith(f"Value ({token}) for parameter clientToken is invalid")
    assert client.describe_instances()["Reservations"] == []


def test_a_control_character_is_refused_as_no_xml(plane: Plane) -> None:
    assert code(plane.client().run_instances, **LAUNCH, ClientToken="a\x01") == "InvalidCharacter"


def test_tokens_that_differ_in_case_are_two(plane: Plane) -> None:
    client = plane.client()
    upper, lower = (launch(client, ClientToken=token) for token in ("Tok", "tok"))
    assert upper["InstanceId"] != lower["InstanceId"]
    assert found(client, "client-token", "Tok") == {upper["InstanceId"]}


def test_a_padded_token_is_trimmed(plane: Plane) -> None:
    client = plane.client()
    padded = launch(client, ClientToken="  padded\t")
    assert padded["ClientToken"] == "padded"
    assert launch(client, ClientToken="padded")["InstanceId"] == padded["InstanceId"]


def test_punctuation_and_inner_blanks_belong_to_a_token(plane: Plane) -> None:
    client, token = plane.client(), "a <b>&amp; 'c' \"d\" 100% +/="
    first = launch(client, ClientToken=token)
    assert first["ClientToken"] == token
    assert launch(client, ClientToken=token)["InstanceId"] == first["InstanceId"]


def test_without_a_token_every_request_launches_and_none_is_echoed(plane: Plane) -> None:
    client = without_token(plane)
    first, second = launch(client), launch(client)
    assert first["InstanceId"] != second["InstanceId"]
    assert "ClientToken" not in first and "ClientToken" not in described(
        client, first["InstanceId"]
    )


def test_another_region_and_another_account_have_tokens_of_their_own(plane: Plane) -> None:
    token = "everywhere"
    clients = [
        plane.client(),
        plane.client(region="eu-west-1"),
        plane.client(keys=plane.account("neighbour")),
    ]
    first = [launch(client, ClientToken=token)["InstanceId"] for client in clients]
    again = [launch(client, ClientToken=token)["InstanceId"] for client in clients]
    assert len(set(first)) == 3 and again == first


def test_two_keys_of_one_account_share_its_tokens(plane: Plane) -> None:
    keys = [plane.account("shared"), plane.account("shared")]
    assert keys[0].access_key_id != keys[1].access_key_id
    one, two = (launch(plane.client(keys=key), ClientToken="ours")["InstanceId"] for key in keys)
    assert one == two


def in_zones(client: Any) -> list[dict[str, Any]]:
    """Return launches into four zones, each of which names its zone in another way."""
    by_zone = subnets(client)
    return [
        {"SubnetId": by_zone["us-east-1a"]},
        {"Placement": {"AvailabilityZone": "us-east-1b"}},
        {"Placement": {"AvailabilityZoneId": zone_id(client, "us-east-1c")}},
        {"NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": by_zone["us-east-1d"]}]},
    ]


def zone_id(client: Any, name: str) -> str:
    zones = client.describe_availability_zones(ZoneNames=[name])["AvailabilityZones"]
    id: str = zones[0]["ZoneId"]
    return id


def test_one_token_launches_once_in_each_zone_and_replays_there(plane: Plane) -> None:
    client = plane.client(keys=plane.account("zones"))
    wheres = in_zones(client)
    first = [launch(client, ClientToken="zonal", **where) for where in wheres]
    assert [one["Placement"]["AvailabilityZone"] for one in first] == [
        f"us-east-1{letter}" for letter in "abcd"
    ]
    ids = [one["InstanceId"] for one in first]
    again = [launch(client, ClientToken="zonal", **where)["InstanceId"] for where in wheres]
    assert len(set(ids)) == 4 and again == ids
    assert found(client, "client-token", "zonal") == set(ids)


def test_other_parameters_in_a_zone_already_used_mismatch(plane: Plane) -> None:
    client = plane.client()
    where = {"Placement": {"AvailabilityZone": "us-east-1a"}}
    launch(client, ClientToken="zone-used", **where)
    for other in (
        {**where, "InstanceType": "t3.small"},
        {"SubnetId": subnets(client)["us-east-1a"]},
        {"Placement": {"AvailabilityZoneId": zone_id(client, "us-east-1a")}},
    ):
        params = {**LAUNCH, "ClientToken": "zone-used", **other}
        assert code(client.run_instances, **params) == "IdempotentParameterMismatch"


@pytest.mark.parametrize("zonal_first", [False, True])
def test_regional_and_zonal_use_of_one_token_mismatch(plane: Plane, zonal_first: bool) -> None:
    client, token = plane.client(), f"both-{zonal_first}"
    zonal = {**LAUNCH, "ClientToken": token, "Placement": {"AvailabilityZone": "us-east-1a"}}
    regional = {**LAUNCH, "ClientToken": token}
    first, second = (zonal, regional) if zonal_first else (regional, zonal)
    id = client.run_instances(**first)["Instances"][0]["InstanceId"]
    assert code(client.run_instances, **second) == "IdempotentParameterMismatch"
    assert client.run_instances(**first)["Instances"][0]["InstanceId"] == id
    assert found(client, "client-token", token) == {id}


def test_an_empty_zone_is_no_zone(plane: Plane) -> None:
    """Terraform sends `Placement.AvailabilityZone=` with an empty value."""
    client = plane.client()
    first = launch(client, ClientToken="no-zone", Placement={"AvailabilityZone": ""})
    again = launch(client, ClientToken="no-zone")
    assert first["InstanceId"] == again["InstanceId"]


def test_a_launch_into_a_subnet_that_is_gone_replays(plane: Plane) -> None:
    client = plane.client()

    def lay_out(tx: Tx) -> Row:
        like = default_vpc.subnets(tx, plane.keys.account, "us-east-1")[0]
        doc = {**like.doc, "CidrBlock": "172.31.200.0/24", "DefaultForAz": False}
        id = mint(tx, "subnet")
        parents = (like.doc["VpcId"],)
        return Row(
            id, "subnet", like.account, like.region, "available", doc, tx.now, like.zone,
            parents=parents,
        )  # fmt: skip

    launch(client)  # gives the account its default VPC in the Region
    subnet = insert(plane, lay_out).id
    first = launch(client, ClientToken="subnet-gone", SubnetId=subnet)
    end(plane, vpcs.SUBNET, subnet)
    assert code(client.describe_subnets, SubnetIds=[subnet]) == "InvalidSubnetID.NotFound"
    again = launch(client, ClientToken="subnet-gone", SubnetId=subnet)
    assert again["InstanceId"] == first["InstanceId"]
    other = {**LAUNCH, "ClientToken": "subnet-gone", "SubnetId": subnet, "MaxCount": 2}
    assert code(client.run_instances, **other) == "IdempotentParameterMismatch"
    assert code(client.run_instances, **LAUNCH, SubnetId=subnet) == "InvalidSubnetID.NotFound"


def test_a_mismatch_is_told_in_ec2s_words_and_changes_nothing(plane: Plane) -> None:
    client = plane.client()
    first = launch(client, ClientToken="mismatch")
    refused = refusal(client.run_instances, **{**LAUNCH, "MaxCount": 2}, ClientToken="mismatch")
    assert (refused.code, refused.status, refused.message) == (
        "IdempotentParameterMismatch",
        400,
        GENERAL_MISMATCH,
    )
    assert found(client, "client-token", "mismatch") == {first["InstanceId"]}


@pytest.mark.parametrize(
    "changed",
    [
        {"InstanceType": "t3.small"},
        {"MinCount": 1, "MaxCount": 2},
        {"UserData": "other"},
        {"MetadataOptions": {"HttpPutResponseHopLimit": 3}},
        {"DisableApiTermination": False},
        {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "2"}]}]},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_every_parameter_that_was_sent_counts(plane: Plane, changed: dict[str, Any]) -> None:
    client, token = plane.client(), f"counts-{next(iter(changed))}"
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "1"}]}]
    params = {**LAUNCH, "ClientToken": token, "TagSpecifications": tags, "UserData": "script"}
    client.run_instances(**params)
    assert code(client.run_instances, **{**params, **changed}) == "IdempotentParameterMismatch"
    minimal = {**LAUNCH, "ClientToken": token}
    assert code(client.run_instances, **minimal) == "IdempotentParameterMismatch"


def test_the_order_of_sets_and_the_dry_run_flag_do_not_count(plane: Plane) -> None:
    client = plane.client()
    tags = [{"Key": key, "Value": key} for key in "abc"]
    specifications = [
        {"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume", "network-interface")
    ]
    params = {**LAUNCH, "ClientToken": "sets", "DryRun": False}
    first = client.run_instances(**params, TagSpecifications=specifications)
    turned = [{**one, "Tags": tags[::-1]} for one in reversed(specifications)]
    del params["DryRun"]
    again = client.run_instances(**params, TagSpecifications=turned)
    assert again["ReservationId"] == first["ReservationId"]


def test_a_refused_first_attempt_binds_nothing(plane: Plane) -> None:
    """Terraform retries a launch with the same token after a 4xx, and may change parameters."""
    client, token = plane.client(), "refused-first"
    for params in (
        {"KeyName": "absent"},
        {"SubnetId": "subnet-00000000000000000"},
        {"ImageId": "ami-00000000000000000"},
        {"InstanceType": "x.invalid"},
        {"DryRun": True},
    ):
        refusal(client.run_instances, **{**LAUNCH, "ClientToken": token, **params})
    id = launch(client, ClientToken=token)["InstanceId"]
    assert found(client, "client-token", token) == {id}


def test_an_unknown_parameter_binds_nothing(plane: Plane) -> None:
    client = plane.client()
    injected(client, "RunInstances", Colour="blue")
    assert code(client.run_instances, **LAUNCH, ClientToken="unknown") == "UnknownParameter"
    assert launch(plane.client(), ClientToken="unknown", InstanceType="t3.small")["InstanceId"]
