"""Write the files kept of a release: a dump for each store, and the answers of its tokens.

    PYTHONPATH=src:tests python tests/store/releases/make.py 0.1.0

Run it when the release is made, and never again for that release; see README.md.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from ec2.asking import AT_ONCE, hand_runner, wait
from ec2.ground import Ground
from exercises.requests import Request as Asking
from exercises.requests import with_token
from plane import LAUNCH, Plane, running_plane
from sametoken import faults
from sametoken.faults import Point
from sametoken.resources.kit import counters
from sametoken.settings import Database, database_of, read_database
from store import servers
from store.releases.kept import FOLDER, Kept, Request, ids_in

# Long enough that a machine which boots when the dump is made is ready only afterwards.
_BOOT_SECONDS = 45.0
_ZONES = ("us-east-1a", "us-east-1b")


class _Gone(Exception):
    """Raised where the runner's process is to die."""


def main(version: str) -> None:
    release = FOLDER / version
    release.mkdir(exist_ok=True)
    with TemporaryDirectory() as name:
        key = Path(name) / "plane.db.key"
        _write(release, "sqlite", database_of(Path(name) / "plane.db"))
        # Both stores share the key, which does not depend on the store.
        shutil.copyfile(key, release / "key")
        _write(release, "postgresql", read_database(servers.new_database(), key))


def _write(release: Path, store: str, database: Database) -> None:
    (release / f"{store}.json").write_text(_live(database).to_json())
    if database.file is not None:
        with closing(sqlite3.connect(database.file)) as connection:
            lines = list(connection.iterdump())
    else:
        options = ("--inserts", "--no-owner", "--no-privileges")
        dump = servers.shared().command("pg_dump", *options, database.url)
        # Drop comments and the commands of `psql`.
        lines = [line for line in dump.splitlines() if line and not line.startswith(("--", "\\"))]
    (release / f"{store}.sql").write_text("\n".join(lines) + "\n")


def _live(database: Database) -> Kept:
    """Use the database with three nodes, one after another; return its tokens' last answers.

    The first and the last node have no runners: this code drives their launches, and leaves those
    of the last node unfinished.
    """
    assert database.key_file is not None, "it is beside the database"
    folder = database.key_file.parent
    with running_plane(folder, database=database, runners=0) as plane:
        keys = plane.account("kept")
        ground = Ground(plane, keys)
        requests = [_exercised(ground, asking) for asking in with_token()]
    with running_plane(folder, database=database) as plane:
        client = plane.client(keys=keys)
        requests += [*_in_both_zones(client), *_lived(client)]
        requests += [_failed(plane, client), _removed(client)]
        ending = _running(client, "ends")
    with running_plane(folder, database=database, runners=0, boot_seconds=_BOOT_SECONDS) as plane:
        client = plane.client(keys=keys)
        under_way = _under_way(plane, client)
        client.terminate_instances(InstanceIds=ending.ids)
        told = [_told(client, one) for one in [*requests, ending, *under_way]]
    tokens = [one.token for one in under_way]
    return Kept(keys.access_key_id, keys.secret, told, tokens, ending.ids[0])


def _told(client: Any, request: Request) -> Request:
    """Complete the request with the answer that its repeat gets in the end."""
    try:
        return replace(request, ids=_ask(client, request))
    except ClientError as refusal:
        return replace(request, ids=[], refusal=refusal.response["Error"]["Code"])


def _ask(client: Any, request: Request) -> list[str]:
    call = getattr(client, xform_name(request.action))
    found = ids_in(call(**request.asked, ClientToken=request.token))
    if request.action == "RunInstances":
        # An instance's volumes and interfaces may change; its token names only these ids.
        found = [id for id in found if id.startswith(("r-", "i-"))]
    return found


def _exercised(ground: Ground, asking: Asking) -> Request:
    asked = asking.ask(ground)
    token = f"exercise-{asking.action}"
    request = Request(asking.action, token, asked, asking.others(asked), [])
    _ask(ground.client, request)
    ground.later()
    return request


def _launch(token: str, **more: Any) -> Request:
    asked = {**LAUNCH, **more}
    return Request("RunInstances", token, asked, {**asked, "InstanceType": "t3.small"}, [])


def _running(client: Any, token: str, **more: Any) -> Request:
    """Launch, and wait until the instances run; `ids` are those of the instances only."""
    request = _launch(token, **more)
    answer = client.run_instances(**request.asked, ClientToken=token)
    ids = [one["InstanceId"] for one in answer["Instances"]]
    wait(client, "instance_running", *ids)
    return replace(request, ids=ids)


def _in_both_zones(client: Any) -> list[Request]:
    """Use one token in two zones."""
    places = [{"Placement": {"AvailabilityZone": zone}} for zone in _ZONES]
    return [_running(client, "in-both-zones", **place) for place in places]


def _lived(client: Any) -> list[Request]:
    """Make launches that are repeated, refused a repeat, stopped, terminated."""
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "kept"}]}]
    repeated = _running(client, "repeated", UserData="secret", TagSpecifications=tags)
    _ask(client, repeated)
    with suppress(ClientError):
        client.run_instances(**repeated.other, ClientToken=repeated.token)
    several = _running(client, "several", MinCount=2, MaxCount=3)
    stopped, terminated = _running(client, "stopped"), _running(client, "terminated")
    client.stop_instances(InstanceIds=stopped.ids)
    wait(client, "instance_stopped", *stopped.ids)
    client.terminate_instances(InstanceIds=terminated.ids)
    wait(client, "instance_terminated", *terminated.ids)
    return [repeated, several, stopped, terminated]


def _failed(plane: Plane, client: Any) -> Request:
    """Make a launch fail for lack of capacity: its token is bound, but no instance is made."""
    name = f"capacity/{_ZONES[0]}/c5.large"
    plane.run(partial(counters.set_maximum, name=name, maximum=0))
    place = {"AvailabilityZone": _ZONES[0]}
    request = _launch("failed", Placement=place, InstanceType="c5.large")
    assert _told(client, request).refusal == "InsufficientInstanceCapacity"
    return request


def _removed(client: Any) -> Request:
    """Make a volume and delete it."""
    asked = {"AvailabilityZone": _ZONES[0], "Size": 3}
    request = Request("CreateVolume", "removed", asked, {**asked, "Size": 4}, [])
    [id] = _ask(client, request)
    client.get_waiter("volume_available").wait(VolumeIds=[id], WaiterConfig=AT_ONCE)
    client.delete_volume(VolumeId=id)
    return request


def _under_way(plane: Plane, client: Any) -> list[Request]:
    """Make launches: a booting one, one whose runner died between two steps, one not begun."""
    runner = hand_runner(plane)

    def die(point: Point) -> None:
        if point is Point.VOLUMES_CALLED:
            raise _Gone

    booting, abandoned, queued = (_launch(name) for name in ("booting", "abandoned", "queued"))
    _ask(client, booting)
    while runner.run_once():
        pass
    _ask(client, abandoned)
    faults.install(die)
    with suppress(_Gone):
        runner.run_once()
    faults.install(None)
    _ask(client, queued)
    return [booting, abandoned, queued]


if __name__ == "__main__":
    main(*sys.argv[1:])
