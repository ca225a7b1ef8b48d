"""Ids that callers do not find yet: eventual consistency on purpose, for rules `not-yet-found`.

EC2 says of its API that an id which a create has just given may not be visible to the requests that
follow (developer guide, "Eventual consistency in the Amazon EC2 API"). A request that names
such an id is told that it does not exist. A listing that names no ids shows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.faults.rules import Rule
from sametoken.resources.kit.kinds import KINDS

# More than any test makes within seconds; of more, the oldest is found again.
HIDDEN_MAX = 10_000
# Kinds whose names are not in the name of the action that makes them.
_KIND_OF = {"AllocateAddress": "elastic-ip", "CreateFlowLogs": "vpc-flow-log"}
# Filters that name an id which is not there match nothing, and are no error.
_FILTERS = frozenset({"Filters", "Filter"})


@dataclass(frozen=True, slots=True)
class _Secret:
    until: float
    rule: Rule


class Hidden:
    """The ids that are hidden, and until when by `clock`. For use from the event loop alone."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._secrets: dict[str, _Secret] = {}

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def hide(self, action: str, params: Mapping[str, Any], result: Document, rule: Rule) -> None:
        """Hide the ids that `action` has made, for the rule's seconds."""
        until = self._clock() + rule.seconds
        for id in made_by(action, params, result):
            self._secrets.pop(id, None)
            self._secrets[id] = _Secret(until, rule)
            if len(self._secrets) > HIDDEN_MAX:
                del self._secrets[next(iter(self._secrets))]

    def find(self, params: Mapping[str, Any]) -> tuple[ServiceError, Rule] | None:
        """Return the refusal of a request that names a hidden id, and the rule that hid it."""
        now = self._clock()
        for id in [id for id, secret in self._secrets.items() if secret.until <= now]:
            del self._secrets[id]
        named = (one for name in params if name not in _FILTERS for one in _texts(params[name]))
        for id in named:
            if id in self._secrets:
                [kind] = [one for one in KINDS.values() if one.prefix == id.rpartition("-")[0]]
                return kind.not_found([id]), self._secrets[id].rule
        return None

    def clear(self) -> None:
        self._secrets.clear()


def made_by(action: str, params: Mapping[str, Any], result: Document) -> list[str]:
    """Return the ids in a create's result of the kind that it makes, but those of its request."""
    prefix = _prefix_of(action)
    if prefix is None:
        return []
    pattern = re.compile(rf"{re.escape(prefix)}-[0-9a-f]{{17}}")
    found = dict.fromkeys(one for one in _texts(result) if pattern.fullmatch(one))
    named = set(_texts(params))
    return [id for id in found if id not in named]


@lru_cache(maxsize=1_000)
def _prefix_of(action: str) -> str | None:
    """Return the prefix of the kind whose name is in the action's name: of several, the longest."""
    if action in _KIND_OF:
        return KINDS[_KIND_OF[action]].prefix
    named = [one for one in KINDS.values() if one.name.replace("-", "") in action.lower()]
    return max(named, key=lambda kind: len(kind.name)).prefix if named else None


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in a value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
