"""One request as it came over the wire, and the signature read from it. Values only, no clock.

Shared by the signature schemes (`sigv4`, `sigv2`) and by `signing`, which chooses between them:
what they refuse with, which moments they accept, and which texts a `Signature` may carry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

from sametoken.ec2.protocol import refusals
from sametoken.errors import ServiceError

# EC2's documented window, each way; far below the shortest retention (24 hours), so that a captured
# request cannot be sent again once its token is forgotten (promise P7).
VALIDITY = timedelta(minutes=15)

# Patterns of what a `Signature` carries into logs and SQL. IAM documents 16 to 128 word characters
# for a key id; shorter ones are let through because people configure `test`, and the store knows
# none of them unless it was told.
_ACCESS_KEY_ID = re.compile(r"[A-Za-z0-9_]{1,128}")
# Longer than any Region or service name there is (`ap-northeast-1` has 14), short enough for a log.
_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class WireRequest:
    """What was sent: nothing decoded, nothing joined, so that a signature over it can be checked.

    `path` and `query` keep their percent-encoding. `headers` are in wire order, names lower-cased.
    Bytes become text where they are acted upon, and once: `query.split_form` decodes the form,
    and `last` and `only` one header's value, as latin-1, which no byte fails.
    """

    method: str
    path: bytes
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def values(self, name: str) -> list[bytes]:
        """Every value of the header `name` (lower case), in wire order."""
        wanted = name.encode()
        return [value for known, value in self.headers if known == wanted]

    def last(self, name: str) -> str | None:
        """The value of the header `name` that was sent last, None without it."""
        values = self.values(name)
        return values[-1].decode("latin-1") if values else None

    def only(self, name: str) -> str | None:
        """The one value of the header `name`, None without it.

        Raises IncompleteSignature when it was sent twice: of two values, the one that was signed
        and the one that is acted upon could differ.
        """
        values = self.values(name)
        if len(values) > 1:
            raise incomplete_signature(f"The header {name} was sent more than once.")
        return values[0].decode("latin-1") if values else None


class Proof(Protocol):
    """The part of a signature that only the holder of the secret can make, whatever the scheme."""

    def matches(self, secret: str) -> bool:
        """Whether the holder of `secret` signed this request. Takes the same time either way."""
        ...


@dataclass(frozen=True, slots=True)
class Signature:
    """A request's signature: who the caller says it is. `verify` proves it, and nothing before.

    `region` and `service` are well formed, not known: whether they exist is the caller's to check.
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
    """The signature cannot be read at all. `why` is a sentence without the caller's text."""
    return ServiceError(
        "IncompleteSignature", f"The request signature does not conform to AWS standards. {why}"
    )


def mismatch(why: str) -> ServiceError:
    """The signature can be read, and cannot be right for this request, whatever the secret."""
    return ServiceError("SignatureDoesNotMatch", why, http_status=403)


def checked_access_key_id(text: str) -> str:
    """`text`, if some account could have it as a key id; else raises AuthFailure, unechoed."""
    if _ACCESS_KEY_ID.fullmatch(text) is None:
        raise refusals.auth_failure("The access key id is malformed.")
    return text


def is_region(text: str) -> bool:
    """Whether `text` is spelt as Regions, and services, are."""
    return _REGION.fullmatch(text) is not None


def check_window(signed_at: datetime, *, now: datetime, lifetime: timedelta = VALIDITY) -> None:
    """Raise RequestExpired unless `now` is at most `lifetime` after `signed_at`.

    A clock that is ahead of ours by up to `VALIDITY` is forgiven. The moments are subtracted, never
    added to, because a hostile year 9999 would overflow.
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
