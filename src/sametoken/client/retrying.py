"""Retrying callers: call until an answer is heard, and leave alone a service that keeps failing.

Backoff and quota are those of `sametoken.retry`, with the figures of the AWS SDKs' standard mode.
Unlike boto3's own retries these also begin after a reply that was cut, and reach over a whole call,
which has to carry a token of the caller's own: see `stable_token`. Two layers of retries multiply.
Give boto3 one attempt (`Config(retries={"total_max_attempts": 1})`) where this calls it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from types import TracebackType
from typing import ParamSpec, TypeVar

from sametoken.client.tokens import Part, stable_token
from sametoken.client.verdicts import Verdict, judge
from sametoken.retry import RetryBudget, backoff_seconds
from sametoken.world import RealWorld, World

T = TypeVar("T")
P = ParamSpec("P")
log = logging.getLogger(__name__)

# Figures of the standard mode as botocore 1.44 has them. ATTEMPTS is more than its 3: what is
# called here has a token, and gives up at a higher price than a read does.
ATTEMPTS = 5
CAP_SECONDS = 20.0
QUOTA = 500
_BASE_SECONDS, _THROTTLED_BASE_SECONDS = 0.05, 1.0
_COST, _THROTTLED_COST = 14, 5
# Errors of a server that has no room: they may last for days, and a script ought to be told.
NO_CAPACITY = frozenset(
    {
        "InsufficientAddressCapacity", "InsufficientCapacity", "InsufficientHostCapacity",
        "InsufficientInstanceCapacity", "InsufficientReservedInstanceCapacity",
        "InsufficientVolumeCapacity",
    }
)  # fmt: skip


class RetryingCaller:
    """Calls, and calls again where that can help. Threads may share one, and should.

    `attempts`: how often one call is tried at most; None for as often as it takes.
    `cap_seconds`: the longest wait between two tries. The waits before are drawn from [0, 50 ms),
    [0, 100 ms) and so on, after throttling from [0, 1 s), [0, 2 s) and so on; a `Retry-After` is
    waited for, as far as the cap allows.
    `quota`: retries of all calls together. A retry takes 14, after throttling 5; a call that
    succeeds gives back what its last retry took, or 1. None for no quota.
    `final`: codes of errors that are not tried again although a server failed, such as
    `InsufficientInstanceCapacity` where there is something to fall back to.
    `also`: classes of further errors after which nobody knows whether the request ran, such as
    `httpx.TransportError`.
    """

    def __init__(
        self,
        *,
        attempts: int | None = ATTEMPTS,
        cap_seconds: float = CAP_SECONDS,
        quota: int | None = QUOTA,
        final: Collection[str] = (),
        also: Collection[type[Exception]] = (),
        world: World | None = None,
    ) -> None:
        if attempts is not None and attempts < 1:
            raise ValueError(f"attempts is {attempts}: a call is tried once at least")
        self._attempts = attempts
        self._cap_seconds = cap_seconds
        self._budget = None if quota is None else RetryBudget(capacity=quota, tokens=quota)
        self._spending = threading.Lock()
        self._final = frozenset(final)
        self._also = tuple(also)
        self._world = world or RealWorld()

    def call(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `fn(*args, **kwargs)` returns at last.

        Raises its last error, with a note that says why there was no further try. The arguments are
        the same at each try, so a token among them is, too.
        """
        tries = _Tries(self)
        while True:
            with tries:
                return fn(*args, **kwargs)
            self._world.wait(threading.Event(), tries.wait_seconds)

    async def call_async(
        self, fn: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do as `call` does, for a coroutine function of asyncio."""
        tries = _Tries(self)
        while True:
            with tries:
                return await fn(*args, **kwargs)
            with suppress(TimeoutError):
                async with asyncio.timeout(tries.wait_seconds):
                    await asyncio.Event().wait()

    def judge(self, error: Exception) -> Verdict | None:
        """Say whether `error` is worth another try; None: no."""
        verdict = judge(error, self._world.now())
        if verdict is None and isinstance(error, self._also):
            return Verdict(type(error).__name__)
        return None if verdict is None or verdict.code in self._final else verdict

    def may_try(self, number: int) -> bool:
        """Is try `number` allowed? 1 is the first."""
        return self._attempts is None or number <= self._attempts

    def spend(self, cost: int) -> bool:
        """Take the cost of a retry from the quota; False if too little is left."""
        with self._spending:
            return self._budget is None or self._budget.spend(cost)

    def give_back(self, count: int) -> None:
        """Give back to the quota, for a call that succeeded."""
        with self._spending:
            if self._budget is not None:
                self._budget.succeeded(count)

    def wait_seconds(self, verdict: Verdict, number: int) -> float:
        """Draw how long to wait before retry `number`; 1 is the first."""
        base = _THROTTLED_BASE_SECONDS if verdict.throttled else _BASE_SECONDS
        drawn = backoff_seconds(
            number, self._world.random(), base_seconds=base, cap_seconds=self._cap_seconds
        )
        return max(drawn, min(verdict.seconds, self._cap_seconds))


class _Tries:
    """The tries of one call. As a context it is one try, and swallows what is worth another."""

    def __init__(self, caller: RetryingCaller) -> None:
        self._caller = caller
        self._number = 0
        self._taken = 0
        # Seconds to wait before the next try, once one has failed.
        self.wait_seconds = 0.0

    def __enter__(self) -> None:
        self._number += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is None:
            self._caller.give_back(self._taken or 1)
            return False
        verdict = self._caller.judge(error) if isinstance(error, Exception) else None
        if verdict is None:
            return False
        if not self._caller.may_try(self._number + 1):
            error.add_note(f"This was try {self._number}, the last; repeat it with the same token.")
            return False
        cost = _THROTTLED_COST if verdict.throttled else _COST
        if not self._caller.spend(cost):
            error.add_note(
                f"This was try {self._number}. The quota of retries is spent, since too many calls "
                "fail; repeat it later, with the same token."
            )
            return False
        self._taken = cost
        self.wait_seconds = self._caller.wait_seconds(verdict, self._number)
        log.info(
            "try %d ended in %s; the next one follows in %.3f s",
            self._number, verdict.code, self.wait_seconds,
        )  # fmt: skip
        return True


def once(create: Callable[[str], T], *identity: Part, caller: RetryingCaller | None = None) -> T:
    """Run a create under the stable token of an identity until an answer is heard; return it.

        once(lambda token: ec2.run_instances(**LAUNCH, ClientToken=token), "nightly report", day)

    `create` is called with the token, again and again until it returns or is refused, whatever the
    network does; a refusal is raised, and so is one of `NO_CAPACITY`, after which the same call may
    be made again later. A script that is killed and started again comes to the same
    token, and hears of the same instance, also if that has ended meanwhile: look at its state, and
    add a generation to the identity if it takes another one. All parameters must be the same at the
    next start; others, such as a new date in a tag, are `IdempotentParameterMismatch`.

    `caller`, if given, says how often and after what to try again instead, such as
    `RetryingCaller(attempts=None, quota=None)`, which also waits for capacity. Raises as
    `stable_token` does.
    """
    return (caller or _patient()).call(create, stable_token(*identity))


async def once_async(
    create: Callable[[str], Awaitable[T]], *identity: Part, caller: RetryingCaller | None = None
) -> T:
    """Do as `once` does, for a coroutine function of asyncio."""
    return await (caller or _patient()).call_async(create, stable_token(*identity))


def _patient() -> RetryingCaller:
    return RetryingCaller(attempts=None, quota=None, final=NO_CAPACITY)
