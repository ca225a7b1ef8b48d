"""Derived tokens: a client token made of the names of what it is for. Pure."""

from __future__ import annotations

import hashlib


def derive_token(*parts: str) -> str:
    """Derive a token for one step of something that has a name, e.g. (instance id, epoch, step).

    Equal parts always give equal tokens, and different parts give different ones. So a step that is
    repeated, by any node, counts as a repeat. Never include a time or an attempt number. Callers of
    an API use `sametoken.client.stable_token`, which also takes numbers, dates and tuples.
    """
    assert parts, "a derived token names something"
    # Each part has its length before it, so that ("ab", "c") and ("a", "bc") differ.
    canonical = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(canonical.encode()).hexdigest()
