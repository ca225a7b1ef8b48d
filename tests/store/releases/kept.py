"""Files kept of a release: a dump of its database, and the answers that its tokens must give."""

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
# Have the store's clock go on from the dump's moment, so that no token has expired meanwhile.
_GO_ON = "UPDATE store_clock SET offset_us = high_us - {now_us}"

Document = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """A create, and the answer to its repeat: the `ids` it shows, or the code of the `refusal`.

    `other` are parameters of another intent, for the same token.
    """

    action: str
    token: str
    asked: Document
    other: Document
    ids: list[str]
    refusal: str | None = None


@dataclass(frozen=True)
class Kept:
    """The `requests` that a database answered, and the access key that signed them.

    `under_way` are the tokens of launches that were not finished. `ending` is an instance whose
    termination was accepted and not begun.
    """

    access_key_id: str
    secret: str
    requests: list[Request]
    under_way: list[str]
    ending: str

    def to_json(self) -> str:
        """Write JSON with a line for each request."""
        head, requests = asdict(self), ",\n".join(json.dumps(asdict(one)) for one in self.requests)
        del head["requests"]
        return f'{json.dumps(head)[:-1]},\n"requests": [\n{requests}\n]}}\n'

    @classmethod
    def of(cls, release: Path, store: str) -> Self:
        kept = json.loads((release / f"{store}.json").read_text())
        kept["requests"] = [Request(**one) for one in kept["requests"]]
        return cls(**kept)


def ids_in(answer: Document) -> list[str]:
    """List the EC2 ids that an answer shows."""
    shown = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    return sorted(set(_ID.findall(json.dumps(shown, default=str))))


def releases() -> list[Path]:
    return sorted(path for path in FOLDER.iterdir() if (path / "sqlite.sql").exists())


def loaded(release: Path, store: str, folder: Path) -> Database:
    """Load the release's database as its last node left it; its clock goes on from there."""
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
