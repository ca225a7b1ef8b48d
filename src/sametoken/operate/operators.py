"""The operator's password for the console, and the key of the sessions that it opens.

Both are one sealed setting of the database, so that all its nodes share them. The password is kept
as scrypt's hash, and sealed besides; it is no access key, and opens nothing but the console.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass, replace

from sametoken.errors import Misconfigured
from sametoken.operate.opened import Opened
from sametoken.resources.account import accounts
from sametoken.server.sealing import Sealer
from sametoken.store.port import Store, Tx
from sametoken.store.reading import Reads
from sametoken.world import World

# The name of the sealed setting.
CONSOLE = "console"
# Shorter ones are guessed, whatever else protects them (NIST SP 800-63B, section 3.1.1.2).
PASSWORD_CHARACTERS_MIN = 12
PASSWORD_CHARACTERS_MAX = 256
# The cost that OWASP's cheat sheet on storing passwords asks of scrypt: 32 MiB for a third of a
# second.
COST = (2**15, 8, 3)
_MEMORY_BYTES = 64 * 2**20
_HEX_DIGITS = 64


@dataclass(frozen=True, slots=True)
class _Kept:
    """The setting, as it is sealed. `cost` is scrypt's N, r and p, as the hash was made with."""

    cost: tuple[int, int, int]
    salt: str
    hash: str
    sessions: str


def set_password(here: Opened[Store], password: str, world: World) -> None:
    """Let that password open the console, and no former one; sessions that are open end.

    Raises `Misconfigured` for one that is too short, or too long.
    """
    if not PASSWORD_CHARACTERS_MIN <= len(password) <= PASSWORD_CHARACTERS_MAX:
        raise Misconfigured(
            f"the password has {len(password)} characters; use {PASSWORD_CHARACTERS_MIN} to "
            f"{PASSWORD_CHARACTERS_MAX}, such as four words that have nothing to do with each other"
        )
    salt = world.token_hex(_HEX_DIGITS // 2)
    kept = _Kept(COST, salt, _hashed(password, salt, COST), world.token_hex(_HEX_DIGITS))
    sealer = here.sealer
    here.store.run(lambda tx: _keep(tx, sealer, kept))


def unset_password(here: Opened[Store]) -> bool:
    """Let no password open the console; sessions that are open end. False if none did."""
    return here.store.run(lambda tx: accounts.drop_sealed_setting(tx, CONSOLE))


def is_password(here: Opened[Reads], password: str) -> bool:
    """Tell whether that password opens the console. Takes as long for a wrong one."""
    kept = _find(here)
    if kept is None or len(password) > PASSWORD_CHARACTERS_MAX:
        return False
    return hmac.compare_digest(_hashed(password, kept.salt, kept.cost), kept.hash)


def session_key(here: Opened[Reads]) -> bytes | None:
    """Return the key that sessions are signed with; None while there is no password."""
    kept = _find(here)
    return None if kept is None else bytes.fromhex(kept.sessions)


def end_sessions(here: Opened[Store], world: World) -> None:
    """End every session, on all nodes of the database."""
    sealer, key = here.sealer, world.token_hex(_HEX_DIGITS)

    def run(tx: Tx) -> None:
        found = accounts.sealed_setting(tx, CONSOLE)
        if found is not None:
            _keep(tx, sealer, replace(_read(sealer, found), sessions=key))

    here.store.run(run)


def _find(here: Opened[Reads]) -> _Kept | None:
    found = here.store.read(lambda tx: accounts.sealed_setting(tx, CONSOLE))
    return None if found is None else _read(here.sealer, found)


def _read(sealer: Sealer, sealed: tuple[str, str]) -> _Kept:
    kept = json.loads(sealer.unseal(*sealed))
    return _Kept(**kept | {"cost": tuple(kept["cost"])})


def _keep(tx: Tx, sealer: Sealer, kept: _Kept) -> None:
    accounts.drop_sealed_setting(tx, CONSOLE)
    accounts.keep_sealed_setting(tx, CONSOLE, sealer.seal(json.dumps(asdict(kept))))


def _hashed(password: str, salt: str, cost: tuple[int, int, int]) -> str:
    n, r, p = cost
    made = hashlib.scrypt(
        password.encode(), salt=bytes.fromhex(salt), n=n, r=r, p=p, maxmem=_MEMORY_BYTES
    )
    return made.hex()
