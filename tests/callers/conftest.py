"""A plane for all suites of this folder, from the public door, and accounts on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sametoken.testing import Account, Plane, running


@pytest.fixture(scope="module")
def public_plane() -> Iterator[Plane]:
    with running() as plane:
        yield plane


@pytest.fixture
def account(public_plane: Plane) -> Account:
    return public_plane.account()
