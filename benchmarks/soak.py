"""A million requests to one server, and its memory meanwhile: what grows with requests is a leak.

Describes by id and by client token, pages, repeats of launches, and a few new ones.
"""

from __future__ import annotations

import itertools

import names
from asking import Launchers, Reader, signer_of
from databases import await_driven
from legs import Leg
from load import send
from processes import resident_mb
from servers import ours

from sametoken.settings import database_of

# Requests between two looks at the memory.
CHUNK = 20_000
# Signatures are good for fifteen minutes; a chunk is signed anew.
_CHUNK_SECONDS_MAX = 600.0
_CONNECTIONS = 32
# The most launches: the accounts have no more addresses.
_LAUNCHES_MAX = 100_000


def measure(leg: Leg) -> None:
    if not leg.scale.soak_requests:
        return
    leg.folder.mkdir()
    fixture = leg.copied(names.FEW)
    database = database_of(fixture.database)
    chunks = max(1, leg.scale.soak_requests // CHUNK)
    leg.expect(chunks)
    with ours(database, leg.folder / "server.log") as server:
        reader = Reader(signer_of(server, fixture.reads), fixture)
        launchers = Launchers(server, fixture)
        resident = [resident_mb(server.pid)]
        for _ in range(chunks):
            by_id, by_token = reader.some()
            launched = launchers.sign(min(CHUNK // 50, _LAUNCHES_MAX // chunks))
            # A launch again and again: the first time it is new, later a repeat.
            mix = [*by_id, *by_token, *reader.page(), *launched, *launched]
            requests = itertools.islice(itertools.cycle(mix), CHUNK)
            send(server.address, requests, connections=_CONNECTIONS, seconds=_CHUNK_SECONDS_MAX)
            await_driven(database)
            resident.append(resident_mb(server.pid))
            leg.tell("soak")
    leg.fact(names.RESIDENT, resident)
