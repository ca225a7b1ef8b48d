"""How the auditor says that a promise is broken."""

from __future__ import annotations


class Violation(AssertionError):
    """A promise of docs/promises.md, P1 to P11, or LIVE, does not hold."""

    def __init__(self, promise: str, what: str) -> None:
        super().__init__(f"{promise}: {what}")
        self.promise = promise


def require(holds: object, promise: str, what: str, *shown: object) -> None:
    """Raise `Violation` unless it `holds`.

    `what` is formatted with `shown` only then: rows are long, and most hold.
    """
    if not holds:
        raise Violation(promise, what.format(*shown))
