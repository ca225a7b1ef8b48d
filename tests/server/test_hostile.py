"""Ten thousand hostile requests: only refusals, in well-formed XML, and nothing left behind.

Raw-socket abuse of the connection itself is in test_edge*.py; these requests get past it. Each
test's name has its seed; another is given by SAMETOKEN_HOSTILE_SEED.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit
from xml.etree import ElementTree

import pytest

from plane import Plane, everything
from sametoken.ec2.protocol.wire import WireRequest
from sametoken.node import Node
from sametoken.operate.accounts import add_key
from sametoken.operate.opening import open_store
from sametoken.operate.preparing import prepared
from sametoken.resources.network import default_vpc
from sametoken.server.app import App
from sametoken.server.replies import Answer
from sametoken.server.sealing import load_sealer
from sametoken.settings import Settings, database_of
from sametoken.store.port import Tx
from sametoken.world import RealWorld
from sdk import Keys
from server.hostile import REGIONS, Hostile, launch, odd_requests, requests
from server.wire import wire

SEED = os.environ.get("SAMETOKEN_HOSTILE_SEED", "1")
SHARDS, REQUESTS_EACH = 4, 2_500
OVER_THE_SOCKET = 300
ABOUT_EXISTING = 1_500
# AT_ONCE requests come together, as a burst of callers would send them.
AT_ONCE = 50
# Bytes that 2,000 requests may add to this process: caches that fill up, and the allocator's slack.
# A leak of one form (a few KiB each) would show.
GROWTH_BYTES_MAX = 24 * 1024 * 1024
HOST = "127.0.0.1:4590"
# Kinds whose signature is right, and codes that would say it is not.
RIGHTLY_SIGNED = {"launch", "token", "served", "unserved", "about", "plain"}
ABOUT_SIGNATURES = {
    "SignatureDoesNotMatch", "IncompleteSignature", "AuthFailure", "RequestExpired",
}  # fmt: skip
# Codes for a signature that was taken out, or whose header the edge itself could not read.
UNSIGNED = {"MissingParameter", "MalformedHttpRequestException"}


@dataclass(frozen=True)
class Heard:
    """The answer that the caller got."""

    status: int
    body: bytes

    def code(self) -> str:
        """The error's code, "-" for a success. Raises when the reply is not well-formed XML."""
        root = ElementTree.fromstring(self.body)
        found = [one for one in root.iter() if one.tag.rpartition("}")[2] == "Code"]
        return "-" if self.status == 200 else str(found[0].text)


def seed_regions(tx: Tx, account: str) -> None:
    """Make an account's default resources in its Regions before anything is compared."""
    for region in REGIONS:
        default_vpc.seed(tx, account, region)


@contextmanager
def application(database: Path) -> Iterator[tuple[App, Keys]]:
    """Open the application over a new database, without a socket and without runners."""
    here = database_of(database)
    with open_store(here, RealWorld()) as store:
        node = Node(Settings(here, runners=0), store, prepared(store, here, RealWorld()))
        sealer = load_sealer(here.key_file, create=False)
        keys = Keys(*store.run(lambda tx: add_key(tx, sealer, "hostile", access="full")))
        store.run(lambda tx: seed_regions(tx, keys.account))
        try:
            yield node.app, keys
        finally:
            node.app.close()


async def ask(app: App, hostile: Hostile) -> Heard:
    """Give one request to the application, as the edge gives it."""
    path, _, query = hostile.target.partition(b"?")
    headers = [(name.lower().encode(), value.encode()) for name, value in hostile.headers]
    heard: list[Answer] = []
    assert app.route(unquote_to_bytes(path).decode("latin-1")) is None, "a path of EC2's, or none"
    wire = WireRequest(hostile.method, path, query, tuple(headers), hostile.body)
    task = app.answer(wire, heard.append)
    if task is not None:
        await task
        await asyncio.sleep(0)  # the turn in which its end is told
    [answer] = heard
    return Heard(answer.status, answer.body)


def resident_bytes() -> int:
    """The memory of this process; 0 where the system does not report it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    gc.collect()
    return pages * os.sysconf("SC_PAGE_SIZE")


def check(hostile: Hostile, heard: Heard) -> str:
    """Return the reply's code; fails unless it is a refusal that shows nothing of our insides."""
    code = heard.code()
    told = (hostile, heard)
    refused = 400 <= heard.status < 500 or heard.status == 503
    assert refused or (hostile.may_succeed and heard.status == 200), told
    for inside in (b"Traceback", b"sametoken/", b"sqlite", b"sqlalchemy", b'File "'):
        assert inside not in heard.body, told
    if hostile.what in RIGHTLY_SIGNED:
        assert code not in ABOUT_SIGNATURES, told
    if hostile.what == "signature":
        assert code in ABOUT_SIGNATURES | UNSIGNED, told
    return code


async def ask_all(app: App, hostile: Iterator[Hostile]) -> tuple[Counter[str], int]:
    """Send in bursts; return the number of each kind with each code, and the growth of memory."""
    codes: Counter[str] = Counter()
    sent, before = 0, 0
    while burst := list(islice(hostile, AT_ONCE)):
        answers = await asyncio.gather(*(ask(app, one) for one in burst))
        codes.update(
            f"{one.what} {check(one, heard)}" for one, heard in zip(burst, answers, strict=True)
        )
        sent += len(burst)
        if sent == REQUESTS_EACH // 5:
            before = resident_bytes()
    return codes, resident_bytes() - before


@pytest.mark.parametrize("seed", [f"{SEED}/{shard}" for shard in range(SHARDS)])
def test_hostile_requests_are_refused_and_leave_nothing_behind(tmp_path: Path, seed: str) -> None:
    database = tmp_path / "hostile.db"
    with application(database) as (app, keys):
        before = everything(app.store)
        codes, growth = asyncio.run(ask_all(app, requests(seed, REQUESTS_EACH, keys, HOST)))
        after = everything(app.store)
    assert codes.total() == REQUESTS_EACH, codes
    # Check that the forms got as far as they should: to the state, and to the token's grammar.
    assert sum(count for what, count in codes.items() if what.endswith(".NotFound")) > 100
    assert codes["token InvalidParameterValue"] > 50
    assert after == before
    assert growth < GROWTH_BYTES_MAX


@pytest.mark.parametrize("seed", [f"{SEED}/about"])
def test_odd_requests_about_things_that_exist_never_meet_a_bug(tmp_path: Path, seed: str) -> None:
    """Let these, unlike the others, succeed and change existing resources."""
    database = tmp_path / "odd.db"
    with application(database) as (app, keys):
        launched = asyncio.run(ask(app, launch(keys, HOST)))
        assert launched.status == 200, launched
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT id FROM resource WHERE region = ?", REGIONS[:1])
            ids = [id for (id,) in found]
        codes, _ = asyncio.run(ask_all(app, odd_requests(seed, ABOUT_EXISTING, keys, HOST, ids)))
    assert codes["about -"] > 100, codes


@pytest.mark.parametrize("seed", [f"{SEED}/socket"])
def test_hostile_requests_over_the_socket_fare_no_better(plane: Plane, seed: str) -> None:
    keys = plane.account("hostile")
    plane.run(lambda tx: seed_regions(tx, keys.account))
    before = everything(plane.store) | {"attempt": []}
    host = urlsplit(plane.url).netloc
    where = (str(urlsplit(plane.url).hostname), int(urlsplit(plane.url).port or 0))
    for hostile in requests(seed, OVER_THE_SOCKET, keys, host):
        if hostile.method == "HEAD":
            continue  # its answer has no body to look at
        with wire(where) as caller:
            caller.send(hostile.as_bytes())
            status, _, body = caller.read_reply()
        check(hostile, Heard(status, body))
    # Of those with a token and a proof it is told that they were refused.
    assert everything(plane.store) | {"attempt": []} == before
