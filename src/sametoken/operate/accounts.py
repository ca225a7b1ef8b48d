"""Accounts and their access keys: who may call."""

from __future__ import annotations

from dataclasses import dataclass

from sametoken.errors import Misconfigured
from sametoken.operate.opened import Opened
from sametoken.resources.account import accounts
from sametoken.resources.account.accounts import Access
from sametoken.server.sealing import Sealer
from sametoken.settings import GivenKey
from sametoken.store.port import Store, Tx
from sametoken.store.reading import Reads


@dataclass(frozen=True, slots=True)
class Key:
    """An access key and its account; `access` is full or read-only."""

    account: str
    name: str
    id: str
    access: str


@dataclass(frozen=True, slots=True)
class Secret:
    """An access key with its secret, unsealed."""

    id: str
    secret: str
    access: str


def check_access_key_id(id: str) -> None:
    """Raise `Misconfigured` for an access key id that no signature could carry."""
    if not (id.isascii() and id.isalnum()):
        raise Misconfigured(f"{id!r} is no access key id; use letters and digits")


def add_key(
    tx: Tx,
    sealer: Sealer,
    account_name: str,
    *,
    access: Access,
    access_key_id: str | None = None,
    secret: str | None = None,
) -> tuple[str, str, str]:
    """A new access key: (account id, access key id, secret). Random where not given."""
    id = access_key_id or accounts.mint_access_key_id(tx.world)
    made = secret or tx.world.token_hex(40)
    sealed = sealer.seal(made)
    account = accounts.create(tx, account_name, access_key_id=id, sealed=sealed, access=access)
    return account, id, made


def create(
    here: Opened[Store],
    name: str,
    *,
    access: Access,
    access_key_id: str | None,
    secret: str | None,
) -> tuple[str, str, str]:
    """Add an access key to the account called `name`, which is made when it is new.

    (account id, access key id, secret), random where not given. Raises `Misconfigured` when the id
    is taken, or cannot be one.
    """
    if access_key_id is not None:
        check_access_key_id(access_key_id)
    sealer = here.sealer
    return here.store.run(
        lambda tx: add_key(
            tx, sealer, name, access=access, access_key_id=access_key_id, secret=secret
        )
    )


def ensure_account(here: Opened[Store], name: str) -> None:
    """Have an account called `name`, made with a random key if it is new."""
    if here.store.read(lambda tx: accounts.find_account(tx, name)) is None:
        create(here, name, access="full", access_key_id=None, secret=None)


def ensure_key(here: Opened[Store], given: GivenKey) -> None:
    """Have that access key, made if it is new; nothing if it is there with the same secret.

    Raises `Misconfigured` if its id is there with another secret, or in another account: whoever
    uses it would be shut out.
    """
    check_access_key_id(given.id)
    sealer, name = here.sealer, given.account

    def run(tx: Tx) -> None:
        known = accounts.find_key(tx, given.id)
        if known is None:
            add_key(tx, sealer, name, access="full", access_key_id=given.id, secret=given.secret)
            return
        if sealer.unseal(known.sealed_secret, known.sealing_key) != given.secret:
            raise _taken(given.id, "with another secret")
        if accounts.find_account(tx, name) != known.account:
            raise _taken(given.id, f"in the account {known.account}")

    here.store.run(run)


def _taken(id: str, how: str) -> Misconfigured:
    return Misconfigured(
        f"the access key {id} is there already, {how}; choose another id, or another database"
    )


def account_id(store: Reads, account: str) -> str:
    """The 12 digits of an account, by its name or by themselves.

    Raises `Misconfigured` if no account is called so.
    """
    if accounts.is_number(account):
        return account
    found = store.read(lambda tx: accounts.find_account(tx, account))
    if found is None:
        raise _unknown(account)
    return found


def keys(here: Opened[Reads]) -> list[Key]:
    """Every access key, by account, the oldest first."""
    return here.store.read(_keys)


def _keys(tx: Tx) -> list[Key]:
    return [Key(*row) for row in accounts.list_keys(tx)]


def secrets(here: Opened[Reads], name: str) -> list[Secret]:
    """The access keys of the account called `name`. Raises `Misconfigured` if there is none."""

    def read(tx: Tx) -> list[tuple[Key, accounts.AccessKey | None]]:
        return [(key, accounts.find_key(tx, key.id)) for key in _keys(tx) if key.name == name]

    found = here.store.read(read)
    if not found:
        raise _unknown(name)
    sealer = here.sealer
    return [
        Secret(key.id, sealer.unseal(stored.sealed_secret, stored.sealing_key), key.access)
        for key, stored in found
        if stored is not None
    ]


def allow_signature_v2(here: Opened[Store], name: str, *, allowed: bool) -> None:
    """Let the account called `name` sign with version 2, or not.

    Raises `Misconfigured` if there is none.
    """
    if not here.store.run(lambda tx: accounts.allow_signature_v2(tx, name, allowed)):
        raise _unknown(name)


def _unknown(name: str) -> Misconfigured:
    return Misconfigured(f"there is no account {name!r}; see `sametoken accounts list`")
