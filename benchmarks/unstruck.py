"""RunInstances with no fault set: what the faults that could be set cost it, in bytecodes and CPU.

    .venv/bin/python benchmarks/unstruck.py [--launches 300]

Counted is what the loop's thread executes of this program for a launch, from the request to its
answer; bytecodes do not depend on the machine's load. Lines that speak of faults execute what the
striking of requests adds: a launch without it executes the rest. The transaction, which runs in
the writer's thread, is left out, which makes the ratio larger. Ends with 1 above 1.02 times.

CPU is that of whole launches in one process, in turns: outside development mode, and in it with no
rule on the board.
"""

from __future__ import annotations

import argparse
import asyncio
import linecache
import os
import re
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from measure import spread, table
from stores import LAUNCH, REGION

import sametoken
from sametoken.ec2.protocol.wire import WireRequest
from sametoken.faults.rules import Rule
from sametoken.node import Node
from sametoken.operate.accounts import add_key
from sametoken.operate.opening import open_store
from sametoken.operate.preparing import prepared
from sametoken.server.app import App
from sametoken.server.replies import Answer
from sametoken.server.sealing import load_sealer
from sametoken.settings import Settings, database_of
from sametoken.world import RealWorld

# The bound that is judged.
TIMES_MAX = 1.02
# Launches whose bytecodes are counted, after some that load what the first ones need.
_COUNTED, _ROUNDS = 20, 7
_OURS = str(Path(sametoken.__file__).parent)
# Lines that are there for faults, and files that are for nothing else.
_LINES = re.compile(r"(?<!de)fault|strik|struck|full_zones|_answering")
_FILES = re.compile(r"/(faults/|server/(striking|fault_header|hidden)\.py)")
MODES = {"outside development mode": False, "in it, with no rule": True}


class Served:
    """A node's application without a socket, and a caller of it."""

    def __init__(self, app: App, key: str, secret: str) -> None:
        self._app = app
        self._credentials = Credentials(key, secret)

    def signed(self) -> WireRequest:
        form = {"Action": "RunInstances", "Version": "2016-11-15", "ClientToken": uuid.uuid4().hex}
        form |= {name: str(value) for name, value in LAUNCH.items()}
        request = AWSRequest("POST", "http://here/", data=form)
        request.headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
        SigV4Auth(self._credentials, "ec2", REGION).add_auth(request)
        sent = request.prepare()
        headers = tuple(
            (name.lower().encode(), value if isinstance(value, bytes) else str(value).encode())
            for name, value in sent.headers.items()
        )
        body = sent.body if isinstance(sent.body, bytes) else str(sent.body).encode()
        return WireRequest("POST", b"/", b"", ((b"host", b"here"), *headers), body)

    async def launch(self, request: WireRequest) -> None:
        told: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._app.answer(request, told.set_result)
        answer = await told
        assert answer.status == 200, answer.body


@contextmanager
def serving(folder: Path, *, dev: bool, faults: Sequence[Rule] = ()) -> Iterator[Served]:
    """An application of a node that drives nothing, with these faults set, for the block."""
    database = database_of(folder / f"{uuid.uuid4().hex}.db")
    with open_store(database, RealWorld()) as store:
        engine = prepared(store, database, RealWorld())
        settings = Settings(
            database, runners=0, dev=dev, lag_seconds=float("inf"), faults=tuple(faults)
        )
        node = Node(settings, store, engine)
        sealer = load_sealer(database.key_file, create=False)
        _, key, secret = store.run(lambda tx: add_key(tx, sealer, "bench", access="full"))
        try:
            yield Served(node.app, key, secret)
        finally:
            node.app.close()


def counted(served: Served) -> tuple[float, float]:
    """Count bytecodes of a launch: all of this program, and those that are there for faults."""
    found: Counter[tuple[str, int]] = Counter()

    def traced(frame: FrameType, event: str, _: Any) -> Any:
        if event == "opcode":
            found[frame.f_code.co_filename, frame.f_lineno or 0] += 1
        return traced

    def called(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_OURS):
            return None
        frame.f_trace_opcodes = True
        return traced

    async def run() -> None:
        for number in range(2 * _COUNTED):
            request = served.signed()
            if number == _COUNTED:
                sys.settrace(called)
            await served.launch(request)
        sys.settrace(None)

    asyncio.run(run())
    of_faults = sum(times for (file, line), times in found.items() if _is_for_faults(file, line))
    return found.total() / _COUNTED, of_faults / _COUNTED


def _is_for_faults(file: str, line: int) -> bool:
    return bool(_FILES.search(file) or _LINES.search(linecache.getline(file, line)))


def cpu_ms(served: Served, launches: int) -> float:
    """Measure the CPU of a launch, its transaction included, with signing done before."""
    requests = [served.signed() for _ in range(launches)]

    async def run() -> None:
        for request in requests:
            await served.launch(request)

    began = time.process_time()
    asyncio.run(run())
    return 1e3 * (time.process_time() - began) / launches


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--launches", type=int, default=300)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        subjects = {
            mode: stack.enter_context(serving(Path(name), dev=dev)) for mode, dev in MODES.items()
        }
        bytecodes = {mode: counted(served) for mode, served in subjects.items()}
        cpu: dict[str, list[float]] = {mode: [] for mode in subjects}
        for number in range(_ROUNDS):
            for mode in sorted(subjects, reverse=number % 2 == 1):
                cpu[mode].append(cpu_ms(subjects[mode], asked.launches))
    times = {mode: all / (all - added) for mode, (all, added) in bytecodes.items()}
    rows = [
        (
            mode,
            f"{bytecodes[mode][0]:,.0f}",
            f"{bytecodes[mode][1]:,.0f}",
            f"{times[mode]:.4f}",
            f"{spread(cpu[mode]):.3f}",
        )
        for mode in subjects
    ]
    head = ("RunInstances", "bytecodes", "of them for faults", "times", "CPU ms")
    sys.stdout.write(table(head, rows) + "\n")
    ratio = statistics.median(cpu["in it, with no rule"]) / statistics.median(
        cpu["outside development mode"]
    )
    sys.stdout.write(
        f"\nCPU in development mode: {ratio:.3f} times; load {os.getloadavg()[0]:.1f} on "
        f"{os.cpu_count()} cores\n"
    )
    return 1 if max(times.values()) > TIMES_MAX else 0


if __name__ == "__main__":
    sys.exit(main())
