"""Fixtures that every suite may use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from plane import Plane, running_plane

# Both judge by a clock, and would fail where the machine is busy.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the counts of all workers' tests, given by `record_property("counted", …)`."""
    reports = terminalreporter.getreports("passed")
    lines = [text for one in reports for what, text in one.user_properties if what == "counted"]
    if lines:
        terminalreporter.section("counted")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Run a plane for the tests of a module; each test uses tokens and accounts of its own."""
    with running_plane(tmp_path_factory.mktemp("plane")) as running:
        yield running


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import a module of benchmarks/, as its own programs do."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(Path(__file__).parent.parent / "benchmarks")])
    return import_module
