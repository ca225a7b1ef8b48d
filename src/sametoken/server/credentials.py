"""Look-up of access keys, remembered briefly so that not every request asks the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sametoken.errors import Misconfigured
from sametoken.resources.account import accounts
from sametoken.resources.account.accounts import AccessKey
from sametoken.server.sealing import Sealer
from sametoken.store.reading import Reads
from sametoken.world import World

# A key that another process made read-only may still change things for this long.
REMEMBERED_SECONDS = 2.0
# Bounds the memory for keys. No deployment uses this many within two seconds.
REMEMBERED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Principal:
    """An access key that exists. Until `secret` has verified the signature, no caller is proven.

    `secret` is None where any will do. `signature_v2` says whether the account may sign with
    version 2.
    """

    access_key_id: str
    account: str
    access: str
    secret: str | None
    signature_v2: bool = True


class Credentials:
    """Looks access keys up. For use from one thread at a time, or under the caller's lock.

    With `takes_any`, no secret counts: a key that nobody has is the account's whose 12 digits it
    is, or the first account's.
    """

    def __init__(
        self,
        store: Reads,
        reload_sealer: Callable[[], Sealer],
        world: World,
        *,
        takes_any: bool = False,
    ) -> None:
        self._store = store
        self._reload = reload_sealer
        self._sealer = reload_sealer()
        self._world = world
        self._takes_any = takes_any
        self._remembered: dict[str, tuple[float, Principal]] = {}

    def remembered(self, access_key_id: str) -> Principal | None:
        """Return the principal if it was looked up a moment ago, else None; no I/O."""
        found = self._remembered.get(access_key_id)
        if found is None or self._world.monotonic() > found[0]:
            return None
        return found[1]

    def look_up(self, access_key_id: str) -> Principal | None:
        """Read the principal from the store; None if no account has this key."""
        key = self._store.read(lambda tx: accounts.find_key(tx, access_key_id))
        if key is None and not self._takes_any:
            self._remembered.pop(access_key_id, None)
            return None
        principal = _stranger(access_key_id) if key is None else self._known(key)
        if len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.clear()
        until = self._world.monotonic() + REMEMBERED_SECONDS
        self._remembered[access_key_id] = (until, principal)
        return principal

    def _known(self, key: AccessKey) -> Principal:
        secret = None if self._takes_any else self._secret(key)
        return Principal(key.id, key.account, key.access, secret, key.signature_v2)

    def _secret(self, key: AccessKey) -> str:
        try:
            return self._sealer.unseal(key.sealed_secret, key.sealing_key)
        except Misconfigured:
            # Read the key file again: `sametoken accounts rekey` may have changed it since.
            self._sealer = self._reload()
            return self._sealer.unseal(key.sealed_secret, key.sealing_key)

    def forget(self) -> None:
        """Look every key up anew from now on."""
        self._remembered.clear()


def _stranger(access_key_id: str) -> Principal:
    account = access_key_id if accounts.is_number(access_key_id) else accounts.FIRST_NUMBER
    return Principal(access_key_id, account, "full", None)
