"""Secrets at rest, sealed with a key that is not in the database.

SAMETOKEN_KEY holds the key, or else a file with mode 0600: the file that SAMETOKEN_KEY_FILE names,
or the one beside a SQLite database. Every node of a deployment shares it. Each sealed value carries
the id of its key, so that a node with the wrong key says so instead of failing to decrypt.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from sametoken.errors import Misconfigured

KEY_VARIABLE = "SAMETOKEN_KEY"


def key_id(key: str) -> str:
    """Return a name for a key that does not give the key away."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


class Sealer:
    """Seals with the first of `keys`, unseals with any of them."""

    def __init__(self, keys: list[str]) -> None:
        assert keys, "a sealer has a key"
        try:
            self._keys = {key_id(key): Fernet(key) for key in keys}
        except ValueError as error:
            raise Misconfigured(
                f"the sealing key is not 32 url-safe base64 bytes ({error}). Restore the one this "
                f"database was made with; a new one makes its own where {KEY_VARIABLE} is not set."
            ) from error
        self.current = key_id(keys[0])

    def has(self, key: str) -> bool:
        """Tell whether it can unseal what the key of that id sealed."""
        return key in self._keys

    def seal(self, secret: str) -> tuple[str, str]:
        """Return the sealed text, and the id of the key it is sealed with."""
        return self._keys[self.current].encrypt(secret.encode()).decode(), self.current

    def unseal(self, sealed: str, sealing_key: str) -> str:
        """Return the secret. Raises `Misconfigured` if this sealer does not have its key."""
        if sealing_key not in self._keys:
            raise Misconfigured(
                f"this database's secrets are sealed with key {sealing_key}, but only "
                f"{', '.join(self._keys)} is here. Give every node the same {KEY_VARIABLE} or key "
                "file."
            )
        try:
            return self._keys[sealing_key].decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise Misconfigured(f"a secret sealed with key {sealing_key} is damaged") from None


def new_key() -> str:
    return Fernet.generate_key().decode()


def load_sealer(file: Path | None, *, create: bool) -> Sealer:
    """Load the sealer of SAMETOKEN_KEY, else of `file`.

    SAMETOKEN_KEY may hold several keys joined by commas, the current one first. With `create` a
    missing file is made.
    """
    value = os.environ.get(KEY_VARIABLE)
    if value:
        return Sealer([part.strip() for part in value.split(",")])
    if file is None:
        raise Misconfigured(
            f"the nodes of this database share a key: set {KEY_VARIABLE}, or name its file with "
            "SAMETOKEN_KEY_FILE, the same for every node. `sametoken accounts new-key` makes one."
        )
    if not file.exists():
        if not create:
            raise Misconfigured(f"the key file {file} is missing; restore it or set {KEY_VARIABLE}")
        _make_key_file(file)
    mode = file.stat().st_mode & 0o777
    if mode & 0o077:
        raise Misconfigured(f"{file} is readable by others (mode {mode:o}); chmod 600 it")
    keys = file.read_text().split()
    if not keys:
        raise Misconfigured(f"the key file {file} is empty; restore it or set {KEY_VARIABLE}")
    return Sealer(keys)


def _make_key_file(file: Path) -> None:
    """Make the key file, unless another process has made it first: then that key counts."""
    scratch = _write_scratch(file, [new_key()])
    try:
        os.link(scratch, file)
    except FileExistsError:
        pass
    finally:
        scratch.unlink()
    _sync_folder(file)


def write_keys(file: Path, keys: list[str]) -> None:
    """Write the key file so that a crash leaves the old one or the new one, never a part."""
    _write_scratch(file, keys).replace(file)
    _sync_folder(file)


def _write_scratch(file: Path, keys: list[str]) -> Path:
    scratch = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write("".join(f"{key}\n" for key in keys))
        out.flush()
        os.fsync(out.fileno())
    return scratch


def _sync_folder(file: Path) -> None:
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
