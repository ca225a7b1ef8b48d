"""An overview counts what there is and what waits, and takes no longer than a person waits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from plane import LAUNCH, Plane, running_plane
from sametoken.operate import overview
from sametoken.operate.opened import Opened
from sametoken.store.port import Tx
from sametoken.workflow.load import COUNTED_MAX
from sametoken.workflow.work import WORK


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A plane that drives no launch."""
    with running_plane(tmp_path_factory.mktemp("idle"), runners=0) as plane:
        yield plane


def test_work_is_counted_and_what_moves_is_told(idle: Plane) -> None:
    here = Opened(idle.node.settings.database, idle.store)
    assert overview.look(here, newest=5).instances == {}
    idle.client().run_instances(**LAUNCH | {"MaxCount": 3})
    found = overview.look(here, newest=5)
    assert found.instances == {"pending": 3}
    assert (found.waiting.under_way, found.waiting.due, found.waiting.stands) == (3, 3, False)
    one = sa.update(WORK).values(attempt=WORK.c.attempt + 1)
    idle.run(lambda tx: tx.execute(one))
    assert overview.waiting(here).moves != found.waiting.moves
    idle.run(lambda tx: tx.execute(sa.update(WORK).values(due_at=None)))
    assert overview.waiting(here).under_way == 0


def test_of_very_much_work_no_more_is_counted(idle: Plane) -> None:
    here = Opened(idle.node.settings.database, idle.store)

    def multiply(tx: Tx) -> None:
        row = dict(tx.execute(sa.select(WORK)).first()._mapping) | {"due_at": tx.now}
        rows = [row | {"instance": f"i-{number}"} for number in range(COUNTED_MAX + 1)]
        tx.execute(sa.insert(WORK), rows)

    idle.client().run_instances(**LAUNCH)
    idle.run(multiply)
    assert overview.waiting(here).under_way == COUNTED_MAX
