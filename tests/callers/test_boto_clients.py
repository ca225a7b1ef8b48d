"""Clients that `sametoken.testing` makes: quickly, and of boto3 alone."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import botocore.client
import botocore.session
import sqlalchemy as sa
from botocore.loaders import create_loader

from plane import LAUNCH
from sametoken.operate.opening import open_store
from sametoken.settings import database_of
from sametoken.store.port import Tx
from sametoken.testing import Account, Server
from sametoken.testing import clients as making
from sametoken.world import RealWorld


def described(client: Any) -> Any:
    return client.describe_instances()["Reservations"]


def test_clients_of_a_service_share_their_class_and_no_account(public_server: Server) -> None:
    one, other = public_server.account(), public_server.account(region="eu-west-1")
    first, second = one.client(), other.client()
    assert type(first) is type(second) and type(first) is not type(one.client("sts"))
    first.run_instances(**LAUNCH)
    assert (len(described(first)), described(second)) == (1, [])
    assert second.meta.region_name == "eu-west-1"
    assert one.client("sts").get_caller_identity()["Account"] == one.id


def test_sessions_of_others_make_clients_as_ever(account: Account) -> None:
    creator = botocore.client.ClientCreator
    account.client()
    assert botocore.client.ClientCreator is creator
    own = botocore.session.Session().create_client(
        "ec2", region_name="us-east-1", endpoint_url=account.url,
        aws_access_key_id=account.access_key_id, aws_secret_access_key=account.secret_access_key,
    )  # fmt: skip
    assert described(own) == []


def test_a_service_is_described_as_botocore_reads_it() -> None:
    loader, quick = create_loader(), create_loader()
    quick.file_loader = making.FileLoader()
    for service, what in (("sts", "service-2"), ("ec2", "paginators-1"), ("ec2", "waiters-2")):
        read = loader.load_service_model(service, what)
        assert quick.load_service_model(service, what) == read
    assert quick.load_data("partitions") == loader.load_data("partitions")


def test_the_collector_passes_over_what_is_there_once_a_client_is_made(account: Account) -> None:
    account.client()
    frozen = gc.get_freeze_count()
    assert frozen > 100_000
    account.client()
    # Objects that end meanwhile leave the count; another freeze would add to it.
    assert gc.get_freeze_count() <= frozen, "once for each service"


def test_no_commit_waits_for_the_disk_where_the_data_goes_with_the_tests(
    tmp_path: Path, public_server: Server
) -> None:
    def level(tx: Tx) -> int:
        found: int = tx.execute(sa.text("PRAGMA synchronous")).scalar_one()
        return found

    assert public_server.here.store.run(level) == 0
    with open_store(database_of(tmp_path / "lasting.db"), RealWorld()) as lasting:
        assert lasting.run(level) == 2, "of every other server each commit does"
