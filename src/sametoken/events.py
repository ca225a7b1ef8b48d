"""Events of the log: a kind and values, which are written as words or as JSON.

A record of `logging` has events as its message, and whoever formats it decides what they look like.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class EventKind:
    """A kind of event: its name, such as `launch.running`, and the names of its fields."""

    name: str
    fields: tuple[str, ...]
    says: str

    def of(self, *values: Any) -> Event:
        """Make an event of this kind."""
        return Event(self, values)


@runtime_checkable
class Line(Protocol):
    """An event that a formatter may take apart. Its text is made only where it is written."""

    @property
    def kind(self) -> EventKind: ...

    def values(self) -> Mapping[str, Any]:
        """Return the values of fields, by their names; some may be left out."""
        ...


class Event:
    """An event that has a value for each of its fields."""

    __slots__ = ("_values", "kind")

    def __init__(self, kind: EventKind, values: tuple[Any, ...]) -> None:
        self.kind = kind
        self._values = values

    def values(self) -> Mapping[str, Any]:
        return dict(zip(self.kind.fields, self._values, strict=True))

    def __str__(self) -> str:
        of, _, did = self.kind.name.partition(".")
        return f"{of}={did} {words(self.values())}"


class Events(tuple[Line, ...]):
    """Several events in one record: a line of the log for each, by a single call."""

    def __str__(self) -> str:
        return "\n".join(str(one) for one in self)


def words(values: Mapping[str, Any]) -> str:
    """Write values as words of a line of the log."""
    return " ".join(
        [
            f"{name}={plain(value) if isinstance(value, str) else value}"
            for name, value in values.items()
        ]
    )


def plain(text: str) -> str:
    """Escape a text to one word of a log line, so that a caller's cannot forge fields or lines."""
    if text.isascii() and text.isprintable() and " " not in text:
        return text
    return ascii(text).replace(" ", r"\x20")
