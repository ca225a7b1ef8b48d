"""Tokens of terminated instances: a late retry launches nothing, until a day has passed.

A day after the last of its instances ended, the token and what it made are forgotten.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from ec2.asking import code, described, end, found, insert, launch, running, wait
from plane import LAUNCH, Plane
from sametoken.resources.catalogues import images
from sametoken.resources.compute.key_pairs import KEY_PAIR
from sametoken.resources.compute.placements import placement_id
from sametoken.resources.kit import rows, transitions
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import vpcs
from sametoken.resources.storage.account_images import IMAGE
from sametoken.services.housekeeping import sweep
from sametoken.store.port import Tx
from sametoken.workflow import work

HOUR = timedelta(hours=1)


def sweep_all(plane: Plane) -> int:
    """Sweep until nothing is due, and return how many rows were removed."""
    total = 0
    while swept := plane.run(lambda tx: sweep(tx, plane.node.engine)):
        total += swept
    return total


def terminate(client: Any, *ids: str) -> None:
    client.terminate_instances(InstanceIds=list(ids))
    wait(client, "instance_terminated", *ids)


def own_things(plane: Plane) -> dict[str, Row]:
    """Make the account a VPC with a subnet and groups, a key pair and an image of its own."""
    account = plane.keys.account

    def place(tx: Tx, kind: Any, doc: dict[str, Any], *parents: str, **more: Any) -> Row:
        id = mint(tx, kind.prefix)
        return Row(
            id, kind.name, account, "us-east-1", "available", doc, tx.now, parents=parents, **more
        )

    vpc = insert(plane, lambda tx: place(tx, vpcs.VPC, {"CidrBlock": "10.0.0.0/16"}))
    group_doc = {"GroupName": "mine", "VpcId": vpc.id, "Description": "mine"}
    subnet_doc = {
        "VpcId": vpc.id,
        "CidrBlock": "10.0.1.0/24",
        "AvailabilityZone": "us-east-1a",
        "AvailabilityZoneId": "use1-az1",
        "DefaultForAz": False,
        "MapPublicIpOnLaunch": False,
    }
    image = images.describe(images.all_images("us-east-1")[7])
    image_doc = {name: value for name, value in image.items() if name != "ImageId"}
    return {
        "vpc": vpc,
        "group": insert(plane, lambda tx: place(tx, vpcs.SECURITY_GROUP, group_doc, vpc.id)),
        "subnet": insert(
            plane, lambda tx: place(tx, vpcs.SUBNET, subnet_doc, vpc.id, zone="us-east-1a")
        ),
        "key": insert(plane, lambda tx: place(tx, KEY_PAIR, {}, name="mine")),
        "image": insert(plane, lambda tx: place(tx, IMAGE, image_doc)),
    }


def test_a_token_replays_when_all_it_named_is_gone_and_is_forgotten_a_day_later(
    plane: Plane,
) -> None:
    client = plane.client()
    client.describe_vpcs()
    own = own_things(plane)
    params = {
        **LAUNCH,
        "ClientToken": "late",
        "ImageId": own["image"].id,
        "KeyName": "mine",
        "SubnetId": own["subnet"].id,
        "SecurityGroupIds": [own["group"].id],
    }
    first = client.run_instances(**params)
    id = first["Instances"][0]["InstanceId"]
    assert first["Instances"][0]["KeyName"] == "mine"
    wait(client, "instance_running", id)
    terminate(client, id)
    for name, kind in (
        ("subnet", vpcs.SUBNET), ("group", vpcs.SECURITY_GROUP), ("vpc", vpcs.VPC),
        ("key", KEY_PAIR), ("image", IMAGE),
    ):  # fmt: skip
        end(plane, kind, own[name].id)
    plane.advance(23 * HOUR)
    sweep_all(plane)
    replay = client.run_instances(**params)
    assert replay["ReservationId"] == first["ReservationId"]
    assert [one["InstanceId"] for one in replay["Instances"]] == [id]
    assert replay["Instances"][0]["State"] == {"Code": 48, "Name": "terminated"}
    assert code(client.describe_instances, InstanceIds=[id]) == "InvalidInstanceID.NotFound"
    plane.advance(1.1 * HOUR)
    assert sweep_all(plane) > 0
    # The token is forgotten, so the request is checked anew, and its image no longer exists.
    assert code(client.run_instances, **params) == "InvalidAMIID.NotFound"


def test_retention_counts_from_the_end_of_the_last_instance(plane: Plane) -> None:
    client = plane.client()
    params = {**LAUNCH, "ClientToken": "two", "MinCount": 2, "MaxCount": 2}
    ids = [one["InstanceId"] for one in client.run_instances(**params)["Instances"]]
    wait(client, "instance_running", *ids)
    terminate(client, ids[0])
    plane.advance(30 * 24 * HOUR)
    sweep_all(plane)
    terminate(client, ids[1])
    plane.advance(23 * HOUR)
    sweep_all(plane)
    replay = client.run_instances(**params)["Instances"]
    assert [one["InstanceId"] for one in replay] == ids
    assert {one["State"]["Name"] for one in replay} == {"terminated"}
    plane.advance(2 * HOUR)
    sweep_all(plane)
    again = [one["InstanceId"] for one in client.run_instances(**params)["Instances"]]
    assert not set(again) & set(ids)


def test_a_replay_does_not_prolong_retention(plane: Plane) -> None:
    client = plane.client()
    id = running(client, ClientToken="often")
    terminate(client, id)
    for _ in range(3):
        plane.advance(7 * HOUR)
        assert launch(client, ClientToken="often")["InstanceId"] == id
    plane.advance(4 * HOUR)
    sweep_all(plane)
    assert launch(client, ClientToken="often")["InstanceId"] != id


def test_a_sweep_leaves_nothing_of_what_is_forgotten_and_takes_nothing_else(plane: Plane) -> None:
    client = plane.client()
    gone, kept = running(client, ClientToken="gone"), running(client, ClientToken="kept")
    volume = described(client, gone)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    terminate(client, gone)
    plane.advance(25 * HOUR)
    sweep_all(plane)
    ids = [gone, volume, placement_id(gone)]
    assert plane.run(lambda tx: rows.by_ids(tx, ids)) == {}
    assert plane.run(lambda tx: transitions.of(tx, gone)) == []
    assert plane.run(lambda tx: work.find(tx, gone)) is None
    assert launch(client, ClientToken="kept")["InstanceId"] == kept


def test_a_sweep_never_races_a_replay(plane: Plane) -> None:
    """Replays meet the sweep as retention ends: each tells the old instance or one new launch."""
    client = plane.client(max_pool_connections=8)
    old = running(client, ClientToken="race")
    terminate(client, old)
    plane.advance(25 * HOUR)

    def replay(number: int) -> str:
        if number % 3 == 0:
            plane.run(lambda tx: sweep(tx, plane.node.engine))
        id: str = launch(client, ClientToken="race")["InstanceId"]
        return id

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(replay, range(48)))
    new = ids - {old}
    assert len(new) == 1, "one launch after the token was forgotten, however many asked"
    assert found(client, "client-token", "race") == new
