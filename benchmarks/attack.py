"""Attacks of one account on a server: what another account's requests take meanwhile.

    .venv/bin/python benchmarks/attack.py [--seconds 10] [--instances 400]

Each attack goes on alone, then all at once, each after a calm course in the same run. Judged are
the other account's requests at the 99th percentile (against the calm course just before, and one
second), the memory of all the server's processes, and the probes. Ends with 1 where one is missed.
Attackers are processes of their own; all share the machine with the server and the caller.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import socket
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from asking import signer_of
from databases import await_driven
from fixtures import Key
from load import Address
from measure import percentile, table
from processes import resident_mb
from servers import Server, ours
from signer import Signer
from stores import LAUNCH, REGION, lift_limits

from sametoken.operate.accounts import add_key
from sametoken.operate.opening import open_store
from sametoken.operate.preparing import prepared
from sametoken.resources.network import default_vpc
from sametoken.server.bounds import DEFAULT_BOUNDS
from sametoken.server.sealing import load_sealer
from sametoken.settings import Database, database_of
from sametoken.world import RealWorld

# The bounds that are judged.
TIMES_CALM_MAX, P99_SECONDS_MAX, MEMORY_MB_MAX = 5.0, 1.0, 300.0
DESCRIBES, LISTINGS, IDLE, SENDERS = 2, 60, DEFAULT_BOUNDS.connections_max, 64
BODY_BYTES = 99_000
TAGS, VALUES = 50, 200
# A caller's requests: reads by id, a launch now and then.
_LAUNCH_EVERY = 10
_PATIENCE_SECONDS = 60.0
_PROBE_SECONDS = 3.0

Attack = Callable[[Address, "Prepared"], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """Requests of the hostile account, signed."""

    describe: bytes
    listing: bytes


def connected(address: Address) -> socket.socket:
    return socket.create_connection(address, timeout=_PATIENCE_SECONDS)


def read_reply(link: socket.socket) -> tuple[bytes, bytes]:
    """Read one reply; return its head and its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = link.recv(65536)
        if not piece:
            raise ConnectionError("closed")
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    left = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]) - len(rest)
    body = [rest]
    while left > 0:
        piece = link.recv(min(left, 1 << 20))
        if not piece:
            raise ConnectionError("closed")
        left -= len(piece)
        body.append(piece)
    return head, b"".join(body)


def _again(act: Callable[[], None]) -> None:
    while True:
        with suppress(OSError, IndexError):
            act()
        time.sleep(0.01)


def _in_threads(count: int, act: Callable[[], None]) -> None:
    threads = [threading.Thread(target=_again, args=(act,), daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def describes(address: Address, prepared: Prepared) -> None:
    """Describes with 200 wildcards over instances with 50 tags, each as soon as one is answered."""

    def act() -> None:
        with closing(connected(address)) as link:
            while True:
                link.sendall(prepared.describe)
                read_reply(link)

    _in_threads(DESCRIBES, act)


def listings(address: Address, prepared: Prepared) -> None:
    """Whole listings that nobody reads."""

    def act() -> None:
        with closing(connected(address)) as link:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            link.sendall(prepared.listing)
            time.sleep(_PATIENCE_SECONDS)

    _in_threads(LISTINGS, act)


def idle(address: Address, prepared: Prepared) -> None:
    """Sockets that say nothing, as many as a server takes."""
    held = []
    while True:
        with suppress(OSError):
            if len(held) < IDLE:
                held.append(connected(address))
        if len(held) >= IDLE:
            time.sleep(0.1)


def bodies(address: Address, prepared: Prepared) -> None:
    """Large bodies that nobody signed."""
    body = b"&".join(b"Filter.%d.Name=x" % number for number in range(6000))[:BODY_BYTES]
    request = (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )

    def act() -> None:
        with closing(connected(address)) as link:
            while True:
                link.sendall(request)
                read_reply(link)

    _in_threads(SENDERS, act)


ATTACKS: dict[str, tuple[Attack, ...]] = {
    "two hostile describes": (describes,),
    "60 unread listings": (listings,),
    "512 idle sockets": (idle,),
    "64 senders of 99 KB": (bodies,),
    "all at once": (describes, listings, idle, bodies),
}


@contextmanager
def attacked(attacks: Sequence[Attack], address: Address, prepared: Prepared) -> Iterator[None]:
    """Attack for the block, each by a process of its own."""
    context = multiprocessing.get_context("fork")
    attackers = [context.Process(target=one, args=(address, prepared)) for one in attacks]
    for one in attackers:
        one.start()
    try:
        yield
    finally:
        for one in attackers:
            one.kill()
            one.join()


@dataclass(slots=True)
class Course:
    """Requests of the other account meanwhile, and what the server was seen to be."""

    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    memory_mb: float = 0.0
    probes: list[bool] = field(default_factory=list)

    @property
    def p99(self) -> float:
        return percentile(self.seconds, 0.99)


def course(
    server: Server, caller: socket.socket, signer: Signer, id: str, seconds: float
) -> Course:
    """Ask for some seconds, on a connection that was open before, and look at the server."""
    found, stop = Course(), threading.Event()
    watching = threading.Thread(target=_watch, args=(server, found, stop))
    watching.start()
    until = time.perf_counter() + seconds
    number = 0
    while time.perf_counter() < until:
        number += 1
        if number % _LAUNCH_EVERY:
            request = signer.request("DescribeInstances", {"InstanceId.1": id})
        else:
            request = signer.request("RunInstances", {**LAUNCH, "ClientToken": uuid.uuid4().hex})
        began = time.perf_counter()
        caller.sendall(request)
        status = read_reply(caller)[0][9:12]
        found.seconds.append(time.perf_counter() - began)
        found.refused += status != b"200"
    stop.set()
    watching.join()
    return found


def _watch(server: Server, found: Course, stop: threading.Event) -> None:
    while not stop.wait(0.5):
        found.memory_mb = max(found.memory_mb, resident_mb(server.pid))
        for path in ("health", "ready"):
            host, port = server.address
            try:
                with urllib.request.urlopen(
                    f"http://{host}:{port}/{path}", timeout=_PROBE_SECONDS
                ) as reply:
                    found.probes.append(reply.status == 200)
            except OSError:
                found.probes.append(False)


def make_database(folder: Path) -> tuple[Database, Key, Key]:
    """Make a database with two accounts and no limits."""
    database = database_of(folder / "attacked.db")
    with open_store(database, RealWorld()) as store:
        prepared(store, database, RealWorld())
        assert database.key_file is not None, "a file's key is beside it"
        sealer = load_sealer(database.key_file, create=False)
        keys = []
        for name in ("caller", "hostile"):
            key = Key(*store.run(partial(add_key, sealer=sealer, account_name=name, access="full")))
            store.run(partial(default_vpc.seed, account=key.account, region=REGION))
            keys.append(key)
        lift_limits(store)
    return database, keys[0], keys[1]


def _launch(server: Server, signer: Signer, count: int, *, tags: int = 0) -> str:
    """Launch instances with tags; return the id of one."""
    fields: dict[str, object] = {**LAUNCH, "MinCount": count, "MaxCount": count}
    if tags:
        fields["TagSpecification.1.ResourceType"] = "instance"
    for number in range(1, tags + 1):
        fields[f"TagSpecification.1.Tag.{number}.Key"] = f"key-{number}"
        fields[f"TagSpecification.1.Tag.{number}.Value"] = "abcdefgh" * 30
    with closing(connected(server.address)) as link:
        link.sendall(signer.request("RunInstances", fields))
        _, data = read_reply(link)
    assert b"<instanceId>" in data, data[-500:]
    return data.split(b"<instanceId>")[1].split(b"<")[0].decode()


def _hostile(signer: Signer) -> Prepared:
    wildcards = {
        f"Filter.1.Value.{number}": "*" + "*".join("abcdefgh"[number % 8 :] * 10) + f"*{number}z*"
        for number in range(1, VALUES + 1)
    }
    named = {"Filter.1.Name": "tag-value", **{k: v[:150] for k, v in wildcards.items()}}
    return Prepared(signer.request("DescribeInstances", named), signer.request("DescribeInstances"))


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    words.add_argument("--seconds", type=float, default=10.0)
    words.add_argument("--instances", type=int, default=400)
    words.add_argument("--only", nargs="*", default=list(ATTACKS), help="names of attacks")
    asked = words.parse_args()
    body, missed = [], 0
    with tempfile.TemporaryDirectory() as folder:
        database, calm_key, hostile_key = make_database(Path(folder))
        with ours(database, Path(folder) / "server.log") as server:
            signer, hostile = signer_of(server, calm_key), signer_of(server, hostile_key)
            id = _launch(server, signer, 1)
            for _ in range(asked.instances // 100):
                _launch(server, hostile, 100, tags=TAGS)
            await_driven(database)
            for name, attacks in ATTACKS.items():
                if name not in asked.only:
                    continue
                with closing(connected(server.address)) as caller:
                    calm = course(server, caller, signer, id, asked.seconds / 2)
                    with attacked(attacks, server.address, _hostile(hostile)):
                        time.sleep(1.0)
                        found = course(server, caller, signer, id, asked.seconds)
                held = [
                    found.p99 <= TIMES_CALM_MAX * calm.p99,
                    found.p99 < P99_SECONDS_MAX,
                    found.memory_mb < MEMORY_MB_MAX,
                    all(found.probes) and bool(found.probes),
                ]
                missed += not all(held)
                body.append(
                    [
                        name, f"{1000 * calm.p99:.1f}", f"{1000 * found.p99:.1f}",
                        f"{found.p99 / calm.p99:.1f}", str(len(found.seconds)),
                        str(found.refused), f"{found.memory_mb:.0f}",
                        f"{sum(found.probes)}/{len(found.probes)}",
                        "holds" if all(held) else "missed",
                    ]
                )  # fmt: skip
                sys.stdout.write(f"{' '.join(body[-1])}\n")
    head = ["attack", "calm p99 ms", "p99 ms", "ratio", "requests", "refused", "MB", "probes", ""]
    sys.stdout.write(f"{table(head, body)}\nload of the machine: {os.getloadavg()[0]:.1f}\n")
    return int(bool(missed))


if __name__ == "__main__":
    raise SystemExit(main())
