"""Schedules are the same whether statements go straight to the driver or through SQLAlchemy."""

from __future__ import annotations

import pytest

from simulation import database, simulator
from simulation.database import Database
from store.test_statements import Ordinary


def test_a_schedule_is_the_same_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = range(21, 25)
    first = [simulator.simulate(seed).trace for seed in seeds]
    monkeypatch.setattr(database, "Straight", Ordinary)
    monkeypatch.setattr("sametoken.store.sqlite.Straight", Ordinary)
    usual = Database()
    monkeypatch.setattr(simulator, "database", lambda: usual)
    assert [simulator.simulate(seed).trace for seed in seeds] == first
