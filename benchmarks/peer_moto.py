"""The same requests to moto's server, where moto is installed: the most used peer.

moto keeps everything in memory and ignores client tokens, so it does less. It is not among our
requirements: install it into an environment of your own with `pip install "moto[server,ec2]"`.
"""

from __future__ import annotations

import itertools
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from connections import Signer, exchange, send
from measure import Run, cpu_seconds_of, http_table, interleave

CONNECTIONS = 8
PAGE = 100
START_SECONDS_MAX = 30.0
_POLL_SECONDS = 0.1
# moto takes any image; its own list does not have the alias of ours.
_LAUNCH = {"ImageId": "ami-12c6146b", "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}


def measure(*, rounds: int, seconds: float, stored: int) -> None:
    """Print the table, or the reason why there is none."""
    try:
        release = version("moto")
    except PackageNotFoundError:
        print("\n## Peer: moto\n\nSkipped: moto is not installed beside sametoken.")
        return
    with _served() as (process, signer):
        ids = _stored(signer, stored)
        one = [signer.request("DescribeInstances", {"InstanceId.1": id}) for id in ids]
        page = [signer.request("DescribeInstances", {"MaxResults": PAGE})]
        subjects: dict[str, Callable[[], Run]] = {
            f"Describe one id, {CONNECTIONS} connections": partial(
                _send, process.pid, signer, one, seconds
            ),
            f"Describe a page of {PAGE}, {CONNECTIONS} connections": partial(
                _send, process.pid, signer, page, seconds
            ),
            f"RunInstances, {CONNECTIONS} connections": lambda: _send(
                process.pid, signer, _launches(signer, int(1000 * seconds)), seconds, repeat=False
            ),
        }
        runs = interleave(rounds, subjects)
    print(f"\n## Peer: moto {release}, {stored:,} instances stored at the start, {rounds} rounds\n")
    print(http_table(runs))


def _send(
    process_id: int, signer: Signer, requests: list[bytes], seconds: float, *, repeat: bool = True
) -> Run:
    before = cpu_seconds_of(process_id)
    run = send(
        signer.address,
        itertools.cycle(requests) if repeat else requests,
        connections=CONNECTIONS,
        seconds=seconds,
    )
    return replace(run, server_cpu_seconds=cpu_seconds_of(process_id) - before)


def _launches(signer: Signer, count: int) -> list[bytes]:
    return [
        signer.request("RunInstances", {**_LAUNCH, "ClientToken": uuid.uuid4().hex})
        for _ in range(count)
    ]


def _stored(signer: Signer, count: int) -> list[str]:
    """Launch `count` instances and return their ids."""
    fields = {**_LAUNCH, "MinCount": count, "MaxCount": count}
    answer = exchange(signer.address, signer.request("RunInstances", fields))
    return [piece.partition("</instanceId>")[0] for piece in answer.split("<instanceId>")[1:]]


@contextmanager
def _served() -> Iterator[tuple[subprocess.Popen[Any], Signer]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", address[0], "-p", str(address[1])],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _await_listening(address)
        yield process, Signer(address, "AKIAIOSFODNN7EXAMPLE", "moto-checks-no-signature")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=START_SECONDS_MAX)


def _await_listening(address: tuple[str, int]) -> None:
    until = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            socket.create_connection(address, timeout=1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(_POLL_SECONDS)
