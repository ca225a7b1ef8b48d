"""Retrying callers: what is tried again, how long they wait, and when they leave it."""

from __future__ import annotations

import asyncio
import http.client
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from sametoken.client import RetryingCaller, once, once_async, stable_token
from sametoken.errors import IdempotentParameterMismatch, ServiceError, Transient

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
ALMOST_ONE = 1.0 - 2**-53
URL = "http://127.0.0.1:1"


class QuietWorld:
    """A world in which every wait is over at once, and remembered. `draw` is its random number."""

    def __init__(self, draw: float = ALMOST_ONE) -> None:
        self.draw = draw
        self.waits: list[float] = []

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    def random(self) -> float:
        return self.draw

    def token_hex(self, length: int) -> str:
        return "0" * length

    def wait(self, signal: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        return False


def answered(
    status: int, code: str = "InternalError", headers: dict[str, str] | None = None
) -> ClientError:
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers or {}}
    response: Any = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": metadata}
    return ClientError(response, "RunInstances")


def failing(*errors: Exception) -> Callable[[], int]:
    """Make a function that raises each of `errors` in turn, and then returns how often it ran."""
    rest, count = list(errors), 0

    def fn() -> int:
        nonlocal count
        count += 1
        if rest:
            raise rest.pop(0)
        return count

    return fn


WORTH_ANOTHER_TRY = {
    "connection refused": ConnectionRefusedError(),
    "connection reset": ConnectionResetError(),
    "timed out": TimeoutError(),
    "a reply cut, by the standard library": http.client.IncompleteRead(b"half"),
    "no reply, by botocore": ConnectTimeoutError(endpoint_url=URL),
    "a late reply, by botocore": ReadTimeoutError(endpoint_url=URL),
    "a reply cut, by botocore": ResponseParserError("cut"),
    "500": answered(500),
    "503": answered(503, "Unavailable"),
    "throttled": answered(503, "RequestLimitExceeded"),
    "throttled with 400": answered(400, "Throttling"),
    "429": answered(429, ""),
    "timed out at the server": answered(400, "RequestTimeout"),
    "no capacity": answered(500, "InsufficientInstanceCapacity"),
    "transient": Transient("busy"),
    "a service's own failure": ServiceError("Unavailable", "", http_status=503),
}
ANSWERS = {
    "mismatch": answered(400, "IdempotentParameterMismatch"),
    "a quota": answered(400, "VcpuLimitExceeded"),
    "our own mismatch": IdempotentParameterMismatch("t", ()),
    "a missing file": FileNotFoundError(),
    "a mistake": ValueError(),
    "no client error": type("Odd", (Exception,), {"response": object()})(),
}


@pytest.mark.parametrize("error", WORTH_ANOTHER_TRY.values(), ids=WORTH_ANOTHER_TRY)
def test_an_error_that_may_be_none_is_tried_again(error: Exception) -> None:
    assert RetryingCaller(world=QuietWorld()).call(failing(error)) == 2


@pytest.mark.parametrize("error", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_heard(error: Exception) -> None:
    with pytest.raises(type(error)) as heard:
        RetryingCaller(world=QuietWorld()).call(failing(error))
    assert heard.value is error
    assert not hasattr(error, "__notes__")


def test_the_arguments_are_the_same_at_each_try() -> None:
    seen: list[tuple[int, str]] = []

    def fn(number: int, *, token: str) -> None:
        seen.append((number, token))
        if len(seen) < 3:
            raise ConnectionResetError

    RetryingCaller(world=QuietWorld()).call(fn, 1, token="t")
    assert seen == [(1, "t")] * 3


def test_the_waits_double_up_to_the_cap() -> None:
    world = QuietWorld()
    caller = RetryingCaller(attempts=8, cap_seconds=1.0, world=world)
    caller.call(failing(*[ConnectionResetError() for _ in range(7)]))
    assert world.waits == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


def test_jitter_is_full() -> None:
    world = QuietWorld(draw=0.0)
    RetryingCaller(world=world).call(failing(*[ConnectionResetError() for _ in range(4)]))
    assert world.waits == [0.0] * 4


def test_who_is_told_to_slow_down_waits_longer() -> None:
    world = QuietWorld()
    RetryingCaller(world=world).call(failing(answered(503, "RequestLimitExceeded"), answered(429)))
    assert world.waits == pytest.approx([1.0, 2.0])


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "Sat, 28 Nov 2026 12:00:09 GMT"}, 9.0),
        ({"x-amz-retry-after": "2500"}, 2.5),
        ({"retry-after": "3600"}, 20.0),
        ({"retry-after": "Sat, 28 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, 0.0),
        ({"x-amz-retry-after": "-1"}, 0.0),
        ({}, 0.0),
    ],
)
def test_retry_after_is_waited_for_as_far_as_the_cap_allows(
    headers: dict[str, str], seconds: float
) -> None:
    world = QuietWorld(draw=0.0)
    RetryingCaller(world=world).call(failing(answered(503, "Unavailable", headers)))
    assert world.waits == [seconds]


def test_the_last_try_raises_its_error_and_says_so() -> None:
    error = ConnectionResetError()
    with pytest.raises(ConnectionResetError) as heard:
        RetryingCaller(attempts=2, world=QuietWorld()).call(failing(TimeoutError(), error))
    assert heard.value is error
    assert error.__notes__ == ["This was try 2, the last; repeat it with the same token."]


def test_a_full_quota_pays_for_35_retries_of_all_calls_together_and_no_more() -> None:
    caller = RetryingCaller(attempts=None, world=QuietWorld())
    tried = 0

    def fn() -> None:
        nonlocal tried
        tried += 1
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError) as heard:
        caller.call(fn)
    assert tried == 1 + 500 // 14
    assert "quota" in heard.value.__notes__[0]
    with pytest.raises(ConnectionResetError):
        caller.call(fn)
    assert tried == 2 + 500 // 14, "the next call is tried once"


def test_a_retry_after_throttling_costs_less() -> None:
    caller = RetryingCaller(attempts=None, world=QuietWorld())
    slow = [answered(503, "RequestLimitExceeded") for _ in range(101)]
    with pytest.raises(ClientError):
        caller.call(failing(*slow))
    assert slow[100].__notes__


def test_success_gives_the_cost_of_its_last_retry_back() -> None:
    caller = RetryingCaller(attempts=None, quota=28, world=QuietWorld())
    caller.call(failing(ConnectionResetError(), ConnectionResetError()))
    caller.call(failing(ConnectionResetError()))
    with pytest.raises(ConnectionResetError):
        caller.call(failing(ConnectionResetError(), ConnectionResetError()))


def test_fourteen_calls_without_a_retry_pay_for_one() -> None:
    caller = RetryingCaller(attempts=None, quota=14, world=QuietWorld())
    with pytest.raises(ConnectionResetError):
        caller.call(failing(ConnectionResetError(), ConnectionResetError()))
    for _ in range(13):
        caller.call(failing())
    with pytest.raises(ConnectionResetError):
        caller.call(failing(ConnectionResetError()))
    caller.call(failing())
    assert caller.call(failing(ConnectionResetError())) == 2


def test_without_a_quota_it_goes_on() -> None:
    caller = RetryingCaller(attempts=None, quota=None, world=QuietWorld())
    assert caller.call(failing(*[ConnectionResetError() for _ in range(999)])) == 1000


def test_threads_share_a_quota_to_the_last_token() -> None:
    caller, tries = RetryingCaller(attempts=None, quota=14 * 40, world=QuietWorld()), 0
    counting = threading.Lock()

    def fn() -> None:
        nonlocal tries
        with counting:
            tries += 1
        raise ConnectionResetError

    def call() -> None:
        with pytest.raises(ConnectionResetError):
            caller.call(fn)

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tries == 8 + 40


def test_a_final_code_is_an_answer() -> None:
    caller = RetryingCaller(final={"InsufficientInstanceCapacity"}, world=QuietWorld())
    with pytest.raises(ClientError):
        caller.call(failing(answered(500, "InsufficientInstanceCapacity")))


def test_errors_of_other_clients_may_be_named() -> None:
    class Broken(Exception):
        pass

    with pytest.raises(Broken):
        RetryingCaller(world=QuietWorld()).call(failing(Broken()))
    assert RetryingCaller(also=[Broken], world=QuietWorld()).call(failing(Broken())) == 2


def test_ctrl_c_ends_it() -> None:
    def fn() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RetryingCaller(world=QuietWorld()).call(fn)


def test_no_attempt_at_all_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="attempts is 0"):
        RetryingCaller(attempts=0)


def test_a_coroutine_function_is_tried_again_in_the_same_way() -> None:
    fn = failing(ConnectionResetError(), answered(503), ResponseParserError("cut"))

    async def asked() -> int:
        return fn()

    async def main() -> int:
        return await RetryingCaller(world=QuietWorld(draw=0.0)).call_async(asked)

    assert asyncio.run(main()) == 4


def test_a_cancelled_task_does_not_try_again() -> None:
    async def asked() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(RetryingCaller(world=QuietWorld()).call_async(asked))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def creates(errors: Iterator[Exception], tokens: list[str]) -> Callable[[str], str]:
    def create(token: str) -> str:
        tokens.append(token)
        if (error := next(errors, None)) is not None:
            raise error
        return token

    return create


def test_once_asks_under_the_identity_s_token_until_it_is_answered() -> None:
    tokens: list[str] = []
    caller = RetryingCaller(attempts=None, quota=None, world=QuietWorld())
    lost: list[Exception] = [ConnectionResetError() for _ in range(60)]
    once(creates(iter(lost), tokens), "report", 7, caller=caller)
    once(creates(iter(()), tokens), "report", 7)
    assert tokens == [stable_token("report", 7)] * 62


def test_once_raises_a_refusal() -> None:
    with pytest.raises(ClientError, match="Mismatch"):
        once(creates(iter([answered(400, "IdempotentParameterMismatch")]), []), "report", 7)


def test_once_does_so_for_coroutine_functions() -> None:
    tokens: list[str] = []
    create = creates(iter([ConnectionResetError()]), tokens)
    caller = RetryingCaller(world=QuietWorld(draw=0.0))

    async def created(token: str) -> str:
        return create(token)

    assert asyncio.run(once_async(created, "report", 7, caller=caller)) == tokens[0]
    assert tokens == [stable_token("report", 7)] * 2
