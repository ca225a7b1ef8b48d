"""Violations of promises, as the auditor raises them."""

from __future__ import annotations


class Violation(AssertionError):
    """A promise does not hold: P1 to P11 of docs/promises.md, or LIVE: all work is done at last."""

    def __init__(self, promise: str, what: str) -> None:
        super().__init__(f"{promise}: {what}")
        self.promise = promise


def require(holds: object, promise: str, what: str, *shown: object) -> None:
    """Raise `Violation` unless `holds` is true.

    `what` is formatted with `shown` only for a violation, because rows are long.
    """
    if not holds:
        raise Violation(promise, what.format(*shown))
