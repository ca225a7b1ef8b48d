"""Fixtures of the suites of EC2's behaviour."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from plane import Plane, running_plane


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Yield a plane where no work is done unless a test drives it, so that lists stay the same."""
    with running_plane(tmp_path_factory.mktemp("still"), runners=0) as running:
        yield running
