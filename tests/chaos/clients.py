"""Clients that create, repeat, contradict and remove, and retry as SDKs do, at any of the nodes.

Every try and every reply is written to the history before the client goes on.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from uuid import UUID

from chaos.cluster import Account, Cluster
from chaos.history import Writer
from chaos.intents import Intent, Parameters, intent_of, removal
from chaos.wire import LOST, Caller, Reply

CLIENTS_PER_ACCOUNT = 2
# Tries of one call, then full jitter below a doubling bound, as in botocore's standard mode. SDKs
# begin with a second; here everything happens faster.
TRIES = 4
BACKOFF_SECONDS, BACKOFF_SECONDS_MAX = 0.05, 1.0
# Calls of one token: a caller whose SDK has given up asks again, in a new call of the SDK.
CALLS_MAX = 60
# A time-out shorter than a node's waits for locks and standbys, so that some replies come too late.
TIMEOUT_SECONDS = 5.0
_THROTTLED = frozenset({"Throttling", "RequestLimitExceeded"})
# Percent of a client's next acts; the rest are creates.
_REPEATS, _CONTRADICTS, _REMOVES = 6, 4, 10
# Percent of creates whose token two clients send at about the same time.
_JOINT = 6


class Load:
    """The state that all clients share: the history, and their progress."""

    def __init__(self, seed: int, history: Writer) -> None:
        self.seed = seed
        self.history = history
        self.finishing = threading.Event()
        self.aborted = threading.Event()
        self._changed = threading.Condition()
        self._made: set[tuple[str, str]] = set()
        self._calls = 0

    def next_call(self) -> int:
        with self._changed:
            self._calls += 1
            return self._calls

    def acknowledge(self, account: Account, token: str) -> None:
        with self._changed:
            self._made.add((account.keys.account, token))
            self._changed.notify_all()

    @property
    def made(self) -> int:
        """The number of creates that were acknowledged, each token once."""
        with self._changed:
            return len(self._made)

    def wait_for(self, count: int, seconds: float) -> bool:
        """Wait until `made` is at least `count`; False when that took longer."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._made) >= count, seconds)


@dataclass(slots=True)
class _Made:
    """A create of this client's own that was acknowledged."""

    intent: Intent
    ids: tuple[str, ...]
    is_removed: bool = False


class Client:
    """A caller of one account, in one thread."""

    def __init__(self, number: int, account: Account, cluster: Cluster, load: Load) -> None:
        self._number = number
        self._account = account
        self._nodes = cluster.nodes
        self._load = load
        self._random = Random(f"{load.seed}/client-{number}")
        self._caller = Caller(account, TIMEOUT_SECONDS)
        self._mine: list[_Made] = []
        self._asked = self._joint = 0

    def run(self) -> None:
        """Go on until the load is finishing, and then to the end of the call at hand."""
        try:
            while not self._load.finishing.is_set():
                self._do_next()
        finally:
            self._caller.close()

    def _do_next(self) -> None:
        chance = self._random.randrange(100)
        old = self._random.choice(self._mine) if self._mine else None
        if old is None or chance >= _REPEATS + _CONTRADICTS + _REMOVES:
            self._create()
        elif chance < _REPEATS:
            # Skip repeats after a removal: EC2 refuses them, except for instances.
            if not old.is_removed or old.intent.action == "RunInstances":
                self._call(old.intent.action, old.intent.parameters, token=old.intent.token)
        elif old.is_removed:
            self._create()
        elif chance < _REPEATS + _CONTRADICTS:
            self._call(old.intent.action, old.intent.other, token=old.intent.token)
        else:
            self._remove(old)

    def _create(self) -> None:
        is_joint = self._random.randrange(100) < _JOINT
        if is_joint:
            self._joint += 1
        else:
            self._asked += 1
        token = f"joint-{self._joint}" if is_joint else f"{self._number}-{self._asked}"
        intent = intent_of(self._load.seed, self._account, token)
        reply = self._call(intent.action, intent.parameters, token=token)
        if reply is None or not reply.ids:
            return
        self._load.acknowledge(self._account, token)
        if not is_joint:
            self._mine.append(_Made(intent, reply.ids))

    def _remove(self, made: _Made) -> None:
        made.is_removed = True
        ids = made.ids[1:] if made.intent.action == "RunInstances" else made.ids
        action, parameters = removal(made.intent.action, ids)
        self._call(action, parameters, about=ids)

    def _call(
        self, action: str, parameters: Parameters, *, token: str | None = None,
        about: tuple[str, ...] = (),
    ) -> Reply | None:  # fmt: skip
        """Ask until there is an answer; None when there never was one."""
        call = self._load.next_call()
        self._load.history.write(
            "asked", call=call, client=self._number, account=self._account.keys.account,
            region=self._account.region, action=action, token=token, parameters=parameters,
            about=about,
        )  # fmt: skip
        for _ in range(CALLS_MAX):
            invocation = str(UUID(int=self._random.getrandbits(128)))
            for attempt in range(1, TRIES + 1):
                if self._load.aborted.is_set():
                    break
                reply = self._try(call, action, parameters, invocation, attempt)
                if reply is not None:
                    return reply
                most = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS * 2**attempt)
                self._load.aborted.wait(self._random.random() * most)
        self._load.history.write("gave_up", call=call)
        return None

    def _try(
        self, call: int, action: str, parameters: Parameters, invocation: str, attempt: int
    ) -> Reply | None:
        """Try once, at any of the nodes. None when the call must be tried again."""
        node = self._random.choice(self._nodes)
        history = self._load.history
        history.write("sent", call=call, attempt=attempt, node=node.name)
        try:
            reply = self._caller.ask(
                node.port, action, parameters, invocation=invocation, attempt=attempt
            )
        except LOST as error:
            history.write("told", call=call, outcome="lost", why=type(error).__name__)
            return None
        if reply.code:
            history.write("told", call=call, outcome="refused", code=reply.code)
        else:
            history.write("told", call=call, outcome="made", ids=reply.ids)
        return None if reply.status >= 500 or reply.code in _THROTTLED else reply


class Crowd:
    """All clients, each in its thread."""

    def __init__(self, cluster: Cluster, load: Load) -> None:
        self._load = load
        pairs = [one for one in cluster.accounts for _ in range(CLIENTS_PER_ACCOUNT)]
        clients = [Client(n, account, cluster, load) for n, account in enumerate(pairs)]
        self._threads = ThreadPoolExecutor(len(clients), thread_name_prefix="client")
        self._running: list[Future[None]] = [self._threads.submit(one.run) for one in clients]

    def finish(self, seconds: float) -> None:
        """Let every client end its call; raises the error that one of them raised."""
        self._load.finishing.set()
        try:
            for one in self._running:
                one.result(seconds)
        finally:
            self.abort()

    def abort(self) -> None:
        """End all clients, with or without an answer."""
        self._load.finishing.set()
        self._load.aborted.set()
        self._threads.shutdown()
