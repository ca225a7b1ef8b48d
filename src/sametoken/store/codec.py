"""Encode documents as text and decode them, for both databases. Pure.

Code that needs a document exactly as it will be read back uses it too. orjson does the work. The
standard library, which is several times slower, does what orjson refuses or would change: numbers
beyond 64 bits, and halves of surrogate pairs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import orjson

# Made once: `json.dumps` with any option makes a new encoder at every call.
_ENCODER = json.JSONEncoder()
_DECODER = json.JSONDecoder()
# Values of these types are errors here, as they are for the standard library.
_REFUSED = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
# Digits of a number that 64 bits may not hold.
_MAY_BE_LARGE = re.compile(r"\d{18}")
# The beginning of a text by the standard library: orjson would read a large number as a fraction.
_LEFT = " "


class Encoded(dict[str, Any]):
    """A document as it will be read back from the database, with the text that is stored."""

    __slots__ = ("text",)

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.text = dumps(document)
        super().__init__(loads_document(self.text))


def dumps(value: Any) -> str:
    """Return a value's text; an `Encoded` document has its text already."""
    if type(value) is Encoded:
        return value.text
    try:
        return orjson.dumps(value, option=_REFUSED).decode()
    except TypeError:
        return _LEFT + _ENCODER.encode(value)


def loads(text: str) -> Any:
    """Decode any text. Release 0.1.0 wrote all of them by the standard library."""
    if _MAY_BE_LARGE.search(text) is None:
        return loads_document(text)
    return _DECODER.decode(text)


def loads_document(text: str | bytes) -> Any:
    """Decode the text of a row's document. Release 0.1.0 wrote no large numbers in these."""
    if text[:1] not in (_LEFT, _LEFT.encode()):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
    return _DECODER.decode(text if isinstance(text, str) else text.decode())
