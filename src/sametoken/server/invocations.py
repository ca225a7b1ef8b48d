"""Off by default: one effect per SDK invocation, for requests that EC2 gives no client token.

botocore and its kin send `amz-sdk-invocation-id`, the same at every attempt of one call. With
`--dedupe-invocations` it stands in for a token where the request has none: parameters are
compared, and a repeat is answered from what the first attempt did. EC2 itself does not offer this.
"""

from __future__ import annotations

import re

from sametoken.idempotency import derive_token

HEADER = "amz-sdk-invocation-id"
# A UUID, as every SDK sends it; anything else is not taken for one.
_INVOCATION = re.compile(r"[0-9a-fA-F-]{32,36}\Z")


def token_of(invocation: str | None) -> str | None:
    """The token that an invocation id stands for; None for none, or for one that is odd."""
    if invocation is None or _INVOCATION.match(invocation) is None:
        return None
    return derive_token("invocation", invocation)
