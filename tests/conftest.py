"""Fixtures every suite may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from plane import Plane, running_plane


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """One plane for a module's tests; each test uses tokens and accounts of its own."""
    with running_plane(tmp_path_factory.mktemp("plane")) as running:
        yield running
