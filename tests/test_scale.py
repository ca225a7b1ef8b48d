"""docs/scale.md: its commands are understood, its arithmetic comes out, its simulations hold.

The benchmarks run here with tiny parameters: that they run, and what must be true at any size.
"""

from __future__ import annotations

import doctest
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from store import servers

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/scale.md"
# All that the page's tables need, in cells too few to be worth a look.
ACCOUNTS, CELLS, CELL_RATE = 2000, 20, 9.0


def test_the_commands_of_the_page_are_understood(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = re.findall(r"make scale ARGS='([^']*)'", PAGE.read_text())
    assert commands
    for words in commands:
        monkeypatch.setattr(sys, "argv", ["scale.py", *shlex.split(words)])
        assert benchmark("scale").read_options().only, words


def test_the_arithmetic_of_the_page_comes_out() -> None:
    blocks = "\n".join(re.findall(r"```pycon\n(.*?)```", PAGE.read_text(), re.DOTALL))
    page = doctest.DocTestParser().get_doctest(blocks, {}, PAGE.name, str(PAGE), 0)
    outcome = doctest.DocTestRunner().run(page)
    assert outcome.attempted > 10, "the page's arithmetic has been found"
    assert outcome.failed == 0


def test_a_swept_launch_leaves_no_row_behind_on_either_store(
    benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lives = benchmark("footprint").measure(tmp_path, servers.shared(), launches=20, lived=2)
    assert lives["SQLite"].keys() == lives["PostgreSQL"].keys()
    for stage, on_sqlite in lives["SQLite"].items():
        on_postgresql = lives["PostgreSQL"][stage]
        assert on_sqlite.log_bytes > 0 and on_postgresql.log_bytes > 0
        # Counters are shared by all launches: which zones they fell into decides how many.
        held = [+stage.rows for stage in (on_sqlite, on_postgresql)]
        for rows in held:
            del rows["counter"]
        assert held[0] == held[1], stage
        assert bool(held[0]) == (stage != "swept"), f"{stage}: {held[0]}"
    printed = capsys.readouterr().out
    assert "### Bytes a launch, PostgreSQL" in printed and "Sweep, SQLite" in printed


def test_an_account_that_moves_with_its_entries_behind_a_fence_evaluates_no_token_twice(
    benchmark: Any,
) -> None:
    cell_moves = benchmark("cell_moves")
    twice = {
        name: cell_moves.tokens_made_twice(steps, 30)[0] for name, steps in cell_moves.MOVES.items()
    }
    assert twice.pop("fence, copy, switch") == 0
    # Each of the others lacks one thing: a simulation that saw no harm in that would see nothing.
    assert len(twice) == 5 and all(twice.values()), twice


def test_a_table_of_accounts_is_more_even_than_a_hash_and_a_new_cell_moves_few(
    benchmark: Any,
) -> None:
    cells = benchmark("cells")
    rates = [
        min(rate, cells.THROTTLED_AT)
        for rate in cells.draw_rates(cells.random.Random(1), ACCOUNTS, CELLS)
    ]
    fullest = {}
    for name, way in cells.WAYS.items():
        placement = way.place(rates, CELLS)
        loads = cells.loads(rates, placement, CELLS)
        assert sum(loads) == pytest.approx(sum(rates)), "every account is in one cell"
        fullest[name] = max(loads)
        grown = way.grow(rates, CELLS + 1, placement)
        assert grown.keys() == placement.keys()
        moved = {at for at in grown if grown[at] != placement[at]}
        assert any(grown[at] == CELLS for at in moved)
        assert len(moved) < ACCOUNTS / 2, name
    assert fullest["table"] <= fullest["bounded hash"] < fullest["hash"]


def test_a_cell_that_returns_is_spared_by_the_retry_quota_or_the_router(benchmark: Any) -> None:
    failure = benchmark("cell_failure")
    courses = {
        name: failure.outage([0.7] * 9, CELL_RATE, clients, seconds=120.0)
        for name, clients in failure.CLIENTS.items()
    }
    hammered, jittered, routed, _, spared = courses.values()
    assert hammered.gone_seconds is jittered.gone_seconds is None, (
        "refusing takes all that the cell has"
    )
    assert hammered.peak() > 2 * jittered.peak() > 4 * spared.peak()
    assert spared.gone_seconds is not None, "most callers are asked to wait, and do"
    assert routed.gone_seconds is not None, "what the router keeps away costs the cell nothing"


def test_the_same_cells_are_simulated_in_every_run(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = benchmark("cells")
    monkeypatch.setattr(cells, "DOWN_SECONDS", (5.0,))
    printed = []
    for _ in range(2):
        cells.measure(accounts=500, cells=CELLS, seeds=1, cell_rate=CELL_RATE, moves=4)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert all(name in printed[0] for name in cells.cell_moves.MOVES)
