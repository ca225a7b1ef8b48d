"""A plane in development mode with its console, shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from console.visitor import Visitor
from plane import Plane, running_plane
from sametoken.console.mounting import show_to_developer


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with running_plane(tmp_path_factory.mktemp("console"), dev=True) as plane:
        show_to_developer(plane.controls)
        yield plane


@pytest.fixture(scope="module")
def visitor(dev: Plane) -> Visitor:
    """Sign in, with a session of its own: to sign out ends all of them."""
    found = Visitor(dev.url)
    found.enter(dev.controls.links.make())
    return found
