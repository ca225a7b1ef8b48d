"""boto3 behind a bad network, in each of its retry modes: one instance per call.

The waits between its tries are skipped: they are the client's own, and no test depends on them.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import pytest
from botocore.exceptions import ConnectionClosedError
from botocore.parsers import ResponseParserError

from clients.process import PATIENCE_SECONDS, identity, launch, until
from plane import Plane, new_database, running_plane
from sametoken.operate.opened import Opened
from sametoken.operate.tokens import newest
from sametoken.testing import Fate, Passage, Policy, drop_first_replies, lossy_proxy
from sdk import Keys, client

MODES = ("legacy", "standard", "adaptive")
TRIES = 5
# Fates of the first tries of a launch; the next try passes.
BAD_LUCK: Mapping[str, Sequence[Fate]] = {
    "the request is lost": (Fate.DROP_REQUEST,),
    "the reply is lost": (Fate.DROP_REPLY,),
    "two replies are lost": (Fate.DROP_REPLY, Fate.DROP_REPLY),
    "the request arrives twice": (Fate.DUPLICATE,),
    "503 after the effect": (Fate.SERVER_ERROR,),
    "all of it in turn": (Fate.SERVER_ERROR, Fate.DROP_REQUEST, Fate.DROP_REPLY, Fate.DUPLICATE),
}
# Times that the server hears of a request with this fate; once if not listed.
ARRIVALS = {Fate.DROP_REQUEST: 0, Fate.DUPLICATE: 2}
# Fates after which botocore tries again: not after a cut reply.
RETRIED = [fate for fate in Fate if fate is not Fate.CUT_REPLY]
# Fates after which the client has its answer.
ANSWERED = (Fate.PASS, Fate.DUPLICATE)

in_every_mode = pytest.mark.parametrize("mode", MODES)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def plane(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plane]:
    folder = tmp_path_factory.mktemp("retries")
    with running_plane(folder, database=new_database(folder, request.param)) as running:
        yield running


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda seconds: None))


def in_turn(fates: Sequence[Fate]) -> Policy:
    """Let the first tries of every RunInstances meet these fates, and the others pass."""

    def policy(passage: Passage) -> Fate:
        met = passage.action == "RunInstances" and passage.attempt <= len(fates)
        return fates[passage.attempt - 1] if met else Fate.PASS

    return policy


def by_chance(seed: int) -> Policy:
    """Draw any fate for any try but the client's last, which passes."""
    chance = random.Random(seed)

    def policy(passage: Passage) -> Fate:
        last = passage.action != "RunInstances" or passage.attempt >= TRIES
        return Fate.PASS if last else chance.choice(RETRIED)

    return policy


def client_of(keys: Keys, url: str, mode: str) -> Any:
    return client(url, keys, retries={"mode": mode, "total_max_attempts": TRIES})


def without_token(params: Any, **_: Any) -> None:
    """Take out the token that botocore has filled in, before the request is signed."""
    del params["body"]["ClientToken"]


def instances(ec2: Any) -> list[Any]:
    found = ec2.describe_instances()["Reservations"]
    return [one for each in found for one in each["Instances"]]


def arrivals(plane: Plane, keys: Keys) -> int:
    """The number of launches that the server has heard of, repeats included."""
    plane.node.journal.write(plane.store)
    here = Opened(plane.node.settings.database, plane.store)
    listed = newest(here, account=keys.account, limit=1000)
    return sum(one.attempts for one in listed if one.action == "RunInstances")


def counts_when_running(plane: Plane, keys: Keys) -> tuple[int, int, int]:
    """Wait until all instances run; count the account's instances, volumes and interfaces."""
    ec2 = client(plane.url, keys)
    until(
        lambda: all(one["State"]["Name"] == "running" for one in instances(ec2)), "all are running"
    )
    return (
        len(instances(ec2)),
        len(ec2.describe_volumes()["Volumes"]),
        len(ec2.describe_network_interfaces()["NetworkInterfaces"]),
    )


@in_every_mode
@pytest.mark.parametrize("luck", BAD_LUCK)
def test_a_call_is_one_instance_whatever_the_network_does(
    plane: Plane, mode: str, luck: str
) -> None:
    keys = plane.account(f"{mode}: {luck}")
    fates = BAD_LUCK[luck]
    with lossy_proxy(plane.url, in_turn(fates)) as proxy:
        answer = launch(client_of(keys, proxy.url, mode), None)
        tries = len(fates) + (fates[-1] not in ANSWERED)
        assert proxy.count("RunInstances") == tries
    heard = sum(ARRIVALS.get(fate, 1) for _, fate in proxy.passages)
    assert arrivals(plane, keys) == heard
    assert counts_when_running(plane, keys) == (1, 1, 1)
    assert [one["InstanceId"] for one in instances(client(plane.url, keys))] == list(
        identity(answer)[1:]
    )


@in_every_mode
def test_many_calls_through_a_random_network_are_as_many_instances(plane: Plane, mode: str) -> None:
    keys = plane.account(f"{mode}: by chance")
    seed = MODES.index(mode)
    with lossy_proxy(plane.url, by_chance(seed)) as proxy:
        ec2 = client_of(keys, proxy.url, mode)
        made = [launch(ec2, None)["Instances"][0]["InstanceId"] for _ in range(10)]
    heard = sum(ARRIVALS.get(fate, 1) for _, fate in proxy.passages)
    assert arrivals(plane, keys) == heard > len(made), (seed, proxy.passages)
    assert sorted(made) == sorted(one["InstanceId"] for one in instances(client(plane.url, keys)))
    assert counts_when_running(plane, keys) == (10, 10, 10)


@in_every_mode
def test_a_cut_reply_is_an_error_that_the_caller_may_repeat(plane: Plane, mode: str) -> None:
    """The caller gives its own token: botocore would fill in another one for another call."""
    keys = plane.account(f"{mode}: cut reply")
    with lossy_proxy(plane.url, in_turn([Fate.CUT_REPLY])) as proxy:
        ec2 = client_of(keys, proxy.url, mode)
        with pytest.raises(ResponseParserError):
            launch(ec2, "cut")
        assert proxy.count("RunInstances") == 1, "botocore has learnt to try again"
        answer = launch(ec2, "cut")
    assert [one["InstanceId"] for one in instances(client(plane.url, keys))] == list(
        identity(answer)[1:]
    )
    assert counts_when_running(plane, keys) == (1, 1, 1)


def test_the_proxy_tells_calls_without_a_token_apart(plane: Plane) -> None:
    keys = plane.account("two calls")
    with lossy_proxy(plane.url, drop_first_replies("DescribeVpcs", 1)) as proxy:
        ec2 = client_of(keys, proxy.url, "standard")
        for _ in range(2):
            assert ec2.describe_vpcs()["Vpcs"]
    assert [passage.attempt for passage, _ in proxy.passages] == [1, 2, 1, 2]
    assert proxy.count("DescribeVpcs", Fate.DROP_REPLY) == 2


def test_without_a_token_a_lost_reply_doubles_the_launch(plane: Plane) -> None:
    """Show the contrast: remove the token that botocore fills in, before the call."""
    keys = plane.account("no token")
    with lossy_proxy(plane.url, drop_first_replies("RunInstances", 1)) as proxy:
        ec2 = client_of(keys, proxy.url, "standard")
        ec2.meta.events.register("before-call.ec2.RunInstances", without_token)
        answer = launch(ec2, None)
        assert proxy.count("RunInstances") == 2
    assert "ClientToken" not in answer["Instances"][0]
    assert counts_when_running(plane, keys) == (2, 2, 2)


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "127.0.0.1:4590", "http://"])
def test_the_proxy_refuses_what_it_cannot_pass_on(url: str) -> None:
    with pytest.raises(ValueError, match="is no http URL"), lossy_proxy(url):
        pass


def test_a_mistake_of_the_policy_fails_the_test_that_made_it(plane: Plane) -> None:
    def mistaken(passage: Passage) -> Any:
        return "pass"

    with (
        pytest.raises(TypeError, match="'pass' for Passage"),
        lossy_proxy(plane.url, mistaken) as proxy,
        pytest.raises(ConnectionClosedError),
    ):
        client(proxy.url, plane.keys).describe_vpcs()


def test_an_endpoint_that_dies_inside_its_reply_is_a_502() -> None:
    """Check also that the proxy does not blame the policy: the end of the block raises nothing."""
    asked = b"Action=DescribeVpcs"
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as thread:

        def die() -> None:
            with listening.accept()[0] as caller:
                heard = b""
                while not heard.endswith(asked):
                    heard += caller.recv(4096)
                caller.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")

        with lossy_proxy(f"http://127.0.0.1:{listening.getsockname()[1]}") as proxy:
            thread.submit(die)
            host = proxy.url.removeprefix("http://")
            with closing(HTTPConnection(host, timeout=PATIENCE_SECONDS)) as connection:
                connection.request("POST", "/", asked)
                assert connection.getresponse().status == 502


def status_through(proxy_url: str, body: bytes) -> int:
    host = proxy_url.removeprefix("http://")
    with closing(HTTPConnection(host, timeout=PATIENCE_SECONDS)) as connection:
        connection.request("POST", "/", body)
        return connection.getresponse().status


def test_an_endpoint_that_never_answers_is_a_502_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sametoken.testing.proxy.UPSTREAM_SECONDS_MAX", 0.1)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        lossy_proxy(f"http://127.0.0.1:{silent.getsockname()[1]}") as proxy,
    ):
        assert status_through(proxy.url, b"Action=DescribeVpcs") == 502


def test_a_body_that_is_too_large_is_refused_by_the_proxy_and_not_passed_on_in_part(
    monkeypatch: pytest.MonkeyPatch, plane: Plane
) -> None:
    body = b"Action=DescribeVpcs"
    monkeypatch.setattr("sametoken.testing.proxy.BODY_BYTES_MAX", len(body))
    with lossy_proxy(plane.url) as proxy:
        assert status_through(proxy.url, body) == 400, "the endpoint's own answer"
        assert status_through(proxy.url, body + b"&") == 413
        assert proxy.count("DescribeVpcs") == 1
