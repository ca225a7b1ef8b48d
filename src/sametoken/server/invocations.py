"""Tokens for requests without one, from the id of the SDK's invocation. Off by default.

AWS's SDKs send `amz-sdk-invocation-id`, the same at every attempt of one call. With
`--dedupe-invocations` it stands in for a token where the request has none: parameters are
compared, and a repeat is answered from what the first attempt did. EC2 itself does not offer this.
"""

from __future__ import annotations

import re

from sametoken.derived import derive_token

HEADER = "amz-sdk-invocation-id"
# Matches a UUID, which every SDK sends; any other text is ignored.
_INVOCATION = re.compile(r"[0-9a-fA-F-]{32,36}\Z")


def token_of(invocation: str | None) -> str | None:
    """Derive the token of an invocation id; None if there is no id, or if it is not a UUID."""
    if invocation is None or _INVOCATION.match(invocation) is None:
        return None
    return derive_token("invocation", invocation)
