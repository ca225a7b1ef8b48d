"""The grammar of client tokens, and tokens derived for the hops behind a request. Pure.

Source: EC2 developer guide, "Ensuring idempotency": "a unique, case-sensitive string of up to 64
ASCII characters". Corners (blanks, padding) as captured from EC2; see docs/decisions.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sametoken.errors import InvalidClientToken

TOKEN_CHARACTERS_MAX = 64


@dataclass(frozen=True, slots=True)
class TokenGrammar:
    """What an action takes as a client token.

    `characters_max` is checked before the trim. `blank_is_absent` is for the two EC2 actions
    (CreateRouteTable, CreateNetworkAcl) that were seen to treat only-blank tokens as none.
    """

    characters_max: int = TOKEN_CHARACTERS_MAX
    blank_is_absent: bool = False

    def parse(self, raw: str | None) -> str | None:
        """The token that identifies the request, trimmed; None when the caller gave none.

        Raises `InvalidClientToken`: an empty token is refused rather than taken for none, because
        a caller who computes "" believes to be protected.
        """
        if raw is None:
            return None
        trimmed = raw.strip(" \t")
        if not trimmed and raw and self.blank_is_absent:
            return None
        if not trimmed or len(raw) > self.characters_max or not _is_printable_ascii(trimmed):
            raise InvalidClientToken(
                f"Value ({raw[:200]}) for parameter clientToken is invalid. Use 1 to "
                f"{self.characters_max} printable ASCII characters."
            )
        return trimmed


def _is_printable_ascii(text: str) -> bool:
    return text.isascii() and text.isprintable()


def derive_token(*parts: str) -> str:
    """A token for one step of something already named, e.g. (instance id, epoch, step).

    The same parts always give the same token, and different parts different ones: that makes a
    repeated step a repeat, whoever repeats it. Never put a time or an attempt number in.
    """
    assert parts, "a derived token names something"
    # Length-prefixed, so that ("ab", "c") and ("a", "bc") differ.
    canonical = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(canonical.encode()).hexdigest()
