"""AWS Signature Version 4, read and checked: in the Authorization header, or in the query string.

Pure: bytes and values only. Unsigned payloads, chunked uploads and keys derived for many Regions
(SigV4A) are refused: no EC2 client uses them. Comments number the steps of the source: IAM User
Guide, "Create a signed AWS API request".

The signature does not cover the order of repeated names in a query string, because the canonical
form sorts them. The form's parser must therefore not give that order a meaning.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import NamedTuple, TypeAlias
from urllib.parse import quote, unquote_to_bytes

from sametoken.ec2.protocol.wire import (
    Signature,
    WireRequest,
    check_window,
    checked_access_key_id,
    incomplete_signature,
    is_region,
    mismatch,
    without_port,
)

# A name and a value of a query string, percent-decoded.
QueryPair: TypeAlias = tuple[bytes, bytes]

ALGORITHM = "AWS4-HMAC-SHA256"
_TERMINATOR = "aws4_request"
# The source allows seven days; `check_window` then allows 15 minutes at most.
_EXPIRES_SECONDS_MAX = 604_800
# Bounds the kept keys: callers times their Regions. A kept key saves a request 4 hashes.
SIGNING_KEYS_MAX = 1024

_QUERY_FIELDS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
)
# A query string with any of these was meant to be signed.
QUERY_MARKERS = frozenset({"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"})
QUERY_PARAMETERS = frozenset({*_QUERY_FIELDS, "X-Amz-Security-Token", "X-Amz-Content-Sha256"})
_HEADER_FIELDS = frozenset({"Credential", "SignedHeaders", "Signature"})

_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_SCOPE_DATE = re.compile(r"[0-9]{8}")
_EXPIRES = re.compile(r"[0-9]{1,6}")
_STAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")
# Field names of RFC 9110 section 5.1, lower case; 64 is twice the longest that clients sign.
_NAME = r"[a-z0-9!#$%&'*+.^_`|~-]{1,64}"
_HEADER_NAMES = re.compile(rf"{_NAME}(?:;{_NAME})*")
# The Date header (RFC 9110 section 5.6.7). Not by strptime, whose month names follow the locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HTTP_DATE = re.compile(
    r"[A-Z][a-z]{2}, ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) "
    r"(?:GMT|UTC|[+-]0000)"
)


class _Stated(NamedTuple):
    """The parts of a signature as sent, the same for a header and for a query string.

    `stamp` is the moment `signed_at` as it is signed: YYYYMMDD'T'HHMMSS'Z'.
    """

    credential: str
    signed_headers: str
    signature: str
    stamp: str
    signed_at: datetime


class _Proof(NamedTuple):
    date: str
    region: str
    service: str
    string_to_sign: bytes
    # Makes the text of a client that leaves the port out of the Host which it signs.
    without_port: Callable[[], bytes] | None
    signature: str

    def matches(self, secret: str) -> bool:
        # Step 5.
        key = _signing_key(secret, self.date, self.region, self.service)
        return self._fits(key, self.string_to_sign) or (
            self.without_port is not None and self._fits(key, self.without_port())
        )

    def _fits(self, key: bytes, text: bytes) -> bool:
        return hmac.compare_digest(hmac.digest(key, text, "sha256").hex(), self.signature)


@lru_cache(maxsize=SIGNING_KEYS_MAX)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """Step 4: derive the key of a day, a Region and a service; cached, as every client does.

    Only requests with a known key id and a date near now come this far, so the cache stays small.
    """
    key = b"AWS4" + secret.encode()
    for part in (date, region, service, _TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signature_in_header(
    request: WireRequest, query: Sequence[QueryPair], authorization: str, *, now: datetime
) -> Signature:
    """Read the signature of an Authorization header; raises ServiceError if it cannot be valid.

    `query` is the request's `query_pairs`, here and below.
    """
    fields = _authorization_fields(authorization)
    stamp, signed_at = _header_moment(request)
    stated = _Stated(
        fields["Credential"], fields["SignedHeaders"], fields["Signature"], stamp, signed_at
    )
    check_window(stated.signed_at, now=now)
    return _signature(request, query, stated, request.only("x-amz-content-sha256"))


def signature_in_query(
    request: WireRequest, query: Sequence[QueryPair], *, now: datetime
) -> Signature:
    """Read the signature of a presigned URL; raises ServiceError if it cannot be valid.

    It is valid for its X-Amz-Expires, and for at most 15 minutes (promise P7).
    """
    fields = _presigned_fields(query)
    if fields["X-Amz-Algorithm"] != ALGORITHM:
        raise incomplete_signature(f"X-Amz-Algorithm must be {ALGORITHM}.")
    stated = _Stated(
        fields["X-Amz-Credential"],
        fields["X-Amz-SignedHeaders"],
        fields["X-Amz-Signature"],
        fields["X-Amz-Date"],
        _moment(fields["X-Amz-Date"]),
    )
    check_window(stated.signed_at, now=now, lifetime=_lifetime(fields["X-Amz-Expires"]))
    return _signature(request, query, stated, fields.get("X-Amz-Content-Sha256"))


def signed_headers(request: WireRequest) -> frozenset[str]:
    """Return the headers that the request's Authorization header signs; none if it has none."""
    authorization = request.only("authorization")
    if authorization is None or not authorization.startswith(ALGORITHM):
        return frozenset()
    return frozenset(_header_names(_authorization_fields(authorization)["SignedHeaders"]))


def query_pairs(query: bytes) -> list[QueryPair]:
    """Decode the names and values of a query string, exactly as those of a form.

    A plus becomes a blank. If it stayed a plus, `a%2Bb` could be changed to `a+b` on its way: the
    signature would still hold, and the form would read `a b`.
    """
    pairs = []
    for part in query.replace(b"+", b" ").split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            pairs.append((unquote_to_bytes(name), unquote_to_bytes(value)))
    return pairs


def _signature(
    request: WireRequest, query: Sequence[QueryPair], stated: _Stated, stated_hash: str | None
) -> Signature:
    access_key_id, date, region, service = _scope(stated.credential)
    if date != stated.stamp[:8]:
        raise mismatch("The date in the credential scope is not the date of the request.")
    if _SIGNATURE.fullmatch(stated.signature) is None:
        raise incomplete_signature("The signature must be 64 lower-case hexadecimal digits.")
    names = _header_names(stated.signed_headers)
    payload_hash = _payload_hash(request, stated_hash)

    def string_to_sign(host: bytes | None = None) -> bytes:
        """Step 3."""
        canonical = _canonical_request(request, query, names, payload_hash, host=host)
        scope = f"{date}/{region}/{service}/{_TERMINATOR}"
        digest = hashlib.sha256(canonical).hexdigest()
        return "\n".join((ALGORITHM, stated.stamp, scope, digest)).encode()

    portless = without_port(request.last("host") or "")
    return Signature(
        access_key_id=access_key_id,
        region=region,
        service=service,
        signed_at=stated.signed_at,
        signature_version=4,
        proof=_Proof(
            date=date,
            region=region,
            service=service,
            string_to_sign=string_to_sign(),
            without_port=(
                None if portless is None else partial(string_to_sign, portless.encode("latin-1"))
            ),
            signature=stated.signature,
        ),
    )


def _authorization_fields(authorization: str) -> dict[str, str]:
    algorithm, _, rest = authorization.strip().partition(" ")
    if algorithm != ALGORITHM:
        raise incomplete_signature(f"The Authorization header must begin with {ALGORITHM}.")
    pairs = [part.strip().partition("=")[::2] for part in rest.split(",")]
    fields = dict(pairs)
    if fields.keys() != _HEADER_FIELDS or len(pairs) != len(fields):
        raise incomplete_signature(
            "The Authorization header must give Credential, SignedHeaders and Signature, once each."
        )
    return fields


def _presigned_fields(query: Sequence[QueryPair]) -> dict[str, str]:
    """Return the parameters of the signature; all but X-Amz-Content-Sha256 are present."""
    fields: dict[str, str] = {}
    for name_bytes, value in query:
        name = name_bytes.decode("latin-1")
        if name not in QUERY_PARAMETERS:
            continue
        if name in fields:
            raise incomplete_signature(f"{name} was sent more than once.")
        fields[name] = value.decode("latin-1")
    for name in _QUERY_FIELDS:
        if name not in fields:
            raise incomplete_signature(f"A query string that is signed must give {name}.")
    return fields


def _scope(credential: str) -> tuple[str, str, str, str]:
    parts = credential.split("/")
    if len(parts) != 5:
        raise incomplete_signature(
            f"The credential must be written KEY/YYYYMMDD/REGION/SERVICE/{_TERMINATOR}."
        )
    access_key_id, date, region, service, terminator = parts
    if terminator != _TERMINATOR:
        raise mismatch(f"The credential scope must end with {_TERMINATOR}.")
    if _SCOPE_DATE.fullmatch(date) is None:
        raise incomplete_signature("The date in the credential scope must be written YYYYMMDD.")
    if not is_region(region):
        raise mismatch("The credential must be scoped to a valid Region.")
    if not is_region(service):
        raise mismatch("The credential must be scoped to a valid service.")
    return checked_access_key_id(access_key_id), date, region, service


def _header_names(signed_headers: str) -> list[str]:
    if _HEADER_NAMES.fullmatch(signed_headers) is None:
        raise incomplete_signature("SignedHeaders must be lower-case names, separated by ';'.")
    names = signed_headers.split(";")
    if names != sorted(set(names)):
        raise incomplete_signature("SignedHeaders must be sorted, each name once.")
    if "host" not in names:
        # Refuse: without the host, a request to one endpoint could be sent to another.
        raise mismatch("The host header must be one of the signed headers.")
    return names


def _payload_hash(request: WireRequest, stated_hash: str | None) -> str:
    """Return the hash of the body as received, which the signature must cover.

    `UNSIGNED-PAYLOAD` is refused like any other text: botocore never sends it to EC2, and it would
    allow anyone on the way to change the parameters of a POST.
    """
    actual = hashlib.sha256(request.body).hexdigest()
    if stated_hash is not None and stated_hash.strip() != actual:
        raise mismatch(
            "The value of x-amz-content-sha256 must be the SHA-256 of the body, and is not."
        )
    return actual


def _header_moment(request: WireRequest) -> tuple[str, datetime]:
    """Return the moment of the request as it is signed, and as a value."""
    stamp = request.only("x-amz-date")
    if stamp is not None:
        stamp = stamp.strip()
        return stamp, _moment(stamp)
    date = request.only("date")
    if date is None:
        raise incomplete_signature("The request must have the header X-Amz-Date or Date.")
    written = _HTTP_DATE.fullmatch(date.strip())
    if written is None or written[2] not in _MONTHS:
        raise incomplete_signature("The Date header must be written as in RFC 9110.")
    day, _, year, hour, minute, second = written.groups()
    stamp = f"{year}{_MONTHS.index(written[2]) + 1:02}{day}T{hour}{minute}{second}Z"
    return stamp, _moment(stamp)


def _moment(stamp: str) -> datetime:
    if _STAMP.fullmatch(stamp) is None:
        raise incomplete_signature("X-Amz-Date must be written YYYYMMDD'T'HHMMSS'Z'.")
    year, month, day = int(stamp[:4]), int(stamp[4:6]), int(stamp[6:8])
    hour, minute, second = int(stamp[9:11]), int(stamp[11:13]), int(stamp[13:15])
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise incomplete_signature("The request's date is not in the calendar.") from None


def _lifetime(expires: str) -> timedelta:
    if _EXPIRES.fullmatch(expires) is None or not 1 <= int(expires) <= _EXPIRES_SECONDS_MAX:
        raise incomplete_signature(
            f"X-Amz-Expires must be a number of seconds from 1 to {_EXPIRES_SECONDS_MAX}."
        )
    return timedelta(seconds=int(expires))


def _canonical_request(
    request: WireRequest,
    query: Sequence[QueryPair],
    names: list[str],
    payload_hash: str,
    *,
    host: bytes | None = None,
) -> bytes:
    """Step 1. Only X-Amz-Signature is left out of a signed query string.

    `host` stands in for the header that was sent.
    """
    lines = [request.method.encode(), _canonical_path(request.path), _canonical_query(query)]
    for name in names:
        values = [host] if host is not None and name == "host" else request.values(name)
        if not values:
            raise mismatch(f"The header {name} is said to be signed, but was not received.")
        lines.append(name.encode() + b":" + _canonical_value(values))
    lines += (b"", ";".join(names).encode(), payload_hash.encode())
    return b"\n".join(lines)


def _canonical_path(path: bytes) -> bytes:
    """Resolve dot segments and doubled slashes (RFC 3986 section 5.2.4), then encode once more.

    The path is encoded already; every service but S3 signs it encoded twice.
    """
    if path == b"/":
        return path
    kept: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(segment)
    last = b"/" if kept and path.endswith(b"/") else b""
    return quote(b"/" + b"/".join(kept) + last, safe="/~").encode()


def _canonical_query(query: Sequence[QueryPair]) -> bytes:
    if not query:
        return b""
    encoded = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in query
        if name != b"X-Amz-Signature"
    )
    return "&".join(f"{name}={value}" for name, value in encoded).encode()


def _canonical_value(values: list[bytes]) -> bytes:
    """Return a header as it is signed: trimmed, runs of blanks made one, repeats joined.

    Values are split as bytes: `str.split` takes 0xA0, a part of UTF-8 letters, for a blank.
    """
    return b",".join(b" ".join(value.split()) for value in values)
