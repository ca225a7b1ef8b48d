"""Finds the only signature of a request, in any scheme, and reads whose it claims to be.

Pure: bytes and values only. The moment is an argument; the secret comes later, with
`Signature.verify`. Any bytes end in a `Signature` or a `ServiceError`, never in another exception.
No text of the caller is repeated in a refusal, apart from names that passed a pattern.

| mistake                                         | code                  | status |
| ----------------------------------------------- | --------------------- | ------ |
| no signature, a V2 parameter is missing         | MissingParameter      | 400    |
| the signature cannot be read, or is there twice | IncompleteSignature   | 400    |
| a V2 parameter is malformed                     | InvalidParameterValue | 400    |
| both Timestamp and Expires                      | InvalidParameterCombination | 400 |
| too old, or too far ahead                       | RequestExpired        | 400    |
| a session token, V2 or SHA-1 switched off, a malformed key id | AuthFailure | 401    |
| signed for something else                       | SignatureDoesNotMatch | 403    |

An unsigned request is answered as EC2 does, with `MissingParameter` and `AWSAccessKeyId`, although
only version 2 has that parameter (seen e.g. in test-kitchen/kitchen-ec2 #440): scripts match it.
"""

from __future__ import annotations

import re
from datetime import datetime

from sametoken.ec2.protocol import refusals, sigv2, sigv4
from sametoken.ec2.protocol.query import Form
from sametoken.ec2.protocol.wire import Signature, WireRequest, incomplete_signature, is_region

__all__ = ["SIGNATURE_PARAMETERS", "Signature", "WireRequest", "claimed_key", "read_signature"]

# Parameters of the signature. No action has a parameter of these names, so they are left out before
# an action's parser, which would refuse them as unknown, sees the form.
SIGNATURE_PARAMETERS: frozenset[str] = sigv2.FORM_PARAMETERS | sigv4.QUERY_PARAMETERS

# Methods and targets have neither blanks nor control characters (RFC 9112 section 3): with a line
# end in one of them, two different requests could have the same text to sign.
_METHOD = re.compile("[!-~]*")
_TARGET = re.compile(rb"[!-~\x80-\xff]*")
# Names of the fields in which a signature that is not in a header names its key, and such a key.
_KEY_FIELDS = (b"AWSAccessKeyId=", b"X-Amz-Credential=")
_KEY = re.compile(rb"[A-Za-z0-9_]{1,128}")
_SESSION_TOKENS = frozenset({"X-Amz-Security-Token", "SecurityToken"})


def read_signature(
    request: WireRequest,
    form: Form,
    *,
    now: datetime,
    default_region: str,
    allow_v2: bool = True,
    allow_sha1: bool = False,
    allow_sessions: bool = False,
) -> Signature:
    """Return the request's only signature; raises ServiceError if none could be valid.

    `form` holds the parameters that the action will use: the query's, and for a POST the body's.
    `now` is aware. `default_region` is for version 2, whose signature names no Region.
    With `allow_sessions` a session token is no reason to refuse, and means nothing.
    """
    assert now.utcoffset() is not None, "now must be aware"
    assert is_region(default_region), "the default Region is well formed"
    target = request.path + request.query
    if _METHOD.fullmatch(request.method) is None or _TARGET.fullmatch(target) is None:
        raise incomplete_signature("The request's target has blanks or control characters.")
    query = sigv4.query_pairs(request.query) if request.query else []
    names = form.keys() | {name.decode("latin-1") for name, _ in query}
    if not allow_sessions:
        _refuse_sessions(request, form, names)

    authorization = request.only("authorization")
    presigned = not names.isdisjoint(sigv4.QUERY_MARKERS)
    version_2 = not names.isdisjoint(sigv2.FORM_MARKERS)
    if (authorization is not None) + presigned + version_2 > 1:
        # Each signature could name another caller, and only one would be checked.
        raise incomplete_signature("The request is signed in more than one way.")
    if authorization is not None:
        return sigv4.signature_in_header(request, query, authorization, now=now)
    if presigned:
        return sigv4.signature_in_query(request, query, now=now)
    if not version_2:
        raise refusals.missing_parameter("AWSAccessKeyId")
    if not allow_v2:
        raise refusals.auth_failure(
            "Signature version 2 is switched off at this endpoint. Sign with version 4."
        )
    sigv2.refuse_repeats(query)
    return sigv2.signature_in_form(
        request, form, now=now, default_region=default_region, allow_sha1=allow_sha1
    )


def _refuse_sessions(request: WireRequest, form: Form, names: set[str]) -> None:
    # An empty SecurityToken, which old clients of version 2 send, is none.
    given = {name for name in _SESSION_TOKENS & names if form.get(name) != ""}
    if request.values("x-amz-security-token") or given:
        raise refusals.auth_failure(
            "Session tokens are not supported at this endpoint. "
            "Sign with an account's own access key, and unset AWS_SESSION_TOKEN."
        )


def claimed_key(form: bytes) -> str | None:
    """Return the key that a form's signature names, without a parse of the form."""
    for name in _KEY_FIELDS:
        at = form.find(name)
        found = None if at < 0 else _KEY.match(form, at + len(name))
        if found is not None:
            return found[0].decode("ascii")
    return None
