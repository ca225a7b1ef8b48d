"""Stable tokens: a client token from what a create is for, the same in every process and release.

Pure. A token protects as far as it says the same thing at each try, and nothing else. So:

- **No time, no counter of tries, no random number.** Two workers that look at the clock in the same
  second get one token for two orders; one worker that looks twice gets two tokens for one order.
- **Other parameters need another token.** A fallback to another instance type or zone is another
  request: put the type into its token. Under the old token it is `IdempotentParameterMismatch`.
- **What has failed for good, or has ended, needs another token.** Under the old one the answer is
  what there was, terminated, for as long as the token is remembered. Put a generation into it, and
  keep the generation where it outlives the program.
- **Name the business, not the delivery.** A message that is sent twice may have two message ids;
  its order number is one.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import date, datetime
from typing import Union

from sametoken.derived import derive_token
from sametoken.world import UUID

# Part of an identity. A tuple may be in a tuple.
Part = Union[str, int, UUID, date, tuple["Part", ...]]  # noqa: UP007 - it names itself

# How identities are written and shortened. Another way is another version: a program that is
# upgraded between two tries of one create must not make two.
_VERSION = "v1"
# 160 bits: 32 characters in base 32. With the version that is 35, fewer than any API of AWS's
# allows (36 for some, 64 for EC2).
_BYTES = 20


def stable_token(*identity: Part) -> str:
    """Return the client token of an identity, such as `stable_token("order", 4711)`.

    35 lowercase letters, digits and a hyphen, beginning with the version of the form, `v1-`. Equal
    identities give equal tokens in every process and release; others give others.

    A part is a non-blank `str`, an `int`, a `UUID`, a `date`, or a tuple of parts. It counts as it
    is written, so 4711 and "4711" are one order, whether it was read from JSON or from a path. A
    tuple counts as one part: `("a", "b")` is not "a", "b".

    Raises `TypeError` for a part of another type: `None` (all orders without a number would be
    one), `float` (0.1 + 0.2 is not 0.3), `bool`, `bytes`, and `datetime` (a moment is another one
    at the next try; if a slot of a timetable is meant, give its text). Raises `ValueError` for
    no part, an empty tuple or a blank string.
    """
    digest = bytes.fromhex(derive_token("stable token", _VERSION, *_written(identity, "identity")))
    return f"{_VERSION}-{base64.b32encode(digest[:_BYTES]).decode().lower()}"


def _written(parts: tuple[Part, ...], name: str) -> Iterator[str]:
    if not parts:
        raise ValueError(f"{name} is empty: say what the create is for, such as 'order', 4711")
    for place, part in enumerate(parts):
        yield _text(part, f"{name}[{place}]")


def _text(part: Part, name: str) -> str:
    match part:
        case str():
            text = str.__str__(part)
            if not text.strip():
                raise ValueError(f"{name} is blank: everything without a name would be one thing")
            return text
        case bool() | datetime():
            raise TypeError(_refusal(part, name))
        case int() | UUID():
            return str(part)
        case date():
            return part.isoformat()
        case tuple():
            return derive_token("tuple", *_written(part, name))
        case _:
            raise TypeError(_refusal(part, name))


def _refusal(part: object, name: str) -> str:
    reasons = {
        "NoneType": "everything without a name would be one thing",
        "bool": "it says too little; give a word",
        "float": "it has no exact text; give an int or a str",
        "bytes": "decode it first",
        "datetime": "a moment is another one at the next try; give a date, or a slot's text",
    }
    kind = type(part).__name__
    reason = reasons.get(kind, "give a str, an int, a UUID, a date, or a tuple of these")
    return f"{name} is {part!r}, a {kind}: {reason}"
