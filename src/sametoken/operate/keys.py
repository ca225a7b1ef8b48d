"""The key that a database's secrets are sealed with: found, checked, replaced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sametoken.errors import Misconfigured
from sametoken.operate.opened import Opened
from sametoken.resources.account import accounts
from sametoken.server import sealing
from sametoken.server.sealing import KEY_VARIABLE, Sealer, load_sealer, write_keys
from sametoken.store.gate import LockFile
from sametoken.store.port import Store
from sametoken.store.reading import Reads

# The name of the sealed key that the digests of callers' parameters are keyed with. Made first, so
# a database without it has no secret yet.
DIGEST_KEY = "digest-key"


def new_key() -> str:
    """A new key, for nodes that share a PostgreSQL database; it seals nothing yet."""
    return sealing.new_key()


def find_sealer(store: Reads, key_file: Path | None) -> Sealer:
    """The sealer of a deployment. A new key is made only where nothing is sealed yet.

    Raises `Misconfigured` when a restored database came without its key.
    """
    sealed = store.read(partial(accounts.sealed_setting, name=DIGEST_KEY))
    return load_sealer(key_file, create=sealed is None)


def check_key(here: Opened[Reads]) -> None:
    """Raise `Misconfigured` when something is sealed and the key here is not the one."""
    sealed = here.store.read(partial(accounts.sealed_setting, name=DIGEST_KEY))
    if sealed is not None:
        here.sealer.unseal(*sealed)


def rekey(here: Opened[Store]) -> tuple[int, Path]:
    """Seal every secret with a new key; how many there were, and the file with the key.

    Running servers go on: one that meets a secret it cannot unseal reads the file again. Raises
    `Misconfigured` when there is no key file.
    """
    file = here.database.key_file
    if file is None or not file.exists():
        raise Misconfigured(
            f"the key comes from {KEY_VARIABLE}: put the new key before the old one there "
            "(NEW,OLD), restart every node, then run this again with the file in place"
        )
    with _alone_with(file):
        old = file.read_text().split()
        fresh = sealing.new_key()
        # Both keys are in the file while either may be in the rows: a crash here loses nothing.
        write_keys(file, [fresh, *old])
        both = Sealer([fresh, *old])

        def reseal(sealed: str, sealing_key: str) -> tuple[str, str]:
            return both.seal(both.unseal(sealed, sealing_key))

        count = here.store.run(lambda tx: accounts.reseal_all(tx, reseal))
        write_keys(file, [fresh])
    return count, file


@contextmanager
def _alone_with(file: Path) -> Iterator[None]:
    """Hold the lock of a key file: of two that replace the key, one would destroy the other's."""
    lock = LockFile(file.with_name(file.name + "-lock"))
    try:
        lock.lock()
        yield
    finally:
        lock.close()
