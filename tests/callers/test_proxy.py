"""The lossy proxy: connections stay open, delays are waited for, and nothing of it outlives it."""

from __future__ import annotations

import http.client
import threading
from contextlib import closing

import pytest

from callers.test_callers import Impatient
from sametoken.testing import Account, Delayed, Fate, LossyProxy, Passage, lossy_proxy

ASKED = b"Action=DescribeVpcs"


def connected(proxy: LossyProxy) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=60)


def ask(connection: http.client.HTTPConnection) -> int:
    connection.request("POST", "/", ASKED)
    with connection.getresponse() as reply:
        reply.read()
        return reply.status


def test_a_connection_stays_open_until_a_reply_is_lost(account: Account) -> None:
    fates = [Fate.PASS, Fate.PASS, Fate.SERVER_ERROR, Fate.PASS, Fate.DROP_REPLY]
    with (
        lossy_proxy(account.url, lambda passage: fates.pop(0)) as proxy,
        closing(connected(proxy)) as connection,
    ):
        assert ask(connection) == 400, "it is not signed"
        first = connection.sock
        assert [ask(connection) for _ in range(3)] == [400, 503, 400]
        assert connection.sock is first
        with pytest.raises(http.client.RemoteDisconnected):
            ask(connection)


@pytest.mark.parametrize(
    ("delayed", "status", "waits"),
    [
        (Delayed(request_seconds=2.0), 400, [2.0]),
        (Delayed(reply_seconds=3.0), 400, [3.0]),
        (Delayed(1.0, 2.0, Fate.SERVER_ERROR), 503, [1.0, 2.0]),
        (Delayed(), 400, []),
    ],
)
def test_a_delay_is_waited_for_before_the_request_or_the_reply(
    account: Account, delayed: Delayed, status: int, waits: list[float]
) -> None:
    world = Impatient()
    with (
        lossy_proxy(account.url, lambda passage: delayed, world=world) as proxy,
        closing(connected(proxy)) as connection,
    ):
        assert ask(connection) == status
    assert world.waits == waits
    assert proxy.count("DescribeVpcs", delayed.fate) == 1


def test_no_thread_outlives_the_block_though_callers_hold_their_connections(
    account: Account,
) -> None:
    heard = threading.Event()

    def slow(passage: Passage) -> Delayed:
        heard.set()
        return Delayed(reply_seconds=3600.0)

    before = set(threading.enumerate())
    with lossy_proxy(account.url) as proxy:
        idle = connected(proxy)
        ask(idle)
        proxy.policy = slow
        waiting = connected(proxy)
        waiting.request("POST", "/", ASKED)
        assert heard.wait(60)
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert not {name for name in left if "lossy" in name or "process_request" in name}
    idle.close()
    waiting.close()


def test_a_caller_that_goes_in_mid_request_is_not_passed_on(account: Account) -> None:
    with lossy_proxy(account.url) as proxy:
        connection = connected(proxy)
        connection.putrequest("POST", "/")
        connection.putheader("Content-Length", "100")
        connection.endheaders(ASKED)
        connection.close()
        with closing(connected(proxy)) as other:
            ask(other)
        assert proxy.count("DescribeVpcs") == 1
