"""Key pairs: named by their callers. Alone writes their rows."""

from __future__ import annotations

from sametoken.errors import ServiceError
from sametoken.resources import rows
from sametoken.resources.kinds import Kind
from sametoken.resources.rows import Row
from sametoken.store.port import Tx

KEY_PAIR = Kind("key-pair", "key", "InvalidKeyPair", "key pair")


def require(tx: Tx, account: str, region: str, name: str) -> Row:
    """The key pair called `name`, or `InvalidKeyPair.NotFound`."""
    found = rows.find_named(tx, KEY_PAIR, account, region, name)
    if found is None:
        raise ServiceError("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")
    return found
