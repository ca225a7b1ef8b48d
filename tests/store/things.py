"""Two kinds for tests, and rows of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from sametoken.resources.kit import endings, rows
from sametoken.resources.kit.kinds import Kind, states
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Store, Tx

ACCOUNT, REGION = "000000000001", "us-east-1"

THING = Kind(
    "thing",
    "thing",
    "InvalidThingID",
    "thing",
    transitions=states(new="used deleted", used="new deleted", deleted=""),
    lingers=timedelta(hours=1),
    traits={"Colour": ("Colour",), "Parts.Name": ("Parts.Name", "private.Part")},
)
# Its rows are shown no longer once they have ended.
BRIEF = replace(THING, name="brief", prefix="brief", lingers=timedelta(0))

# A kind whose rows nodes keep in memory.
FIXTURE = Kind("fixture", "fix", "InvalidFixtureID", "fixture", cached=True)


def id_of(number: int) -> str:
    return f"thing-{number:017x}"


def put(store: Store, number: int = 1, **columns: Any) -> Row:
    """Commit a row in the state `new`, of the tests' account and Region unless `columns` differ."""

    def run(tx: Tx) -> Row:
        row = Row(id_of(number), THING.name, ACCOUNT, REGION, "new", {"Size": 1}, tx.now)
        row = replace(row, **columns)
        rows.insert(tx, [row])
        return row

    return store.run(run)


def move(store: Store, row: Row, state: str, **doc: Any) -> Row:
    write = endings.end_regardless if state in THING.ends else rows.change
    return store.run(lambda tx: write(tx, THING, row, state=state, cause="a test", **doc))
