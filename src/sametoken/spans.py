"""Spans of traces, as values, and the ids that are derived for them. Pure.

No process carries an id to another: whoever knows the call of a request, or the instance of a step,
derives the same ids, also on another node and after a crash.

Source: W3C, "Trace Context", for the header `traceparent`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1


class Context(NamedTuple):
    """A place in a trace: the trace's id, and that of the span under which others stand."""

    trace: int
    span: int

    def __str__(self) -> str:
        return f"00-{self.trace:032x}-{self.span:016x}-01"


class Span(NamedTuple):
    """A span that has ended. Moments are seconds since 1970; `error` is empty unless it failed."""

    name: str
    at: Context
    parent: int | None
    start: float
    end: float
    attributes: Mapping[str, str | int | float]
    error: str = ""


class Traces(Protocol):
    """Takes spans, for whoever collects traces. For any thread; never waits."""

    def emit(self, span: Span) -> None: ...

    def close(self) -> None:
        """Hand on what was taken, and take no more."""
        ...


def trace_of(*parts: str) -> int:
    """Derive the id of a trace."""
    return _derived(16, parts)


def span_of(trace: int, *parts: str) -> int:
    """Derive the id of a span in a trace."""
    return _derived(8, (f"{trace:032x}", *parts))


def read_traceparent(text: str) -> Context | None:
    """Return the place that a caller's header names; None if it names none.

    Raises `NotSampled` if the caller wants no spans.
    """
    found = _TRACEPARENT.fullmatch(text.strip())
    if found is None or text.startswith("ff"):
        return None
    context = Context(int(found[1], 16), int(found[2], 16))
    if not context.trace or not context.span:
        return None
    if not int(found[3], 16) & _SAMPLED:
        raise NotSampled
    return context


class NotSampled(Exception):
    """The caller has decided that nothing is recorded of its trace."""


def _derived(size: int, parts: tuple[str, ...]) -> int:
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    # An id of zeros means that there is none.
    return int.from_bytes(digest[:size]) or 1
