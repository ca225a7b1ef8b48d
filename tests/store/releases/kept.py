"""What is kept of a release: a dump of its database, and what its tokens must answer for ever."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import psycopg

from sametoken.settings import Database, database_of, read_database
from sametoken.store.columns import to_microseconds
from store import servers

FOLDER = Path(__file__).parent
STORES = ("sqlite", "postgresql")
_ID = re.compile(r"\b[a-z]+-0[0-9a-f]{16}\b")
# So that the store's clock goes on from the dump's moment, and nothing has expired meanwhile.
_GO_ON = "UPDATE store_clock SET offset_us = high_us - {now_us}"

Document = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """A create, and what a repeat of it is answered: the ids it shows, or the code it is refused
    with. `other` under the same token is another intent."""

    action: str
    token: str
    asked: Document
    other: Document
    ids: list[str]
    refusal: str | None = None


@dataclass(frozen=True)
class Kept:
    """The `requests` that a database answered, with whose key; those of launches `under_way` by
    their tokens. `ending` is an instance whose termination was accepted and not begun."""

    access_key_id: str
    secret: str
    requests: list[Request]
    under_way: list[str]
    ending: str

    def to_json(self) -> str:
        """One request a line."""
        head, requests = asdict(self), ",\n".join(json.dumps(asdict(one)) for one in self.requests)
        del head["requests"]
        return f'{json.dumps(head)[:-1]},\n"requests": [\n{requests}\n]}}\n'

    @classmethod
    def of(cls, release: Path, store: str) -> Self:
        kept = json.loads((release / f"{store}.json").read_text())
        kept["requests"] = [Request(**one) for one in kept["requests"]]
        return cls(**kept)


def ids_in(answer: Document) -> list[str]:
    """Every EC2 id that an answer shows."""
    shown = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    return sorted(set(_ID.findall(json.dumps(shown, default=str))))


def releases() -> list[Path]:
    return sorted(path for path in FOLDER.iterdir() if (path / "sqlite.sql").exists())


def loaded(release: Path, store: str, folder: Path) -> Database:
    """The release's database as its last node left it, its clock going on from that moment."""
    dump = (release / f"{store}.sql").read_text()
    go_on = _GO_ON.format(now_us=to_microseconds(datetime.now(UTC)))
    key = folder / "plane.db.key"
    shutil.copyfile(release / "key", key)
    key.chmod(0o600)
    if store == "sqlite":
        with closing(sqlite3.connect(folder / "plane.db")) as connection:
            connection.executescript(dump)
            connection.execute(go_on)
            connection.commit()
        return database_of(folder / "plane.db")
    url = servers.new_database()
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(dump.encode())
        server.execute(f"SET search_path = public; {go_on}".encode())
    return read_database(url, key)
