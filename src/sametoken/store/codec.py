"""Documents as text and back, by one encoder and one decoder. Pure.

Both databases, and whoever must know what a document will be once it is read back, go through here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Made once: `json.dumps` with options of one's own makes an encoder at every call.
_ENCODER = json.JSONEncoder()
_DECODER = json.JSONDecoder()


class Encoded(dict[str, Any]):
    """A document as it will be read back, with the text that is stored of it."""

    __slots__ = ("text",)

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.text = _ENCODER.encode(document)
        super().__init__(_DECODER.decode(self.text))


def dumps(value: Any) -> str:
    """The text of a value; that of one which was encoded already is not made again."""
    return value.text if type(value) is Encoded else _ENCODER.encode(value)


def loads(text: str | bytes) -> Any:
    return _DECODER.decode(text if isinstance(text, str) else text.decode())
