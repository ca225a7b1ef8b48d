"""Preparing a new database: a key to seal with, a digest key, a first account. Once each."""

from __future__ import annotations

from sametoken.idempotency import Engine, sql_engine
from sametoken.operate.accounts import add_key
from sametoken.operate.keys import DIGEST_KEY, find_sealer
from sametoken.resources.account import accounts
from sametoken.server.sealing import Sealer
from sametoken.settings import FIRST_ACCOUNT, Database
from sametoken.store.port import Store, Tx
from sametoken.world import World


def prepared(store: Store, database: Database, world: World) -> Engine:
    """The engine of `database`, all that it needs made where it is not there yet.

    Raises `Misconfigured` when the key is not the one that the database's secrets are sealed with.
    """
    return prepare(store, find_sealer(store, database.key_file), world)


def prepare(store: Store, sealer: Sealer, world: World) -> Engine:
    """Make the digest key and the first account, unless they are there. The engine."""

    def run(tx: Tx) -> str:
        found = accounts.sealed_setting(tx, DIGEST_KEY)
        if found is not None:
            return sealer.unseal(*found)
        key = world.token_hex(64)
        accounts.keep_sealed_setting(tx, DIGEST_KEY, sealer.seal(key))
        if not accounts.list_keys(tx):
            add_key(tx, sealer, FIRST_ACCOUNT, access="full")
        return key

    return sql_engine(bytes.fromhex(store.run(run)))
