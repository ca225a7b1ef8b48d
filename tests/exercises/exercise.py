"""Exercise: the requests of a noun, declared once for all the suites that test every noun.

An exercise says how to ask for the noun, how a request with other parameters differs, and how the
noun is changed and ended. All other facts that a suite needs are derived from the catalogue, the
noun's record and botocore's model (see `requests`). Declarations and Protocols; no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

V = TypeVar("V")
Document = dict[str, Any]


class Ground(Protocol):
    """The account that a request is made in. It gives the resources and the values a request names.

    The EC2 suites' ground makes each resource that a request names, and takes the first of several
    values. The simulation's draft picks from the resources its callers have heard of, and its seed
    decides which value it takes.
    """

    @property
    def account(self) -> str: ...

    @property
    def region(self) -> str: ...

    @property
    def mark(self) -> str:
        """Return a text that names the intent, for a parameter that may hold any."""

    def zone(self) -> str: ...

    def vpc(self) -> str:
        """Return the id of the default VPC."""

    def subnet(self) -> str:
        """Return the id of the default subnet of a zone."""

    def known(self, kind: str) -> str:
        """Return the id of a resource of that kind, and make one if there is none to pick from."""

    def own(self, kind: str) -> str:
        """Return the id of a resource of that kind that callers asked for themselves."""

    def knows(self, kind: str) -> bool:
        """Tell whether `known` would find a resource without making it."""

    def has(self, kind: str) -> bool:
        """Tell whether `own` would find a resource without making it."""

    def name(self, *few: str) -> str:
        """Return a name that is free; in the simulation one of `few`, which may be taken."""

    def number(self, few: int) -> int:
        """Return a new number, counted from 1; in the simulation a random one up to `few`."""

    def either(self, *values: V) -> V: ...

    def happens(self, odds: float) -> bool: ...


class Live(Ground, Protocol):
    """The ground of the EC2 suites, where an exercise may also make calls before its request."""

    def call(self, action: str, **params: Any) -> Document: ...

    def later(self) -> None:
        """Let time pass until resources that were changing state have reached the next one."""

    def raise_quota(self, kind: str) -> None: ...

    def together(self) -> Live:
        """Return a ground of the same account whose requests share one resource of each kind."""


Ask = Callable[[Ground], Document]
Way = Callable[[Live], Document]
Other = Callable[[Document], Document]
# Finds the ids of made resources in an accepted answer.
Telling = Callable[[Document], tuple[str, ...]]
# Prepares the parent that a quota counts under, and gives the request of the n-th resource in it.
Crowd = Callable[[Live], Callable[[int], Document]]


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """The requests of a noun, or of another action with a client token on a noun's resources.

    `kind` is the noun's name. `make` is the action that makes a resource, and `ask` its parameters,
    marked in a text with `ground.mark` if it takes no tags. `other` changes them to other valid
    parameters of the same action, and is required for every action with a token. `end` is the
    action that ends a resource, given in one exercise of each kind, and `end_with` its parameters
    beside the id. `changes` are the other requests about the noun: by the name of the action and,
    after a blank, the way of asking.

    The fields below are given only where they cannot be derived. `id` is the member that names a
    resource in requests, where `end` has several members. `told` finds the ids in an answer that
    has several. `crowd` asks for many resources that a quota counts together, where repeating `ask`
    would ask for the same resource, or would not name the parent that the quota counts under.
    `lists` are paged lists that show the noun under another name, or need parameters: by action,
    the parameters to ask with once there are many. `brought_by` is the kind that brings a resource
    unasked, or `account`. `makes` is False for an action that only changes resources; `uses_up`
    says that it may end another resource of the kind by taking the last of its capacity. `unmixed`
    says why the simulation does not make this request.
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
    """Give no parameters."""
    return {}


def in_vpc(ground: Ground) -> Document:
    return {"VpcId": ground.vpc()}


def changed(**members: Any) -> Other:
    return lambda asked: {**asked, **members}


def tagged(kind: str) -> Other:
    """Add a tag to a request."""
    more = {"ResourceType": kind, "Tags": [{"Key": "other", "Value": "yes"}]}
    return lambda asked: {**asked, "TagSpecifications": [more]}


def of(kind: str, member: str, **more: Any) -> Ask:
    """Name a resource of `kind` in `member`."""
    return lambda ground: {member: ground.own(kind), **more}


def after(action: str, ask: Way, *kept: str) -> Way:
    """Make the request of `action` first, and give its parameters; if any are `kept`, only these.

    A member in `kept` that the parameters have not is taken from the answer.
    """

    def asked(ground: Live) -> Document:
        params = ask(ground)
        answer = ground.call(action, **params)
        return {name: {**answer, **params}[name] for name in kept or params}

    return asked


def of_another(asked: Document) -> Document:
    """Change the last digit of an id in a request, so that it names another resource."""

    def other(value: Any) -> Any:
        if isinstance(value, list):
            return [other(one) for one in value]
        return value[:-1] + ("0" if value[-1] != "0" else "1")

    return {name: other(value) for name, value in asked.items()}


def at(path: str) -> Telling:
    """Find the text at a path like `RouteTable.RouteTableId`, or all texts at `Items[].Id`."""
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
