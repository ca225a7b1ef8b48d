"""A prepared database to copy, so that no test waits for migrations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.process import Server, closing_server, prepare
from sdk import Keys


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Keys]:
    """Make a closed database with an account and its default VPC; return its file and key."""
    database = tmp_path_factory.mktemp("template") / "prepared.db"
    return database, prepare(database)


@pytest.fixture
def server(template: tuple[Path, Keys], tmp_path: Path) -> Iterator[Server]:
    """A server on a database of its own, not started yet."""
    with closing_server(Server.copied(*template, tmp_path)) as made:
        yield made
