"""Each part of `make bench` runs on one node, with tiny parameters; its tools do what they say.

Figures say nothing at this size. docs/scale.md has tests of its own for what it tells. PostgreSQL's
part is left to `make bench`: it needs more seconds than this suite has.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sametoken.faults.kinds import Kind
from sametoken.faults.rules import Rule
from sametoken.settings import database_of

Importing = Callable[[str], Any]

# Enough for the instances that filters match, and for a second page.
FEW = 120
TINY = {"rounds": 1, "seconds": 0.02, "operations": 6, "driven": 4, "overload_seconds": 0.2}


@pytest.fixture
def leg(
    benchmark: Importing,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """Make a part of a tiny run, without peers; its fixture is made once for all tests here."""
    legs, names = benchmark("legs"), benchmark("names")
    # Import those that copy the name first, or they would keep the other size for all tests.
    for reader in ("judged", "page", "budget"):
        benchmark(reader)
    monkeypatch.setattr(names, "FEW", FEW)
    monkeypatch.setattr(benchmark("servers"), "PEERS", tmp_path / "no-peers")
    root = tmp_path_factory.getbasetemp() / "fixtures"
    fixtures = benchmark("fixtures").Fixtures(root, tell=_quiet)
    scale = replace(legs.QUICK, sizes=(FEW,), **TINY)
    figures = benchmark("figures").Figures()
    return legs.Leg("tiny", tmp_path / "leg", scale, fixtures, figures, _quiet, _quiet)


def _quiet(told: object) -> None:
    """Tell nobody."""


def _asked(benchmark: Importing, where: str) -> set[str]:
    """Names that judged lines ask for: of one part, of few instances, and of none of the peers."""
    names = benchmark("names")
    lines = benchmark("judged").subjects_asked()
    others = ("moto", "ministack", f"{names.SOME:,}", f"{names.MANY:,}", "20,000", "DBOS")
    return {
        name.replace("1,000 stored", f"{FEW} stored")
        for name in lines
        if name.startswith(where) and not any(other in name for other in others)
    }


def _measured(leg: Any) -> set[str]:
    return {name for name, one in leg.figures.subjects.items() if not one.unmeasured}


def test_starts_are_measured(benchmark: Importing, leg: Any) -> None:
    benchmark("start").measure(leg)
    assert _asked(benchmark, "start") <= leg.figures.facts.keys()


def test_the_part_in_process_measures_what_its_lines_ask_for(
    benchmark: Importing, leg: Any
) -> None:
    benchmark("in_process").measure(leg)
    assert _asked(benchmark, "in process") <= _measured(leg)
    assert _asked(benchmark, "log pages") <= leg.figures.facts.keys()
    names = benchmark("names")
    assert "not installed" in leg.figures.subjects[names.DBOS_SQLITE].unmeasured


def test_an_earlier_commit_is_measured_beside_where_the_peers_are(
    benchmark: Importing, leg: Any
) -> None:
    earlier, names = benchmark("earlier"), benchmark("names")
    earlier.measure(leg)
    then = {name for name in leg.figures.subjects if name.endswith(names.EARLIER)}
    assert _asked(benchmark, "earlier") <= _measured(leg) | then
    for name in then - _measured(leg):
        assert "not installed" in leg.figures.subjects[name].unmeasured


def test_the_part_over_http_measures_what_its_lines_ask_for(benchmark: Importing, leg: Any) -> None:
    benchmark("over_http").measure(leg)
    assert _asked(benchmark, "HTTP") <= _measured(leg)
    peers = {one.unmeasured for name, one in leg.figures.subjects.items() if "ministack" in name}
    assert peers and all(peers), "a peer that is not there has a reason"


def test_an_overload_is_measured_with_what_its_lines_ask_for(
    benchmark: Importing, leg: Any
) -> None:
    benchmark("overload").measure(leg)
    # Leave out refusals: there need be none in so short a time.
    asked = _asked(benchmark, "overload") - {benchmark("names").REFUSAL_MS}
    assert asked <= leg.figures.facts.keys()


def test_a_soak_looks_at_the_memory_after_each_chunk(
    benchmark: Importing, leg: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    soak = benchmark("soak")
    monkeypatch.setattr(soak, "CHUNK", 100)
    leg.scale = replace(leg.scale, soak_requests=300)
    soak.measure(leg)
    assert len(leg.figures.facts[benchmark("names").RESIDENT]) == 4


def test_a_server_that_is_held_back_drives_nothing(
    benchmark: Importing, leg: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    databases = benchmark("databases")
    monkeypatch.setattr(databases, "DRAIN_SECONDS_MAX", 0.5)
    fixture = leg.copied(0)
    database = database_of(fixture.database)
    with benchmark("servers").ours(database, tmp_path / "log", drives=False) as server:
        signed = benchmark("asking").Launchers(server, fixture).sign(3)
        assert server.answer(signed, connections=1, seconds=60.0).done == 3
        # A server that drives has driven them within a tenth of this.
        with pytest.raises(TimeoutError):
            databases.wait_until(lambda: databases.undriven(database) < 3)


@pytest.mark.parametrize("name", ["moto", "ministack"])
def test_a_peer_answers_the_same_requests(benchmark: Importing, tmp_path: Path, name: str) -> None:
    servers, peers = benchmark("servers"), benchmark("peers")
    if not servers.PEERS.exists():
        pytest.skip("the peers are not installed: `make bench` does that")
    with getattr(servers, name)(tmp_path / "log") as server:
        peer = peers.Peer(name, server, 2)
        for run in (peer.by_id(0.1), peer.page(0.1), peer.launch_emptied(2, 0.1)):
            assert run.done > 0


def test_works_are_committed_in_batches_of_exactly_the_size(
    benchmark: Importing, tmp_path: Path
) -> None:
    stores = benchmark("stores")
    moments: list[object] = []
    handed: list[Future[object]] = []
    with stores.opened(tmp_path / "batches.db") as plane:

        def submit(work: Any) -> Future[object]:
            # Hand over so slowly that the store could take a part of a batch if it were let.
            handed.append(plane.store.submit(work))
            wait(handed, timeout=0.01)
            return handed[-1]

        works = [lambda tx: moments.append(tx.now)] * 12
        stores.submit_in_batches(SimpleNamespace(submit=submit), works, batch=4)
    assert list(Counter(moments).values()) == [4, 4, 4]


def test_a_floor_writes_the_rows_that_launches_leave(benchmark: Importing, tmp_path: Path) -> None:
    cloning, stores = benchmark("cloning"), benchmark("stores")
    with stores.opened(tmp_path / "real.db") as plane:
        cloning.launched(plane)
        before = _counts(cloning.contents(plane))
        plane.store.run(plane.launch("again"))
        left = _counts(cloning.contents(plane)) - before
    with closing(benchmark("floors").Floors(tmp_path)) as floors:
        store = SimpleNamespace(database=tmp_path / "floors.db")
        empty = _counts(cloning.contents(store))
        floors.rows(6, batch=4)
        written = _counts(cloning.contents(store)) - empty
    assert written == Counter({table: 6 * count for table, count in left.items()})


def _counts(contents: dict[str, set[tuple[Any, ...]]]) -> Counter[str]:
    return Counter({table: len(rows) for table, rows in contents.items()})


def test_a_fixture_is_made_again_when_it_would_be_another(
    benchmark: Importing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixtures = benchmark("fixtures")
    made: list[str] = []
    first = fixtures.Fixtures(tmp_path, tell=made.append).get(0)
    assert fixtures.Fixtures(tmp_path, tell=made.append).get(0) == first
    monkeypatch.setattr(fixtures, "_FORMAT", "another")
    again = fixtures.Fixtures(tmp_path, tell=made.append).get(0)
    assert len(made) == 2
    assert again.database.exists() and not first.database.exists()


def test_requests_are_signed_as_stock_botocore_signs_them(benchmark: Importing) -> None:
    signer = benchmark("signer").Signer(("127.0.0.1", 4590), "AKID", "secret")
    head, _, body = signer.request("DescribeInstances", {"MaxResults": 5}).partition(b"\r\n\r\n")
    fields = dict(re.findall(r"([\w-]+): (.*)\r", head.decode() + "\r\n"))
    request = AWSRequest(
        "POST", "http://127.0.0.1:4590/", data=body,
        headers={"Content-Type": fields["Content-Type"]},
    )  # fmt: skip
    request.context["timestamp"] = fields["X-Amz-Date"]
    request.headers["X-Amz-Date"] = fields["X-Amz-Date"]
    theirs = SigV4Auth(Credentials("AKID", "secret"), "ec2", "us-east-1")
    text = theirs.string_to_sign(request, theirs.canonical_request(request))
    assert fields["Authorization"].endswith(f"Signature={theirs.signature(text, request)}")


@pytest.fixture
def figures(benchmark: Importing) -> Any:
    """Import the module of a run's figures."""
    return benchmark("figures")


def test_a_line_is_held_missed_or_not_measured(benchmark: Importing, figures: Any) -> None:
    judged = benchmark("judged")
    line = judged.Line("twice as quick", judged.rate("ours", "theirs"), 2.0)

    def verdict(ours: list[float] | str, theirs: list[float] | str) -> str:
        found = figures.Figures()
        for name, given in (("ours", ours), ("theirs", theirs)):
            rates, reason = ([], given) if isinstance(given, str) else (given, "")
            found.subjects[name] = figures.Subject("", rates, rates, [], [], [], {}, reason)
        one = line.judge(found)
        assert one.breaks == (one.verdict == "MISSED")
        return str(one.verdict)

    assert verdict([20.0, 19.0, 21.0], [10.0, 10.0, 10.0]) == "held"
    assert verdict([19.0, 19.0, 21.0], [10.0, 10.0, 10.0]) == "MISSED"
    assert verdict("it does not answer", [10.0]) == "MISSED"
    assert verdict([20.0], "it is not installed") == "not measured"


def test_a_line_that_only_informs_breaks_no_run(benchmark: Importing, figures: Any) -> None:
    judged = benchmark("judged")
    line = judged.Line("few", judged.fact("few"), 1.0, less_is_better=True, binding=False)
    one = line.judge(figures.Figures(facts={"few": [2.0]}))
    assert one.verdict == "MISSED" and not one.breaks


def test_the_tables_of_the_page_are_those_of_its_figures(
    benchmark: Importing, figures: Any
) -> None:
    page = benchmark("page")
    written = page.PAGE.read_text(encoding="utf-8")
    assert written == page.filled(written, figures.read(page.PUBLISHED)), (
        "run `make bench ARGS='--from docs/performance/figures.json --page'`"
    )


def test_pages_are_compared_with_describes_of_the_same_rows(benchmark: Importing) -> None:
    found = benchmark("console_pages").measure(rounds=1, repeats=3, launches=2)
    assert [one.page for one in found] == [
        "the story of a launch", "2 launches", "the overview",
    ]  # fmt: skip


def test_faults_that_are_not_set_cost_next_to_nothing(benchmark: Importing, tmp_path: Path) -> None:
    """In bytecodes, which depend on no load; where some are set, the count sees it."""
    unstruck = benchmark("unstruck")

    def times(*, dev: bool, faults: Sequence[Rule] = ()) -> float:
        with unstruck.serving(tmp_path, dev=dev, faults=faults) as served:
            every, of_faults = unstruck.counted(served)
        assert of_faults > 0
        return float(every / (every - of_faults))

    for dev in unstruck.MODES.values():
        assert times(dev=dev) <= unstruck.TIMES_MAX
    rule = Rule(Kind.THROTTLE, action=("RunInstances",), attempt=(9, 9))
    assert times(dev=True, faults=[rule]) > unstruck.TIMES_MAX
