"""The short form of `make chaos`: real nodes, servers and failures, on loopback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from chaos import history, report
from chaos.checker import Checker
from chaos.faults import Pace
from chaos.run import Asked, run

# A fixed seed. Another tries another order of the same faults; `make chaos` draws one each time.
SEED = 1
FAULTS = {"kill": 4, "stop": 2, "cut": 3, "restart": 1, "failover": 1}
CREATES = 2_000


def test_what_was_acknowledged_under_kills_cuts_restarts_and_a_failover_is_there_once(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    file = tmp_path / "history.jsonl"
    # Use a folder outside pytest's own, which is closed to the servers' user.
    with TemporaryDirectory(prefix="sametoken-chaos-") as folder:
        run(Asked(SEED, Pace(CREATES, 0.0), FAULTS), Path(folder), file)
    found = history.read(file)
    violations = Checker(found).violations()
    for line in report.lines(found, violations):
        record_property("counted", f"chaos: {line}")
    assert not violations, "\n".join(report.lines(found, violations))
    assert not report.shortfalls(found), "\n".join(report.lines(found, violations))
    counted = report.counts(found)
    # Check that the run was worth its time: unknown outcomes were asked again, commits were
    # cancelled.
    assert counted["lost replies"] > 0
    assert counted["mismatches"] > 0
    assert counted["cancelled commits"] > 0
