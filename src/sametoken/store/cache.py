"""Values that transactions look up often and hardly anybody changes, kept in memory and exact.

A value is kept with its topic's stamp: a unique text, stored in the database, which every change of
the topic replaces in the same transaction. A transaction that has read the stamp may use what was
kept under it, however many other processes change the database. A stamp is never used twice, so
what was read in a transaction that was rolled back is never found again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

V = TypeVar("V")

# A topic is an account's Region. Beyond so many, all are dropped and read again: a few megabytes.
TOPICS_MAX = 1_000
# The values of one topic, such as subnets and groups; beyond so many, they are dropped likewise.
VALUES_MAX = 1_000
# Values that callers may ask for in any number of forms, of all topics together: a few megabytes.
FORMS_MAX = 500


class Cache:
    """The kept values of a store, shared by its threads. Values must not be changed in place.

    `topics` has the stamp and the values of each topic, `forms` what `get_form` keeps.
    """

    def __init__(self) -> None:
        self.topics: dict[Hashable, tuple[str | None, dict[Hashable, Any]]] = {}
        self.forms: dict[Hashable, tuple[str | None, Any]] = {}

    def clear(self) -> None:
        """Drop all: stamps of other rows may be those of rows that were put back."""
        self.topics.clear()
        self.forms.clear()

    def get(self, topic: Hashable, stamp: str | None, key: Hashable, read: Callable[[], V]) -> V:
        """Return the value kept for `key` under `stamp`; if there is none, `read` and keep it.

        The caller has read `stamp` in the transaction in which `read` reads.
        """
        kept = self.topics.get(topic)
        if kept is None or kept[0] != stamp:
            if len(self.topics) >= TOPICS_MAX:
                self.topics.clear()
            kept = self.topics[topic] = (stamp, {})
        values = kept[1]
        if key in values:
            found: V = values[key]
            return found
        value = read()
        if len(values) >= VALUES_MAX:
            values.clear()
        values[key] = value
        return value

    def get_form(
        self, topic: Hashable, stamp: str | None, key: Hashable, make: Callable[[], V]
    ) -> V:
        """Like `get`, where a caller chooses the key: only so many are kept, whosever they are."""
        kept = self.forms.get((topic, key))
        if kept is not None and kept[0] == stamp:
            found: V = kept[1]
            return found
        value = make()
        if len(self.forms) >= FORMS_MAX:
            self.forms.clear()
        self.forms[topic, key] = stamp, value
        return value
