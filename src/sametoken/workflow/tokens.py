"""Step tokens: the name of one step of one plan of one instance, for one service. Pure.

A step that is repeated, by any node, has the same token, so that it counts as a repeat. A work row
keeps the form of its tokens, because a launch must go on with the form that it began with.
"""

from __future__ import annotations

from enum import StrEnum

from sametoken.derived import derive_token


class TokenForm(StrEnum):
    """Form of an instance's step tokens.

    READABLE tokens begin with the instance's id, so that the tokens of launches that were accepted
    together lie together in the index. Release 0.1.0 knows HASHED alone: 64 hexadecimal digits,
    without the colons that every readable token has, so no token of one form equals one of the
    other.
    """

    HASHED = "hashed"
    READABLE = "readable"


def is_readable(token: str) -> bool:
    """Tell the form of a step's token."""
    return ":" in token


def step_token(form: str, instance: str, epoch: int, step: str, service: str) -> str:
    """Return the token of a step, in `form`. No part of a readable token contains a colon."""
    parts = (instance, str(epoch), step, service)
    return derive_token(*parts) if form == TokenForm.HASHED else ":".join(parts)
