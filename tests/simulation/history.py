"""History of a schedule: calls and their answers, the auditor's second source beside the rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Parameters = tuple[tuple[str, str], ...]

# Ids that the program mints: a kind's prefix and 17 hexadecimal digits, the first of them 0.
_ID = re.compile(r"([a-z]+(?:-[a-z]+)*)-0[0-9a-f]{16}\Z")


def prefix_of(value: str) -> str | None:
    """Return the prefix of an id, such as `vol`; None if `value` is not an id."""
    found = _ID.match(value)
    return None if found is None else found[1]


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A request as a caller means it. Repeats of it are equal.

    `intent` is a name that is written into the resources the call makes (as a tag or a
    description), so that every row tells the call it was made for; "" for calls that make none.
    `zone` is the zone that a zonal action names, or "".
    """

    action: str
    account: str
    region: str
    client_token: str | None = None
    intent: str = ""
    zone: str = ""
    parameters: Parameters = ()

    def form(self) -> dict[str, str]:
        """Return the form that a client sends."""
        token = {} if self.client_token is None else {"ClientToken": self.client_token}
        return {"Action": self.action, "Version": "2016-11-15", **dict(self.parameters), **token}

    @property
    def ids(self) -> list[str]:
        """Return the ids among the parameters."""
        return [value for _, value in self.parameters if prefix_of(value) is not None]


def in_form(parameters: Mapping[str, str]) -> Parameters:
    """Sort parameters by name, so that equal requests are equal calls."""
    return tuple(sorted(parameters.items()))


def numbered(name: str, values: Iterable[str]) -> dict[str, str]:
    """Spell a list as form fields: `InstanceId.1`, `InstanceId.2` and so on."""
    return {f"{name}.{number}": value for number, value in enumerate(values, start=1)}


@dataclass(frozen=True, slots=True)
class Fate:
    """An answer of a node. `ran` False: the answer says that the request had no effect at all."""

    status: int
    code: str
    result: dict[str, Any] | None = None
    ran: bool = True


@dataclass(slots=True)
class Delivery:
    """The arrival of a request at a node, at the store's time `arrived_at` (microseconds).

    `fate` is None while no answer has left the node.
    """

    request_id: str
    call: ApiCall
    arrived_at: int
    fate: Fate | None = None

    def settle(self, fate: Fate) -> None:
        assert self.fate is None, f"{self.request_id} was answered twice"
        self.fate = fate

    @property
    def may_have_made(self) -> bool:
        """Tell whether the request may have had its effect, as far as its caller can know."""
        fate = self.fate
        return fate is None or fate.status == 200 or (fate.code == "Unavailable" and fate.ran)


@dataclass(slots=True)
class History:
    """Every delivery of a schedule: `deliveries` by request id, in order of arrival."""

    deliveries: dict[str, Delivery] = field(default_factory=dict)
    # Every (action, id) of an action that was asked and an id that its request named.
    asked_of: dict[tuple[str, str], None] = field(default_factory=dict)
    _of_intent: dict[str, list[Delivery]] = field(default_factory=dict)

    def arrive(self, request_id: str, call: ApiCall, arrived_at: int) -> Delivery:
        assert request_id not in self.deliveries, f"{request_id} arrived twice"
        delivery = Delivery(request_id, call, arrived_at)
        self.deliveries[request_id] = delivery
        self._of_intent.setdefault(call.intent, []).append(delivery)
        for id in call.ids:
            self.asked_of[call.action, id] = None
        return delivery

    def of_intent(self, intent: str) -> list[Delivery]:
        return self._of_intent.get(intent, [])

    def call_of(self, intent: str) -> ApiCall:
        """Return the call of an intent, of which at least one delivery must have arrived."""
        return self._of_intent[intent][0].call
