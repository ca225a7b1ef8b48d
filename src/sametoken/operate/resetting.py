"""Resetting: an account, or all, as if no caller had ever asked for anything."""

from __future__ import annotations

from functools import partial

from sametoken.operate.accounts import account_id
from sametoken.services import clearing
from sametoken.store.port import Store


def reset(store: Store, account: str | None = None) -> None:
    """Remove all that the account has, by its name or its 12 digits; of all accounts with None.

    Keys, limits and the clock stay. Raises `Misconfigured` if there is no such account.
    """
    if account is None:
        store.run(clearing.clear_all)
    else:
        id = account_id(store, account)
        store.run(partial(clearing.clear, account=id))
