"""Each measurement of `make bench` runs on one node, with tiny parameters.

Its figures say nothing at this size. docs/scale.md has tests of its own for what it measures.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Importing = Callable[[str], Any]


def test_a_start_is_measured_beside_pythons_own(
    benchmark: Importing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark("start").measure(tmp_path, rounds=1)
    assert "| serve ready, database there " in capsys.readouterr().out


def test_threads_hand_creates_to_the_store(
    benchmark: Importing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark("in_process").measure(tmp_path, rounds=1, threads=2, operations=4)
    assert "| replay " in capsys.readouterr().out


def test_a_round_measures_the_same_subjects_as_the_earlier_commit_did(
    benchmark: Importing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_round = benchmark("one_round")
    monkeypatch.setattr(one_round, "OPERATIONS", 4)
    monkeypatch.setattr(one_round, "DRIVEN", 2)
    with benchmark("stores").opened(tmp_path / "round.db") as plane:
        costs = one_round.measured(plane)
    assert benchmark("against").JUDGED in costs and all(costs.values())


def test_launches_are_driven_to_running(
    benchmark: Importing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark("launches").measure(tmp_path, rounds=1, launches=2, runners=(1, 2))
    assert "| 2 runners " in capsys.readouterr().out


def test_a_served_node_is_asked_over_http(
    benchmark: Importing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark("over_http").measure(tmp_path, rounds=1, seconds=0.05, stored=(2,))
    assert "| RunInstances, 64 connections " in capsys.readouterr().out


def test_a_crowded_store_is_measured_beside_an_empty_one(
    benchmark: Importing, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark("crowded").measure(
        tmp_path, rounds=1, operations=4, threads=2, entries=2000, instances=100
    )
    assert "crowded" in capsys.readouterr().out
