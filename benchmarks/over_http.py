"""Real servers, and one client process on the same machine: a caller's view.

`sametoken serve` on stores of few and of many instances; one that accepts launches and drives none;
moto and ministack. All of them are up at once and answer in turns. GetCallerIdentity is the floor
of a describe: a connection, a form, a signature and a log line, no row.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import names
import peers
from asking import Launchers, Reader, signer_of
from databases import await_driven
from fixtures import Fixture
from legs import Leg
from measure import Run, Stopwatch, Unmeasured
from servers import Server, ours

from sametoken.settings import database_of

CONNECTIONS = (8, 64)
# Edges beside the usual ones, with which accepting is measured too: what the default rests on.
EDGES = (0, 1, 2)
# Launches that are signed for each second of a round: more than any server accepts.
SIGNED_A_SECOND = 6000
_COLD_PAGES = 10
# The share of a round's seconds that cold pages are asked for: what makes them cold takes longer.
_COLD_SHARE = 0.3

Subjects = dict[str, Callable[[], Run]]


def measure(leg: Leg) -> None:
    leg.folder.mkdir()
    subjects: Subjects = {}
    with ExitStack() as stack:
        subjects |= _accepting(stack, leg, names.ACCEPTED)
        for count in EDGES:
            name = names.with_edges(names.ACCEPTED, count)
            subjects |= _accepting(stack, leg, name, processes=count)
        for size in leg.scale.sizes:
            fixture = leg.copied(size)
            database = database_of(fixture.database)
            server = stack.enter_context(ours(database, leg.folder / f"{size}.log"))
            subjects |= _reads(leg, server, fixture)
            subjects |= _driven(leg, server, fixture)
        subjects |= peers.subjects(stack, leg)
        leg.interleave(subjects)


def _accepting(stack: ExitStack, leg: Leg, name: str, *, processes: int | None = None) -> Subjects:
    """RunInstances of a server that drives nothing, its store empty at the start."""
    place = "accepting" if processes is None else f"accepting-{processes}"
    fixture = leg.fixtures.get(0).copied(leg.folder / place)
    server = stack.enter_context(
        ours(
            database_of(fixture.database), leg.folder / f"{place}.log", drives=False,
            processes=processes,
        )
    )  # fmt: skip
    launchers = Launchers(server, fixture)

    def accept(connections: int) -> Run:
        signed = launchers.sign(int(SIGNED_A_SECOND * leg.scale.seconds))
        return server.answer(signed, connections=connections, seconds=leg.scale.seconds)

    return {names.at(name, count): partial(accept, count) for count in CONNECTIONS}


def _driven(leg: Leg, server: Server, fixture: Fixture) -> Subjects:
    """RunInstances of a server that drives meanwhile; a launch counts once its machine runs."""
    launchers = Launchers(server, fixture)
    database = database_of(fixture.database)

    def launch(connections: int) -> Run:
        signed = launchers.sign(int(SIGNED_A_SECOND * leg.scale.seconds))
        watch = Stopwatch()

        def act() -> Run:
            run = server.answer(signed, connections=connections, seconds=leg.scale.seconds)
            await_driven(database)
            return run

        run = server.measured(act)
        return replace(run, seconds=watch.seconds)

    counts = CONNECTIONS if fixture.living == names.FEW else CONNECTIONS[1:]
    return {
        names.at(names.RAN, count, size=fixture.living): partial(launch, count) for count in counts
    }


def _reads(leg: Leg, server: Server, fixture: Fixture) -> Subjects:
    size, seconds = fixture.living, leg.scale.seconds
    reader = Reader(signer_of(server, fixture.reads), fixture)
    by_id, by_token = reader.some()

    def asked(requests: list[bytes], connections: int) -> Callable[[], Run]:
        return lambda: server.answer(
            itertools.cycle(requests), connections=connections, seconds=seconds
        )

    subjects: Subjects = {}
    for name, requests in (
        (names.WHO, reader.who()),
        (names.BY_ID, by_id),
        (names.BY_TOKEN, by_token),
        (names.PAGE, reader.page()),
    ):
        subjects[names.at(name, 8, size=size)] = asked(requests, 8)
        if size == names.FEW and name != names.PAGE:
            subjects[names.at(name, 64, size=size)] = asked(requests, 64)
    if size == names.FEW:
        subjects[names.at(names.COLD_PAGE, 8, size=size)] = _cold(leg, server, reader)
    if size in (names.FEW, names.MANY):
        for by, found in _filters(reader).items():
            name = names.at(f"{names.FILTERED} {by}", 8, size=size)
            subjects[name] = asked([found], 8) if isinstance(found, bytes) else refusing(found)
    return subjects


def _filters(reader: Reader) -> dict[str, bytes | Unmeasured]:
    """A checked request for each filter, or the reason why there is none.

    After the first that a server does not answer in time the others are not tried: each would keep
    it busy as long.
    """
    found: dict[str, bytes | Unmeasured] = {}
    for by in names.FILTERS:
        failed = next((one for one in found.values() if isinstance(one, Unmeasured)), None)
        try:
            found[by] = failed or reader.matching(by)
        except Unmeasured as reason:
            found[by] = reason
    return found


def refusing(reason: Unmeasured) -> Callable[[], Run]:
    def refuse() -> Run:
        raise reason

    return refuse


def _cold(leg: Leg, server: Server, reader: Reader) -> Callable[[], Run]:
    """Pages of which every instance has changed since it was shown last."""
    asked, shown = reader.pages(_COLD_PAGES)

    def run() -> Run:
        found: list[Run] = []
        while sum(one.seconds for one in found) < _COLD_SHARE * leg.scale.seconds:
            tagging = [reader.tagging(ids) for ids in shown]
            server.answer(tagging, connections=1, seconds=60.0)
            found.append(server.answer(asked, connections=8, seconds=60.0))
        return joined(found)

    return run


def joined(runs: list[Run]) -> Run:
    """Take several runs for one."""
    return Run(
        sum(run.done for run in runs),
        sum(run.seconds for run in runs),
        sum(run.cpu_seconds for run in runs),
        sum(run.client_cpu_seconds for run in runs),
        tuple(itertools.chain.from_iterable(run.latencies_ms for run in runs)),
    )
