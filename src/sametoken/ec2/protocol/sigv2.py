"""AWS Signature Version 2, read and checked: in the query string, or in the form of a POST.

Pure: bytes and values only. For clients from before 2014. Unlike version 4 it signs the parsed
parameters and not the body's bytes, so it proves exactly the `form` that it was given.
Source: AWS General Reference, "Signature Version 2 signing process".

The signature does not cover headers other than Host, nor the order of repeated names. The form's
parser must therefore not give that order a meaning.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.query import Form
from sametoken.ec2.protocol.wire import (
    VALIDITY,
    Signature,
    WireRequest,
    check_window,
    checked_access_key_id,
    incomplete_signature,
    is_region,
    without_port,
)
from sametoken.errors import ServiceError

# A form with either of these was meant to be signed by version 2.
FORM_MARKERS = frozenset({"AWSAccessKeyId", "Signature"})
FORM_PARAMETERS = frozenset(
    {
        "AWSAccessKeyId",
        "Signature",
        "SignatureMethod",
        "SignatureVersion",
        "Timestamp",
        "Expires",
        "SecurityToken",
    }
)
_REQUIRED = ("AWSAccessKeyId", "SignatureVersion", "SignatureMethod", "Signature")

_DIGESTS = {"HmacSHA256": "sha256", "HmacSHA1": "sha1"}
# The source's own example has no zone, and means UTC; libraries add a zone or a fraction.
_MOMENT = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]{1,9})?"
    r"(?:Z|\+00:00)?"
)
# A host name or address with its port: no character of it can end the line that it is signed on.
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
# Matches `eu-west-1`, `us-gov-east-1`; stricter than `is_region`, which version 4 uses, because the
# second label of a host can be any other word (`ec2.internal`).
_HOST_REGION = re.compile(r"[a-z]{2,8}(?:-[a-z]{1,12}){1,2}-[0-9]{1,2}")
_SERVICES = ("ec2", "sts")


@dataclass(frozen=True, slots=True)
class _Proof:
    digest: str
    # Texts that the caller may have signed: Host as it was sent, and without its port.
    strings_to_sign: tuple[bytes, ...]
    signature: bytes

    def matches(self, secret: str) -> bool:
        return any(self._fits(secret, text) for text in self.strings_to_sign)

    def _fits(self, secret: str, text: bytes) -> bool:
        expected = hmac.digest(secret.encode(), text, self.digest)
        return hmac.compare_digest(base64.b64encode(expected), self.signature)


def refuse_repeats(query: Sequence[tuple[bytes, bytes]]) -> None:
    """Raise IncompleteSignature if a query string gives a parameter of the signature twice.

    The form keeps one of two values, and its sender may have meant the other.
    """
    names = [name.decode("latin-1") for name, _ in query]
    for name in FORM_PARAMETERS.intersection(names):
        if names.count(name) > 1:
            raise incomplete_signature(f"{name} was sent more than once.")


def signature_in_form(
    request: WireRequest,
    form: Form,
    *,
    now: datetime,
    default_region: str,
    allow_sha1: bool,
) -> Signature:
    """Read a form's signature of version 2; raises ServiceError if it cannot be valid.

    `default_region` stands in when the signed Host names no Region.
    """
    for name in _REQUIRED:
        if not form.get(name):
            raise refusals.missing_parameter(name)
    access_key_id = checked_access_key_id(form["AWSAccessKeyId"])
    digest = _digest(form, allow_sha1=allow_sha1)
    signed_at = _signed_at(form, now=now)
    host = _host(request)
    service, region = _service_and_region(host, default_region)
    return Signature(
        access_key_id=access_key_id,
        region=region,
        service=service,
        signed_at=signed_at,
        signature_version=2,
        proof=_Proof(
            digest=digest,
            strings_to_sign=tuple(
                _string_to_sign(request, one, form)
                for one in (host, without_port(host))
                if one is not None
            ),
            signature=_form_bytes(form["Signature"]),
        ),
    )


def _digest(form: Form, *, allow_sha1: bool) -> str:
    if form["SignatureVersion"] != "2":
        raise _invalid("SignatureVersion", "must be 2, or the request be signed by version 4")
    digest = _DIGESTS.get(form["SignatureMethod"])
    if digest is None:
        raise _invalid("SignatureMethod", "must be HmacSHA256")
    if digest == "sha1" and not allow_sha1:
        raise refusals.auth_failure(
            "HmacSHA1 signatures are switched off at this endpoint. Sign with HmacSHA256."
        )
    return digest


def _signed_at(form: Form, *, now: datetime) -> datetime:
    """Return the moment of signing; with `Expires`, the first moment at which it is accepted.

    A request with `Expires` is accepted only in the 15 minutes before that moment. So no request is
    valid for longer than 15 minutes, however late its `Expires` (promise P7).
    """
    timestamp, expires = form.get("Timestamp"), form.get("Expires")
    if timestamp is not None and expires is not None:
        raise refusals.invalid_combination(
            "The parameter Timestamp cannot be used with the parameter Expires"
        )
    if timestamp is not None:
        signed_at = _moment("Timestamp", timestamp)
        check_window(signed_at, now=now)
        return signed_at
    if expires is None:
        raise refusals.missing_parameter("Timestamp")
    expires_at = _moment("Expires", expires)
    left = expires_at - now
    if left < timedelta(0):
        raise refusals.request_expired("The moment given by Expires has passed.")
    if left > VALIDITY:
        raise refusals.request_expired("Expires must be at most 15 minutes ahead.")
    return expires_at - VALIDITY


def _moment(name: str, text: str) -> datetime:
    written = _MOMENT.fullmatch(text)
    if written is None:
        raise _invalid(name, "must be a moment in UTC, such as 2030-01-31T23:59:59Z")
    year, month, day, hour, minute, second = (int(part) for part in written.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise _invalid(name, "is not in the calendar") from None


def _host(request: WireRequest) -> str:
    host = request.only("host")
    if host is None or _HOST.fullmatch(host.strip()) is None:
        raise incomplete_signature("The request must have a Host header with a host name.")
    return host.strip().lower()


def _service_and_region(host: str, default_region: str) -> tuple[str, str]:
    """Read `ec2.eu-west-1.…` or the older `eu-west-1.ec2.…`; else EC2 in `default_region`."""
    first, second = [*host.partition(":")[0].split("."), "", ""][:2]
    if second in _SERVICES and _is_host_region(first):
        return second, first
    service = first if first in _SERVICES else "ec2"
    named = first in _SERVICES and _is_host_region(second)
    return service, second if named else default_region


def _is_host_region(label: str) -> bool:
    return is_region(label) and _HOST_REGION.fullmatch(label) is not None


def _string_to_sign(request: WireRequest, host: str, form: Form) -> bytes:
    """Return four lines. Names are sorted as bytes before they are encoded, as in the source."""
    pairs = sorted(
        (_form_bytes(name), _form_bytes(value))
        for name, value in form.items()
        if name != "Signature"
    )
    encoded = "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs
    )
    return b"\n".join(
        (
            request.method.encode(),
            host.encode(),
            request.path or b"/",
            encoded.encode(),
        )
    )


def _form_bytes(text: str) -> bytes:
    # A form's text is decoded from UTF-8, which has no lone surrogate. `surrogatepass` gives one
    # bytes that match no honest signature, and raises no error.
    return text.encode("utf-8", "surrogatepass")


def _invalid(name: str, rule: str) -> ServiceError:
    # Do not echo the value: no caller is proven yet, and it may be long.
    return ServiceError("InvalidParameterValue", f"The parameter {name} {rule}.")
