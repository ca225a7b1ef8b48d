"""An operator's settings: the database's URL, and defaults that are safe."""

from __future__ import annotations

from pathlib import Path

import pytest

from sametoken.errors import Misconfigured
from sametoken.settings import Database, Settings, database_of, read_database


def test_four_slashes_name_an_absolute_file() -> None:
    assert read_database("sqlite:////var/lib/plane.db").file == Path("/var/lib/plane.db")


def test_three_slashes_name_a_file_where_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_database("sqlite:///data/plane.db").file == Path.cwd() / "data" / "plane.db"


def test_a_tilde_is_the_users_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert read_database("sqlite:///~/plane.db").file == Path("/home/somebody/plane.db")


@pytest.mark.parametrize(
    "url", ["", "plane.db", "sqlite://", "sqlite:///", "mysql://host/db", "/var/lib/plane.db"]
)
def test_anything_else_is_refused_with_what_to_write_instead(url: str) -> None:
    with pytest.raises(Misconfigured, match="sqlite:///FILE") as refused:
        read_database(url)
    assert repr(url) in str(refused.value)


def test_a_node_is_reachable_from_this_machine_only_unless_told_otherwise() -> None:
    settings = Settings(database_of(Path("plane.db")))
    assert settings.host == "127.0.0.1"
    assert not settings.insecure_bind


def test_expired_entries_are_swept_within_minutes() -> None:
    assert 0 < Settings(database_of(Path("plane.db"))).sweep_seconds <= 600


def test_postgresql_is_shared_and_has_no_file() -> None:
    url = "postgresql://me:secret@one:5432,two:5433/plane?target_session_attrs=any"
    assert read_database(url) == Database(url, None, None)
    assert str(read_database(url)) == "postgresql://me@one:5432,two:5433/plane"
    assert str(read_database("postgres://host/plane")) == "postgres://host/plane"
    assert str(read_database("postgresql://u:p/w@host")) != "", "no URL breaks a log line"


@pytest.mark.parametrize("path", ["~nobody-of-that-name/plane.db"])
def test_a_path_that_leads_nowhere_is_refused_in_words(path: str) -> None:
    with pytest.raises(Misconfigured, match="names no file"):
        read_database(f"sqlite:///{path}")


def test_two_names_of_one_file_are_one_database(tmp_path: Path) -> None:
    """With a lock for each name, two servers could open one file."""
    (tmp_path / "real").mkdir()
    file = tmp_path / "real" / "plane.db"
    file.touch()
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    (tmp_path / "linked.db").symlink_to(file)
    for name in ("linked.db", "folder/plane.db", "real/../real/plane.db"):
        found = database_of(tmp_path / name)
        assert (found.file, found.key_file) == (file, file.with_name("plane.db.key"))


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:swordfish@host/db",
        "postgres:/user:swordfish@host/db",
        "postgresq://user:sword:fish@host/db",
        "user:sword@fish@host/db",
        "mysql://host/db?password=swordfish",
    ],
)
def test_a_wrong_url_is_not_repeated_with_its_password(url: str) -> None:
    with pytest.raises(Misconfigured, match="is not a database served here") as refused:
        read_database(url)
    assert "sword" not in str(refused.value)
    assert "fish" not in str(refused.value).replace("FISH", "")
    assert "host/db" in str(refused.value)
