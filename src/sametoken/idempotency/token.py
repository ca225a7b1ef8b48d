"""The grammar of client tokens. Pure.

Source: EC2 developer guide, "Ensuring idempotency": "a unique, case-sensitive string of up to 64
ASCII characters". Corners (blanks, padding) as captured from EC2; see docs/decisions.
"""

from __future__ import annotations

from dataclasses import dataclass

from sametoken.errors import InvalidClientToken

TOKEN_CHARACTERS_MAX = 64


@dataclass(frozen=True, slots=True)
class TokenGrammar:
    """The client tokens that an action accepts.

    `characters_max` is checked before the trim. `blank_is_absent` is for the two EC2 actions
    (CreateRouteTable, CreateNetworkAcl) that were observed to treat a blank token as no token.
    """

    characters_max: int = TOKEN_CHARACTERS_MAX
    blank_is_absent: bool = False

    def parse(self, raw: str | None) -> str | None:
        """Return the token that identifies the request, trimmed; None if the caller gave no token.

        Raises `InvalidClientToken`. An empty token is refused rather than ignored, because a caller
        who computes "" believes that the request is protected.
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
