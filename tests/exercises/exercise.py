"""How a noun is exercised: told once here, read by every suite that asks something of every noun.

An exercise says how to ask for the noun, what other parameters are, how to change it and to end
it. Whatever else a suite needs comes from the catalogue, the noun's record and botocore's model
(see `requests`). Declarations and Protocols; no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

V = TypeVar("V")
Document = dict[str, Any]


class Ground(Protocol):
    """The account that a request is made in, and the choices that a request leaves open.

    The EC2 suites and the simulation each have their own. The first stands for what one caller does
    on purpose: it makes what a request names, and takes the first of several values. The second
    picks from what its callers have heard of, and leaves a choice to its seed.
    """

    @property
    def account(self) -> str: ...

    @property
    def region(self) -> str: ...

    @property
    def mark(self) -> str:
        """A text that names the intent, for a parameter that may hold any."""

    def zone(self) -> str: ...

    def vpc(self) -> str:
        """The default VPC."""

    def subnet(self) -> str:
        """The default subnet of a zone."""

    def known(self, kind: str) -> str:
        """The id of a resource of that kind, made for this if there is none to pick from."""

    def own(self, kind: str) -> str:
        """The same, of those that callers asked for themselves."""

    def knows(self, kind: str) -> bool:
        """Whether `known` would find one without making it."""

    def has(self, kind: str) -> bool:
        """Whether `own` would find one without making it."""

    def name(self, *few: str) -> str:
        """A name that is free; in the simulation one of `few`, which may be taken."""

    def number(self, few: int) -> int:
        """A number from 1 that was not given before; in the simulation one up to `few`."""

    def either(self, *values: V) -> V: ...

    def happens(self, odds: float) -> bool: ...


class Live(Ground, Protocol):
    """The ground of the EC2 suites, where an exercise may also prepare what a request needs."""

    def call(self, action: str, **params: Any) -> Document: ...

    def later(self) -> None:
        """Let a while pass: whatever was on its way has arrived."""

    def raise_quota(self, kind: str) -> None: ...

    def together(self) -> Live:
        """The same account, where every request names the same one of each kind."""


Ask = Callable[[Ground], Document]
Way = Callable[[Live], Document]
Other = Callable[[Document], Document]
# The ids that an accepted answer names as made.
Telling = Callable[[Document], tuple[str, ...]]
# Prepares a place, and gives the request of the n-th resource that is counted there.
Crowd = Callable[[Live], Callable[[int], Document]]


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One noun; or one action with a client token beside the one that makes its noun.

    `kind` is the noun's name. `make` is the action that makes one, and `ask` its parameters, marked
    in a text with `ground.mark` if it takes no tags. `other` are other valid parameters of the same
    action: every action with a token has them. `end` is the action that ends one, said once for
    each kind, and `end_with` what that must be told beside the id. `changes` are the other
    requests about the noun: by the name of the action and, after a blank, the way of asking.

    What follows is said only where it cannot be derived. `id` is the member that names one in
    requests, where `end` has more than one. `told` finds the ids in an answer that has several.
    `crowd` asks for many that a quota counts together, where `ask` in one place would ask for the
    same one, or would not show what the quota counts in. `lists` are the paged lists that show it
    under another name, or have to be asked for more: what each is asked once there are many.
    `brought_by` is the kind that brings one unasked, or `account`. `makes` is False for an action
    that only changes what is there; `uses_up` says that it may end another of the kind by taking
    the last of it. `unmixed` says why the simulation makes none.
    """

    kind: str
    make: str
    ask: Ask
    other: Other | None = None
    end: str = ""
    end_with: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, Way] = field(default_factory=dict)
    id: str = ""
    told: str | Telling = ""
    crowd: Crowd | None = None
    lists: Mapping[str, Way] = field(default_factory=dict)
    brought_by: str = ""
    makes: bool = True
    uses_up: bool = False
    unmixed: str = ""


def nothing_more(ground: Ground) -> Document:
    """A request without parameters of its own."""
    return {}


def in_vpc(ground: Ground) -> Document:
    return {"VpcId": ground.vpc()}


def changed(**members: Any) -> Other:
    return lambda asked: {**asked, **members}


def tagged(kind: str) -> Other:
    """The same request with a tag more."""
    more = {"ResourceType": kind, "Tags": [{"Key": "other", "Value": "yes"}]}
    return lambda asked: {**asked, "TagSpecifications": [more]}


def of(kind: str, member: str, **more: Any) -> Ask:
    """A request that names one of `kind` in `member`."""
    return lambda ground: {member: ground.own(kind), **more}


def of_another(asked: Document) -> Document:
    """The same request, of something else: one of its ids ends in another digit."""

    def other(value: Any) -> Any:
        if isinstance(value, list):
            return [other(one) for one in value]
        return value[:-1] + ("0" if value[-1] != "0" else "1")

    return {name: other(value) for name, value in asked.items()}


def at(path: str) -> Telling:
    """The text at a path like `RouteTable.RouteTableId`, or all under one like `Items[].Id`."""
    steps = path.split(".")

    def told(result: Document) -> tuple[str, ...]:
        found: list[Any] = [result]
        for step in steps:
            name = step.removesuffix("[]")
            found = [one[name] for one in found]
            if step.endswith("[]"):
                found = [inner for many in found for inner in many]
        return tuple(map(str, found))

    return told
