"""SSH key pairs: generated, or read from a caller's key, with fingerprints in EC2's form.

Pure but for the operating system's entropy. RSA is slow (a twentieth of a second and more), so
never call this in a transaction. Source of the fingerprints: EC2 user guide, "Verify the
fingerprint of your key pair".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
    load_ssh_public_key,
)

from sametoken.errors import ServiceError

# RSA_BITS is the length of the keys that EC2 makes, RSA_BITS_IMPORTED those that it takes.
RSA_BITS = 2048
RSA_BITS_IMPORTED = (1024, 2048, 4096)
# _RSA_EXPONENT is the only exponent in use: the fourth Fermat prime.
_RSA_EXPONENT = 65537

_RFC4716_BEGIN, _RFC4716_END = "---- BEGIN SSH2 PUBLIC KEY ----", "---- END SSH2 PUBLIC KEY ----"


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """A key pair. `public` is OpenSSH's line without its comment.

    `private` is a PEM text that is given to the caller once and never stored; None for a key that
    was read.
    """

    type: str
    fingerprint: str
    public: str
    private: str | None = field(default=None, repr=False)


def generate(type: str) -> KeyMaterial:
    """Make a new pair, `rsa` or `ed25519`, in the formats that EC2 returns."""
    match type:
        case "rsa":
            return _generate_rsa()
        case "ed25519":
            return _generate_ed25519()
        case _:
            raise AssertionError(f"{type} is not in the model")


def _generate_rsa() -> KeyMaterial:
    key = generate_private_key(_RSA_EXPONENT, RSA_BITS)
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    fingerprint = hashlib.sha1(der, usedforsecurity=False).digest().hex(":")
    return KeyMaterial("rsa", fingerprint, _openssh(key.public_key()), pem.decode())


def _generate_ed25519() -> KeyMaterial:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = _openssh(key.public_key())
    return KeyMaterial("ed25519", _sha256(public), public, pem.decode())


def read_public(material: bytes) -> KeyMaterial:
    """Read a public key in a form that EC2 imports: OpenSSH's line, RFC 4716, DER in base64, PEM.

    Raises `InvalidKey.Format`.
    """
    try:
        key = _load(material.decode("ascii").strip())
    except (ValueError, UnsupportedAlgorithm):
        raise _unreadable("Key is not in valid OpenSSH public key format") from None
    match key:
        case Ed25519PublicKey():
            public = _openssh(key)
            return KeyMaterial("ed25519", _sha256(public), public)
        case RSAPublicKey() if key.key_size in RSA_BITS_IMPORTED:
            der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            fingerprint = hashlib.md5(der, usedforsecurity=False).digest().hex(":")
            return KeyMaterial("rsa", fingerprint, _openssh(key))
        case RSAPublicKey():
            lengths = ", ".join(map(str, RSA_BITS_IMPORTED))
            raise _unreadable(f"RSA keys may have {lengths} bits, not {key.key_size}")
        case _:
            raise _unreadable("Key must be RSA or ED25519")


def _load(text: str) -> object:
    if text.startswith(_RFC4716_BEGIN):
        blob = _rfc4716_blob(text)
        # The blob begins with the length of its type's name, then the name.
        name = blob[4 : 4 + int.from_bytes(blob[:4], "big")]
        return load_ssh_public_key(name + b" " + base64.b64encode(blob))
    if text.startswith("-----BEGIN"):
        return load_pem_public_key(text.encode())
    if text.startswith("ssh-"):
        return load_ssh_public_key(text.encode())
    return load_der_public_key(_base64(text))


def _rfc4716_blob(text: str) -> bytes:
    """Decode RFC 4716, section 3: headers have a colon and may go on after a backslash."""
    lines = text.splitlines()
    if lines[-1].strip() != _RFC4716_END:
        raise ValueError("no end")
    body, continued = [], False
    for line in lines[1:-1]:
        is_header = continued or ":" in line
        continued = is_header and line.endswith("\\")
        if not is_header:
            body.append(line)
    return _base64("".join(body))


def _base64(text: str) -> bytes:
    return binascii.a2b_base64("".join(text.split()), strict_mode=True)


def _openssh(key: RSAPublicKey | Ed25519PublicKey) -> str:
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _sha256(public: str) -> str:
    """The fingerprint that OpenSSH shows for its own form, with the padding that EC2 keeps."""
    blob = base64.b64decode(public.split()[1])
    return base64.b64encode(hashlib.sha256(blob).digest()).decode()


def _unreadable(why: str) -> ServiceError:
    return ServiceError("InvalidKey.Format", f"{why}.")
