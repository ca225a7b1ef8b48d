"""A request as it came over the wire, and the signature read from it. Values only, no clock.

The signature schemes (`sigv4`, `sigv2`) and `signing`, which chooses between them, share from here
their refusals, the moments they accept, and the texts that a `Signature` may carry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

from sametoken.ec2.protocol import refusals
from sametoken.errors import ServiceError

# The window that EC2 documents, before and after now; far below the shortest retention (24 hours),
# so that a captured request cannot be sent again once its token is forgotten (promise P7).
VALIDITY = timedelta(minutes=15)

# Patterns of the texts that a `Signature` carries into logs and SQL. IAM documents 16 to 128 word
# characters for a key id; shorter ones pass, because people configure `test`. The store only knows
# keys that an operator has made.
_ACCESS_KEY_ID = re.compile(r"[A-Za-z0-9_]{1,128}")
# Allows more than the longest name of a Region or service (`ap-northeast-1` has 14), and no more
# than fits a log.
_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
# Matches a name, or an address in brackets, with a port.
_PORT = re.compile(r"(.*[^:\[]):[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A request as sent, neither decoded nor joined, so that its signature can be checked.

    `path` and `query` keep their percent-encoding. `headers` are in wire order, names lower-cased.
    Bytes are decoded once, where they are used: `query.split_form` decodes the form, and `last` and
    `only` a header's value, as latin-1, which accepts every byte.
    """

    method: str
    path: bytes
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    _by_name: dict[bytes, list[bytes]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        for name, value in self.headers:
            self._by_name.setdefault(name, []).append(value)

    def values(self, name: str) -> list[bytes]:
        """Return every value of the header `name` (lower case), in wire order."""
        return self._by_name.get(name.encode(), [])

    def has(self, name: bytes) -> bool:
        """Return whether the header `name` (lower case) was sent."""
        return name in self._by_name

    def last(self, name: str) -> str | None:
        """Return the value of the header `name` that was sent last, None without it."""
        values = self.values(name)
        return values[-1].decode("latin-1") if values else None

    def only(self, name: str) -> str | None:
        """Return the only value of the header `name`, None without it.

        Raises IncompleteSignature if it was sent twice: the value that was signed and the value
        that is used could differ.
        """
        values = self.values(name)
        if len(values) > 1:
            raise incomplete_signature(f"The header {name} was sent more than once.")
        return values[0].decode("latin-1") if values else None


def without_port(host: str) -> str | None:
    """Return the value of a Host header without its port; None if it has none.

    Some clients know no ports, and sign the name alone (Net::Amazon::EC2).
    """
    found = _PORT.fullmatch(host.strip())
    return None if found is None else found[1]


class Proof(Protocol):
    """The part of a signature that only the holder of the secret can make, in any scheme."""

    def matches(self, secret: str) -> bool:
        """Return whether `secret` signed this request. Takes the same time either way."""
        ...


@dataclass(frozen=True, slots=True)
class Signature:
    """A request's signature, with the identity that it claims. Only `verify` proves the claim.

    `region` and `service` are well formed, but may not exist: the caller has to check.
    `signed_at` is aware UTC, within 15 minutes of the `now` it was read at. `signature_version` is
    for accounts that switch version 2 off.
    """

    access_key_id: str
    region: str
    service: str
    signed_at: datetime
    signature_version: Literal[2, 4]
    proof: Proof = field(repr=False)

    def verify(self, secret: str) -> None:
        """Return if `secret` made the signature; else raise SignatureDoesNotMatch (403)."""
        if not self.proof.matches(secret):
            raise refusals.signature_does_not_match()


def incomplete_signature(why: str) -> ServiceError:
    """Refuse a signature that cannot be read. `why` is a sentence without the caller's text."""
    return ServiceError(
        "IncompleteSignature", f"The request signature does not conform to AWS standards. {why}"
    )


def mismatch(why: str) -> ServiceError:
    """Refuse a readable signature that no secret could make right for this request."""
    return ServiceError("SignatureDoesNotMatch", why, http_status=403)


def checked_access_key_id(text: str) -> str:
    """Return `text` if it can be a key id; else raise AuthFailure, which does not repeat it."""
    if _ACCESS_KEY_ID.fullmatch(text) is None:
        raise refusals.auth_failure("The access key id is malformed.")
    return text


def is_region(text: str) -> bool:
    """Return whether `text` is spelt like the name of a Region or a service."""
    return _REGION.fullmatch(text) is not None


def check_window(signed_at: datetime, *, now: datetime, lifetime: timedelta = VALIDITY) -> None:
    """Raise RequestExpired unless `now` is at most `lifetime` after `signed_at`.

    A caller's clock may be ahead by up to `VALIDITY`. Moments are subtracted and never added to,
    because a hostile year 9999 would overflow.
    """
    age = now - signed_at
    if age > min(lifetime, VALIDITY):
        raise refusals.request_expired(
            f"It was signed at {signed_at:%Y-%m-%dT%H:%M:%SZ} and it is {now:%Y-%m-%dT%H:%M:%SZ}."
        )
    if -age > VALIDITY:
        raise refusals.request_expired(
            f"It was signed for {signed_at:%Y-%m-%dT%H:%M:%SZ}, more than 15 minutes after now, "
            f"{now:%Y-%m-%dT%H:%M:%SZ}. Set the caller's clock."
        )
