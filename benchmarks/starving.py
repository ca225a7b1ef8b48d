"""As many launches as eight connections can send: what becomes of them, and of another's launch.

    .venv/bin/python benchmarks/starving.py [--seconds 60]

Judged are: every accepted launch runs within 30 s of the end; another account's single launch takes
at most three times its usual time; refusals are 503s, and their repeats succeed later; and 0.8 of
what can be driven is accepted. Ends with 1 where one of them is missed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import socket
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from asking import signer_of
from attack import connected, make_database, read_reply
from databases import undriven
from load import Address
from measure import table
from servers import Server, ours
from signer import Signer
from stores import LAUNCH

from sametoken.settings import Database

CONNECTIONS = 8
REGIONS = ("us-east-1", "eu-west-1")
ENDED_SECONDS_MAX, TIMES_USUAL_MAX, ACCEPTED_MIN = 30.0, 3.0, 0.8
# Seconds for which driving is measured, and launches by which the usual time of one is.
_DRIVING_SECONDS, _USUAL = 8.0, 9
# A repeat of what was refused is tried for so long; its server has little else to do then.
_REPEAT_SECONDS = 60.0
_LOOK_SECONDS = 0.02
# Unlike the greedy account, the other one launches now and then.
_PAUSE_SECONDS = 0.5


@dataclass(slots=True)
class Sent:
    """Tokens of launches, by their answers; of those refused with the number of its signer."""

    accepted: list[str] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    odd: list[bytes] = field(default_factory=list)


def _launch(link: socket.socket, signer: Signer, token: str) -> tuple[bytes, bytes]:
    link.sendall(signer.request("RunInstances", {**LAUNCH, "ClientToken": token}))
    head, body = read_reply(link)
    return head[9:12], body


def send(address: Address, signers: Sequence[Signer], seconds: float) -> Sent:
    """Send launches over eight connections, each as soon as one is answered.

    The connections take the signers in turn: the subnets of one Region would be full too soon.
    """
    sent, until = Sent(), time.perf_counter() + seconds

    def run(number: int) -> None:
        with closing(connected(address)) as link:
            while time.perf_counter() < until:
                token = uuid.uuid4().hex
                status, _ = _launch(link, signers[number], token)
                match status:
                    case b"200":
                        sent.accepted.append(token)
                    case b"503":
                        sent.refused.append((number, token))
                    case _:
                        sent.odd.append(status)

    numbers = (number % len(signers) for number in range(CONNECTIONS))
    threads = [threading.Thread(target=run, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sent


def launch_time(server: Server, signer: Signer) -> float:
    """Launch one instance, and wait until it runs; return the seconds."""
    began, token = time.perf_counter(), uuid.uuid4().hex
    with closing(connected(server.address)) as link:
        while (answer := _launch(link, signer, token))[0] != b"200":
            time.sleep(_LOOK_SECONDS)
        id = answer[1].split(b"<instanceId>")[1].split(b"<")[0].decode()
        while True:
            link.sendall(signer.request("DescribeInstances", {"InstanceId.1": id}))
            if b"<name>running</name>" in read_reply(link)[1]:
                return time.perf_counter() - began
            time.sleep(_LOOK_SECONDS)


def seconds_to_rest(database: Database) -> float:
    """Wait until every launch is driven to its end; return the seconds."""
    began = time.perf_counter()
    while undriven(database):
        time.sleep(_LOOK_SECONDS)
    return time.perf_counter() - began


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    words.add_argument("--seconds", type=float, default=60.0)
    seconds = words.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        database, other_key, greedy_key = make_database(Path(folder))
        # In a process of its own: the other account's caller waits for no thread of it.
        with (
            ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as elsewhere,
            ours(database, Path(folder) / "server.log") as server,
        ):
            elsewhere.submit(os.getpid).result()
            other = signer_of(server, other_key)
            greedy = [signer_of(server, greedy_key, region=one) for one in REGIONS]
            usual = statistics.median(launch_time(server, other) for _ in range(_USUAL))
            began = time.perf_counter()
            warm = elsewhere.submit(send, server.address, greedy, _DRIVING_SECONDS).result()
            seconds_to_rest(database)
            rate = len(warm.accepted) / (time.perf_counter() - began)

            launches: list[float] = []
            stop = threading.Event()

            def ask() -> None:
                while not stop.wait(_PAUSE_SECONDS):
                    launches.append(launch_time(server, other))

            asking = threading.Thread(target=ask)
            asking.start()
            sent = elsewhere.submit(send, server.address, greedy, seconds).result()
            stop.set()
            resting = seconds_to_rest(database)
            asking.join()
            again = 0
            until = time.perf_counter() + _REPEAT_SECONDS
            with closing(connected(server.address)) as link:
                for number, token in sent.refused:
                    while (answered := _launch(link, greedy[number], token)[0] == b"200") is False:
                        if time.perf_counter() > until:
                            break
                        time.sleep(_LOOK_SECONDS)
                    again += answered
                    if time.perf_counter() > until:
                        break
    asked = min(len(sent.refused), again) if time.perf_counter() > until else len(sent.refused)
    during = statistics.median(launches)
    share = len(sent.accepted) / (rate * seconds)
    body = [
        ["accepted", str(len(sent.accepted)), f"{share:.2f} of what can be driven",
         share >= ACCEPTED_MIN],
        ["refused", str(len(sent.refused)), f"{again} repeats succeeded", again == asked],
        ["neither", str(len(sent.odd)), "", not sent.odd],
        ["all ran after", f"{resting:.1f} s", "", resting <= ENDED_SECONDS_MAX],
        ["another's launch", f"{1000 * during:.0f} ms", f"usually {1000 * usual:.0f} ms",
         during <= TIMES_USUAL_MAX * usual],
    ]  # fmt: skip
    shown = [[*map(str, row[:3]), "holds" if row[3] else "missed"] for row in body]
    sys.stdout.write(f"{table(['', 'figure', 'beside', ''], shown)}\n")
    sys.stdout.write(f"load of the machine: {os.getloadavg()[0]:.1f}\n")
    return int(not all(row[3] for row in body))


if __name__ == "__main__":
    raise SystemExit(main())
