"""A server for all suites of this folder, from the public door, and accounts on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sametoken.testing import Account, Server, running


@pytest.fixture(scope="module")
def public_server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def account(public_server: Server) -> Account:
    return public_server.account()
