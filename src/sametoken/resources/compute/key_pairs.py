"""Key pairs: named by their callers."""

from __future__ import annotations

from typing import Any

from sametoken.errors import ServiceError
from sametoken.resources.kit import rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.kinds import Kind, Quota
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx

KEY_PAIR = Kind(
    "key-pair",
    "key",
    "InvalidKeyPair",
    "key pair",
    malformed=None,
    quota=Quota(5_000, "KeyPairLimitExceeded"),
)


def lay_out(
    tx: Tx, account: str, region: str, name: str, *, doc: dict[str, Any], tags: list[dict[str, str]]
) -> Row:
    """The row of a new key pair, to be inserted. Raises `InvalidKeyPair.Duplicate`.

    `doc` has KeyType, KeyFingerprint and, private, the public key. The private key is the caller's
    alone: no member of a row is for it.
    """
    if rows.find_named(tx, KEY_PAIR, account, region, name) is not None:
        raise ServiceError("InvalidKeyPair.Duplicate", f"The keypair '{name}' already exists.")
    return Row(
        mint(tx, KEY_PAIR.prefix),
        KEY_PAIR.name,
        account,
        region,
        "available",
        {**doc, "KeyName": name, "Tags": tags},
        tx.now,
        name=name,
    )


def require(tx: Tx, account: str, region: str, name: str) -> Row:
    """Return the key pair called `name`, or raise `InvalidKeyPair.NotFound`."""
    found = rows.find_named(tx, KEY_PAIR, account, region, name)
    if found is None:
        raise ServiceError("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")
    return found
