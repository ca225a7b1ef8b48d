"""Accounts and their access keys. Secrets are sealed before they reach a row."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Literal

import sqlalchemy as sa

from sametoken.errors import Misconfigured
from sametoken.store.columns import Moment
from sametoken.store.port import Tx
from sametoken.world import World

metadata = sa.MetaData()

# An account's number, as AWS has it, and that of the first account.
_NUMBER = re.compile(r"[0-9]{12}")
FIRST_NUMBER = "000000000001"

# AWS allows access key ids of up to 128 characters.
NAME_CHARACTERS_MAX, KEY_ID_CHARACTERS_MAX = 64, 128

ACCOUNT = sa.Table(
    "account",
    metadata,
    sa.Column("id", sa.String(12), primary_key=True),
    sa.Column("name", sa.String(NAME_CHARACTERS_MAX), nullable=False, unique=True),
    # Only old clients sign with version 2, so an account without such clients can turn it off.
    sa.Column("signature_v2", sa.Boolean, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

# `sealed_secret` is encrypted with the key whose id is `sealing_key`, so that a node which lacks
# this key can name it in its error.
ACCESS_KEY = sa.Table(
    "access_key",
    metadata,
    sa.Column("id", sa.String(KEY_ID_CHARACTERS_MAX), primary_key=True),
    sa.Column("account", sa.String(12), sa.ForeignKey("account.id"), nullable=False),
    sa.Column("sealed_secret", sa.String(1024), nullable=False),
    sa.Column("sealing_key", sa.String(32), nullable=False),
    sa.Column("access", sa.String(16), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

# SEALED holds the deployment's own secrets, e.g. the key of the parameter digests.
SEALED = sa.Table(
    "sealed_setting",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("sealed", sa.String(1024), nullable=False),
    sa.Column("sealing_key", sa.String(32), nullable=False),
)

_KEY_EXISTS = sa.select(ACCESS_KEY.c.id).where(ACCESS_KEY.c.id == sa.bindparam("key"))
_ID_OF = sa.select(ACCOUNT.c.id).where(ACCOUNT.c.name == sa.bindparam("named"))
_EXISTS = sa.select(ACCOUNT.c.id).where(ACCOUNT.c.id == sa.bindparam("id"))
_LAST_ID = sa.select(sa.func.max(ACCOUNT.c.id))
_IDS = sa.select(ACCOUNT.c.id).order_by(ACCOUNT.c.id)
_ADD_ACCOUNT = sa.insert(ACCOUNT)
_ADD_KEY = sa.insert(ACCESS_KEY)
_ALLOW_V2 = (
    sa.update(ACCOUNT)
    .where(ACCOUNT.c.name == sa.bindparam("named"))
    .values(signature_v2=sa.bindparam("allowed"))
)
_FIND_KEY = (
    sa.select(ACCESS_KEY, ACCOUNT.c.signature_v2)
    .join(ACCOUNT, ACCOUNT.c.id == ACCESS_KEY.c.account)
    .where(ACCESS_KEY.c.id == sa.bindparam("key"))
)
_LIST_KEYS = (
    sa.select(ACCOUNT.c.id, ACCOUNT.c.name, ACCESS_KEY.c.id.label("key"), ACCESS_KEY.c.access)
    .join(ACCESS_KEY, ACCESS_KEY.c.account == ACCOUNT.c.id)
    .order_by(ACCOUNT.c.id, ACCESS_KEY.c.created_at)
)
_EVERY_KEY = sa.select(ACCESS_KEY)
_RESEAL_KEY = (
    sa.update(ACCESS_KEY)
    .where(ACCESS_KEY.c.id == sa.bindparam("key"))
    .values(sealed_secret=sa.bindparam("sealed"), sealing_key=sa.bindparam("by"))
)
_SETTING = sa.select(SEALED).where(SEALED.c.name == sa.bindparam("named"))
_KEEP_SETTING = sa.insert(SEALED)
_DROP_SETTING = sa.delete(SEALED).where(SEALED.c.name == sa.bindparam("named"))
_EVERY_SETTING = sa.select(SEALED)
_RESEAL_SETTING = (
    sa.update(SEALED)
    .where(SEALED.c.name == sa.bindparam("named"))
    .values(sealed=sa.bindparam("sealed_anew"), sealing_key=sa.bindparam("by"))
)

Access = Literal["full", "read-only"]
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A caller's credentials as stored. `signature_v2`: may the account sign with version 2?"""

    id: str
    account: str
    sealed_secret: str
    sealing_key: str
    access: str
    signature_v2: bool


def mint_access_key_id(world: World) -> str:
    """Make an id in the form of AWS's long-term keys: AKIA and 16 characters of base 32."""
    number = int(world.token_hex(20), 16)
    return "AKIA" + "".join(_ALPHABET[(number >> 5 * i) & 31] for i in range(16))


def create(
    tx: Tx, name: str, *, access_key_id: str, sealed: tuple[str, str], access: Access
) -> str:
    """Add an access key to the account called `name`, making the account if it is new.

    A name of 12 digits is the account's number. Returns the account's id. `sealed` is the sealed
    secret and the id of its sealing key. Raises `Misconfigured` if the access key id is taken, or
    if it or the name is empty or too long.
    """
    for text, most in ((name, NAME_CHARACTERS_MAX), (access_key_id, KEY_ID_CHARACTERS_MAX)):
        if not 0 < len(text) <= most:
            raise Misconfigured(f"{text!r} is no name; use 1 to {most} characters")
    if tx.execute(_KEY_EXISTS, {"key": access_key_id}).first():
        raise Misconfigured(f"the access key {access_key_id} exists already; choose another id")
    account = find_account(tx, name) or _new_account(tx, name)
    tx.execute(
        _ADD_KEY,
        {
            "id": access_key_id,
            "account": account,
            "sealed_secret": sealed[0],
            "sealing_key": sealed[1],
            "access": access,
            "created_at": tx.now,
        },
    )
    return account


def is_number(text: str) -> bool:
    """Tell whether a text is 12 digits, as the number of an account is."""
    return _NUMBER.fullmatch(text) is not None


def _new_account(tx: Tx, name: str) -> str:
    account = name if is_number(name) else _free_number(tx)
    values = {"id": account, "name": name, "signature_v2": True, "created_at": tx.now}
    tx.execute(_ADD_ACCOUNT, values)
    return account


def find_account(tx: Tx, name: str) -> str | None:
    """Find the id of the account called `name`, or with that number; None if there is none."""
    found: str | None = tx.execute(_ID_OF, {"named": name}).scalar()
    if found is None and is_number(name):
        found = tx.execute(_EXISTS, {"id": name}).scalar()
    return found


def _free_number(tx: Tx) -> str:
    """Return the number after the highest; after the last that there is, the lowest free one."""
    number = int(tx.execute(_LAST_ID).scalar() or 0) + 1
    if not is_number(f"{number:012d}"):
        taken = {int(row.id) for row in tx.execute(_IDS)}
        number = next(one for one in count(1) if one not in taken)
    return f"{number:012d}"


def allow_signature_v2(tx: Tx, name: str, allowed: bool) -> bool:
    """Allow or forbid version 2 signatures to the account called `name`; False if there is none."""
    return tx.execute(_ALLOW_V2, {"named": name, "allowed": allowed}).rowcount == 1


def find_key(tx: Tx, access_key_id: str) -> AccessKey | None:
    row = tx.execute(_FIND_KEY, {"key": access_key_id}).first()
    if row is None:
        return None
    return AccessKey(
        row.id, row.account, row.sealed_secret, row.sealing_key, row.access, row.signature_v2
    )


def list_keys(tx: Tx) -> list[tuple[str, str, str, str]]:
    """List (account id, account name, access key id, access) of all keys, by account."""
    return [(row.id, row.name, row.key, row.access) for row in tx.execute(_LIST_KEYS)]


def sealed_setting(tx: Tx, name: str) -> tuple[str, str] | None:
    """Return a sealed setting and the id of its sealing key; None if it was never kept."""
    row = tx.execute(_SETTING, {"named": name}).first()
    return None if row is None else (row.sealed, row.sealing_key)


def keep_sealed_setting(tx: Tx, name: str, sealed: tuple[str, str]) -> None:
    values = {"name": name, "sealed": sealed[0], "sealing_key": sealed[1]}
    tx.execute(_KEEP_SETTING, values)


def drop_sealed_setting(tx: Tx, name: str) -> bool:
    """Remove a sealed setting; False if there is none."""
    return tx.execute(_DROP_SETTING, {"named": name}).rowcount == 1


def reseal_all(tx: Tx, reseal: Callable[[str, str], tuple[str, str]]) -> int:
    """Seal every secret anew, in one transaction; returns how many there were."""
    count = 0
    for row in tx.execute(_EVERY_KEY).all():
        sealed, by = reseal(row.sealed_secret, row.sealing_key)
        tx.execute(_RESEAL_KEY, {"key": row.id, "sealed": sealed, "by": by})
        count += 1
    for row in tx.execute(_EVERY_SETTING).all():
        sealed, by = reseal(row.sealed, row.sealing_key)
        tx.execute(_RESEAL_SETTING, {"named": row.name, "sealed_anew": sealed, "by": by})
        count += 1
    return count
