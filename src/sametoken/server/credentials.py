"""Look-up of access keys, remembered briefly so that not every request asks the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sametoken.errors import Misconfigured
from sametoken.resources.account import accounts
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

    `signature_v2` says whether the account may sign with version 2.
    """

    access_key_id: str
    account: str
    access: str
    secret: str
    signature_v2: bool = True


class Credentials:
    """Looks access keys up. For use from one thread at a time, or under the caller's lock."""

    def __init__(self, store: Reads, reload_sealer: Callable[[], Sealer], world: World) -> None:
        self._store = store
        self._reload = reload_sealer
        self._sealer = reload_sealer()
        self._world = world
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
        if key is None:
            self._remembered.pop(access_key_id, None)
            return None
        try:
            secret = self._sealer.unseal(key.sealed_secret, key.sealing_key)
        except Misconfigured:
            # Read the key file again: `sametoken accounts rekey` may have changed it since.
            self._sealer = self._reload()
            secret = self._sealer.unseal(key.sealed_secret, key.sealing_key)
        principal = Principal(key.id, key.account, key.access, secret, key.signature_v2)
        if len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[key.id] = (self._world.monotonic() + REMEMBERED_SECONDS, principal)
        return principal
