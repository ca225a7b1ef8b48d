"""kill -9 under load: acknowledged launches are there, once, and all of them end running."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from clients.holdings import held, whole
from clients.process import (
    NO_ANSWER,
    PATIENCE_SECONDS,
    Server,
    identity,
    lasting_port,
    launch,
    until,
)
from sametoken.faults import Point

THREADS, LAUNCHES_EACH = 8, 12
TOKENS = [f"load-{number}" for number in range(THREADS * LAUNCHES_EACH)]
# The first server dies before it sends the answer of this number, which therefore has to be
# repeated. The next two are killed at these numbers of acknowledged launches, in the midst of
# others.
DIES_AT_REPLY = 20
KILLED_AT = (40, 70)
# Tries are far more than the server's absence needs: once boto3 has used up its quota of retries,
# its next try is its last.
TRIES, TRY_SECONDS = 150, 0.1


class Acknowledged:
    """Acknowledged answers by token; the killer waits for a number of them."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[str, ...]] = {}
        self._changed = threading.Condition()

    def note(self, token: str, answer: Any) -> None:
        with self._changed:
            self.answers[token] = identity(answer)
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.answers) >= count, PATIENCE_SECONDS)


def insist(ec2: Any, token: str) -> Any:
    """Send the same request again, as a careful caller does, whenever boto3 itself has given up."""
    for _ in range(TRIES):
        try:
            return launch(ec2, token)
        except NO_ANSWER:
            threading.Event().wait(TRY_SECONDS)
    raise AssertionError(f"{token}: no answer in {TRIES} tries")


def work(ec2: Any, tokens: list[str], acknowledged: Acknowledged) -> None:
    for token in tokens:
        acknowledged.note(token, insist(ec2, token))


def test_a_server_killed_three_times_under_load_launches_each_token_once(server: Server) -> None:
    port = lasting_port()
    server.start(port=port, crash_at=f"{Point.REPLY_READY}:{DIES_AT_REPLY}")
    ec2 = server.client(
        retries={"mode": "standard", "total_max_attempts": 5}, max_pool_connections=THREADS
    )
    acknowledged = Acknowledged()
    with ThreadPoolExecutor(THREADS) as threads:
        workers: list[Future[None]] = [
            threads.submit(work, ec2, TOKENS[number::THREADS], acknowledged)
            for number in range(THREADS)
        ]
        server.wait_killed()
        server.start(port=port)
        for count in KILLED_AT:
            acknowledged.wait_for(count)
            server.kill()
            server.start(port=port)
        for worker in workers:
            worker.result(PATIENCE_SECONDS)
    server.settle()

    found = [
        (instance["ClientToken"], (each["ReservationId"], instance["InstanceId"]))
        for each in server.client().describe_instances()["Reservations"]
        for instance in each["Instances"]
    ]
    assert len(found) == len(TOKENS)
    assert dict(found) == acknowledged.answers
    assert held(server) == whole(running=len(TOKENS))
    # Attempts that a killed server had not written are lost; this one is told.
    launch(server.client(), TOKENS[0])
    until(lambda: server.rows("SELECT 1 FROM attempt WHERE told LIKE '%replay%'"), "it is told")
