"""What callers asked and what they were told: the auditor's second source, beside the rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Parameters = tuple[tuple[str, str], ...]

# What the service mints: a kind's prefix and 17 hexadecimal digits, the first of them 0.
_ID = re.compile(r"([a-z]+(?:-[a-z]+)*)-0[0-9a-f]{16}\Z")


def prefix_of(value: str) -> str | None:
    """The prefix of an id, such as `vol`; None when `value` is none."""
    found = _ID.match(value)
    return None if found is None else found[1]


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One request as a caller means it. Repeats of it are equal.

    `intent` names what is to be made, and is written into it (a tag, a description), so that every
    row tells what it was made for; "" for calls that make nothing. `zone` is the one that a zonal
    action names, "" for none.
    """

    action: str
    account: str
    region: str
    client_token: str | None = None
    intent: str = ""
    zone: str = ""
    parameters: Parameters = ()

    def form(self) -> dict[str, str]:
        """The request's form, as a client sends it."""
        token = {} if self.client_token is None else {"ClientToken": self.client_token}
        return {"Action": self.action, "Version": "2016-11-15", **dict(self.parameters), **token}

    @property
    def ids(self) -> list[str]:
        """What it names."""
        return [value for _, value in self.parameters if prefix_of(value) is not None]


def in_form(parameters: Mapping[str, str]) -> Parameters:
    """Parameters in the order of their names, so that equal requests are equal calls."""
    return tuple(sorted(parameters.items()))


def numbered(name: str, values: Iterable[str]) -> dict[str, str]:
    """A list in a form: `InstanceId.1`, `InstanceId.2` and so on."""
    return {f"{name}.{number}": value for number, value in enumerate(values, start=1)}


@dataclass(frozen=True, slots=True)
class Fate:
    """What a node answered. `ran` False: it says that the request had no effect at all."""

    status: int
    code: str
    result: dict[str, Any] | None = None
    ran: bool = True


@dataclass(slots=True)
class Delivery:
    """One arrival of one request at one node, at the store's time `arrived_at` (microseconds).

    `fate` None: nobody was ever told.
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
        """Whether its caller cannot exclude that it did what it asks."""
        fate = self.fate
        return fate is None or fate.status == 200 or (fate.code == "Unavailable" and fate.ran)


@dataclass(slots=True)
class History:
    """Every delivery of a schedule, by request id, in order of arrival."""

    deliveries: dict[str, Delivery] = field(default_factory=dict)
    # By whose end or change callers asked for: (action, id).
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
        """The call that the intent is. Every row of it was made by a delivery, so there is one."""
        return self._of_intent[intent][0].call
