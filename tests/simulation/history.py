"""What callers asked and what they were told: the auditor's second source, beside the rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

IMAGE = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One request as a caller means it. Repeats of it are equal.

    `intent` names a launch and is its `intent` tag, so that every row tells what it was made for;
    `zone` is the one it names, "" for none. `ids` are what other actions act on.
    """

    action: str
    account: str
    region: str
    client_token: str | None = None
    intent: str = ""
    zone: str = ""
    instance_type: str = "t3.micro"
    least: int = 1
    most: int = 1
    ids: tuple[str, ...] = ()

    def form(self) -> list[tuple[str, str]]:
        """The request's form, as a client sends it."""
        return [("Action", self.action), ("Version", "2016-11-15"), *self._parameters()]

    def _parameters(self) -> Iterator[tuple[str, str]]:
        for number, id in enumerate(self.ids, start=1):
            yield f"InstanceId.{number}", id
        if self.action != "RunInstances":
            return
        yield from (
            ("ImageId", IMAGE),
            ("InstanceType", self.instance_type),
            ("MinCount", str(self.least)),
            ("MaxCount", str(self.most)),
            ("TagSpecification.1.ResourceType", "instance"),
            ("TagSpecification.1.Tag.1.Key", "intent"),
            ("TagSpecification.1.Tag.1.Value", self.intent),
        )
        if self.zone:
            yield "Placement.AvailabilityZone", self.zone
        if self.client_token is not None:
            yield "ClientToken", self.client_token


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


@dataclass(slots=True)
class History:
    """Every delivery of a schedule, by request id, in order of arrival."""

    deliveries: dict[str, Delivery] = field(default_factory=dict)
    _of_intent: dict[str, list[Delivery]] = field(default_factory=dict)

    def arrive(self, request_id: str, call: ApiCall, arrived_at: int) -> Delivery:
        assert request_id not in self.deliveries, f"{request_id} arrived twice"
        delivery = Delivery(request_id, call, arrived_at)
        self.deliveries[request_id] = delivery
        self._of_intent.setdefault(call.intent, []).append(delivery)
        return delivery

    def of_intent(self, intent: str) -> list[Delivery]:
        return self._of_intent.get(intent, [])
