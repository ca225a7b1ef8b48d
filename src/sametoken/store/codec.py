"""Encode documents as text and decode them, with one encoder and one decoder. Pure.

Both databases use it, and so does code that needs a document exactly as it will be read back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Made once: `json.dumps` with any option makes a new encoder at every call.
_ENCODER = json.JSONEncoder()
_DECODER = json.JSONDecoder()


class Encoded(dict[str, Any]):
    """A document as it will be read back from the database, with the text that is stored."""

    __slots__ = ("text",)

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.text = _ENCODER.encode(document)
        super().__init__(_DECODER.decode(self.text))


def dumps(value: Any) -> str:
    """Return a value's text; an `Encoded` document has its text already."""
    return value.text if type(value) is Encoded else _ENCODER.encode(value)


def loads(text: str | bytes) -> Any:
    return _DECODER.decode(text if isinstance(text, str) else text.decode())
