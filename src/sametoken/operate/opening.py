"""Opening a database: to read it, to write to it, or to make it.

Only `making` creates or upgrades anything. The others refuse, in a sentence and with nothing
changed, a database that is not there, is not sametoken's, or is not at a revision that this
program can use as it is: a name that was mistyped is no new database.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from sametoken.migrations.upgrade import check_current, upgrade
from sametoken.operate.drivers import change_schema, reader_of, store_of
from sametoken.operate.keys import check_key
from sametoken.operate.opened import Opened
from sametoken.operate.preparing import prepared
from sametoken.settings import Database
from sametoken.store.port import CountingStore, Store
from sametoken.store.reading import Reads
from sametoken.world import World


@contextmanager
def reading(database: Database, world: World) -> Iterator[Opened[Reads]]:
    """Open a database that is there, also beside its server, to read it: no file is made."""
    check = partial(check_current, name=str(database))
    here = Opened(database, reader_of(database, world, check))
    check_key(here)
    yield here


@contextmanager
def writing(database: Database, world: World) -> Iterator[Opened[Store]]:
    """A database that is there, also beside its server."""
    with reading(database, world), store_of(database, world) as store:
        yield Opened(database, store)


@contextmanager
def making(database: Database, world: World) -> Iterator[Opened[Store]]:
    """A database with this program's schema, an account and a key, made where it has none."""
    with open_store(database, world) as store:
        prepared(store, database, world)
        yield Opened(database, store)


@contextmanager
def open_store(database: Database, world: World) -> Iterator[CountingStore]:
    """The store of a database, brought to this program's schema, made when it is not there."""
    change_schema(database, upgrade)
    with store_of(database, world) as store:
        yield store
