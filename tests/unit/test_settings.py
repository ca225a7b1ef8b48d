"""What an operator can set: the database's URL, and defaults that are safe."""

from __future__ import annotations

from pathlib import Path

import pytest

from sametoken.errors import Misconfigured
from sametoken.settings import Settings, database_path


def test_four_slashes_name_an_absolute_file() -> None:
    assert database_path("sqlite:////var/lib/plane.db") == Path("/var/lib/plane.db")


def test_three_slashes_name_a_file_where_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert database_path("sqlite:///data/plane.db") == Path.cwd() / "data" / "plane.db"


def test_a_tilde_is_the_users_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert database_path("sqlite:///~/plane.db") == Path("/home/somebody/plane.db")


@pytest.mark.parametrize(
    "url", ["", "plane.db", "sqlite://", "sqlite:///", "mysql://host/db", "/var/lib/plane.db"]
)
def test_anything_else_is_refused_with_what_to_write_instead(url: str) -> None:
    with pytest.raises(Misconfigured, match="sqlite:///FILE") as refused:
        database_path(url)
    assert repr(url) in str(refused.value)


def test_a_node_is_reachable_from_this_machine_only_unless_told_otherwise() -> None:
    settings = Settings(Path("plane.db"))
    assert settings.host == "127.0.0.1"
    assert not settings.insecure_bind


def test_expired_entries_are_swept_within_minutes() -> None:
    assert 0 < Settings(Path("plane.db")).sweep_seconds <= 600
