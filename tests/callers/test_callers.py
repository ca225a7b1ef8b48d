"""Callers against a real endpoint behind a bad network: one instance, also where boto3 gives up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from plane import LAUNCH
from sametoken.client import RetryingCaller, errand, fill_tokens, once, once_async, stable_token
from sametoken.client.retrying import NO_CAPACITY
from sametoken.ec2.protocol import error_codes
from sametoken.testing import Account, Delayed, Fate, LossyProxy, Passage, lossy_proxy
from sametoken.world import RealWorld

# Fates of a launch's first tries; the next one passes.
BAD_LUCK: Mapping[str, Sequence[Fate]] = {
    "the request is lost": (Fate.DROP_REQUEST,),
    "the reply is lost": (Fate.DROP_REPLY,),
    "the reply is cut": (Fate.CUT_REPLY, Fate.CUT_REPLY),
    "503 after the effect": (Fate.SERVER_ERROR,),
    "all of it in turn": (Fate.CUT_REPLY, Fate.SERVER_ERROR, Fate.DROP_REQUEST, Fate.DROP_REPLY),
}
ONE_ATTEMPT = Config(retries={"total_max_attempts": 1})


class Impatient(RealWorld):
    """The real world, but for waits: they are over at once, and remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def random(self) -> float:
        return 0.0

    def wait(self, signal: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        return False


class InTurn:
    """A policy: the first tries of every RunInstances meet these fates, and the others pass."""

    def __init__(self) -> None:
        self.fates: Sequence[Fate] = ()

    def __call__(self, passage: Passage) -> Fate:
        met = passage.action == "RunInstances" and passage.attempt <= len(self.fates)
        return self.fates[passage.attempt - 1] if met else Fate.PASS


@pytest.fixture
def policy() -> InTurn:
    return InTurn()


@pytest.fixture
def proxy(account: Account, policy: InTurn) -> Iterator[LossyProxy]:
    with lossy_proxy(account.url, policy) as running:
        yield running


@pytest.fixture
def ec2(account: Account, proxy: LossyProxy) -> Any:
    return account.client(endpoint_url=proxy.url, config=ONE_ATTEMPT)


@pytest.fixture
def caller() -> RetryingCaller:
    return RetryingCaller(world=Impatient())


in_bad_luck = pytest.mark.parametrize("fates", BAD_LUCK.values(), ids=BAD_LUCK)


@in_bad_luck
def test_a_call_is_one_instance_whatever_the_network_does(
    account: Account, proxy: LossyProxy, policy: InTurn, ec2: Any, caller: RetryingCaller,
    fates: Sequence[Fate],
) -> None:  # fmt: skip
    policy.fates = fates
    answer = caller.call(ec2.run_instances, **LAUNCH, ClientToken="mine")
    assert proxy.count("RunInstances") == len(fates) + 1
    assert answer["Instances"][0]["ClientToken"] == "mine"
    account.assert_one_set()


@in_bad_luck
def test_a_script_s_launch_is_one_instance_though_it_starts_again(
    account: Account, policy: InTurn, ec2: Any, caller: RetryingCaller, fates: Sequence[Fate]
) -> None:
    policy.fates = fates
    run = [
        once(lambda token: ec2.run_instances(**LAUNCH, ClientToken=token), "nightly", caller=caller)
        for _ in range(2)
    ]
    assert run[0]["ReservationId"] == run[1]["ReservationId"]
    account.assert_one_set()


def test_a_script_is_told_that_there_is_no_capacity_and_may_come_again(account: Account) -> None:
    ec2 = account.client(config=ONE_ATTEMPT)

    tries: list[str] = []

    def launch(token: str) -> Any:
        tries.append(token)
        assert len(tries) <= 2, "it goes on for ever"
        return ec2.run_instances(**LAUNCH, ClientToken=token)

    with account.limits() as limits:
        limits.capacity("*", "t3.micro", 0)
        with pytest.raises(ClientError, match="InsufficientInstanceCapacity"):
            once(launch, "nightly")
    assert len(tries) == 1
    once(launch, "nightly")
    account.assert_one_set()


def test_every_error_of_ec2_s_that_tells_of_no_capacity_is_known() -> None:
    listed = {code for code in error_codes.LISTED if code.startswith("Insufficient")}
    assert {code for code in listed if error_codes.status_of(code) == 500} == NO_CAPACITY


def test_asyncio_s_callers_have_the_same(
    account: Account, policy: InTurn, ec2: Any, caller: RetryingCaller
) -> None:
    policy.fates = BAD_LUCK["all of it in turn"]

    async def launch(token: str) -> Any:
        return await asyncio.to_thread(ec2.run_instances, **LAUNCH, ClientToken=token)

    asyncio.run(once_async(launch, "nightly", caller=caller))
    account.assert_one_set()


def test_without_a_token_of_its_own_a_repeated_call_doubles(
    account: Account, proxy: LossyProxy, ec2: Any, caller: RetryingCaller
) -> None:
    """Show the contrast: boto3 fills in another token for each call that it is asked for."""
    cut = [Fate.CUT_REPLY]
    proxy.policy = lambda passage: cut.pop() if cut else Fate.PASS
    caller.call(ec2.run_instances, **LAUNCH)
    with pytest.raises(AssertionError, match="instances: 2, and not 1"):
        account.assert_one_set()


def test_an_errand_makes_boto3_s_own_calls_safe_to_repeat(
    account: Account, policy: InTurn, ec2: Any, caller: RetryingCaller
) -> None:
    policy.fates = BAD_LUCK["the reply is cut"]
    fill_tokens(ec2)
    with errand("order", 17):
        answer = caller.call(ec2.run_instances, **LAUNCH)
    token = stable_token("order", 17, "ec2", "RunInstances")
    assert answer["Instances"][0]["ClientToken"] == token
    account.assert_one_set()


def test_a_fallback_type_under_the_old_token_is_refused_and_heard_at_once(
    account: Account, proxy: LossyProxy, ec2: Any, caller: RetryingCaller
) -> None:
    caller.call(ec2.run_instances, **LAUNCH, ClientToken="mine")
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        caller.call(ec2.run_instances, **{**LAUNCH, "InstanceType": "m5.large"}, ClientToken="mine")
    assert proxy.count("RunInstances") == 2
    account.assert_one_set()


def test_a_reply_that_comes_too_late_is_asked_for_again(account: Account) -> None:
    """The wait of the proxy ends with the test: the caller has given up long before."""

    def late(passage: Passage) -> Delayed | Fate:
        first = passage.action == "RunInstances" and passage.attempt == 1
        return Delayed(reply_seconds=3600.0) if first else Fate.PASS

    config = Config(retries={"total_max_attempts": 1}, read_timeout=0.5)
    with lossy_proxy(account.url, late) as proxy:
        ec2 = account.client(endpoint_url=proxy.url, config=config)
        RetryingCaller(attempts=None, world=Impatient()).call(
            ec2.run_instances, **LAUNCH, ClientToken="mine"
        )
        assert proxy.count("RunInstances") >= 2
    account.assert_one_set()
