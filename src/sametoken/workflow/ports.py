"""The services behind a launch, as the workflow sees them. `node` binds the real ones.

Every call carries a token that names (instance, epoch, step) and the generation of the caller's
lease: the token makes a repeat a repeat, the generation makes a former owner harmless. Calls of
many instances go to a service together, and each has a fate of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from sametoken.errors import SametokenError
from sametoken.store.port import Tx


class Verb(StrEnum):
    """A request to a service about one instance. Each may be repeated at will."""

    ENSURE = "ensure"  # provision the given ids, as the spec says
    HALT = "halt"  # power off and give up what a stopped instance does not keep
    CLOSE = "close"  # refuse every later ensure, even where nothing was made yet
    RELEASE = "release"  # give back whatever the instance holds here


@dataclass(frozen=True, slots=True)
class StepCall:
    """A call of one step. `spec` is pinned: the same at every attempt of the step."""

    instance: str
    account: str
    region: str
    zone: str
    generation: int
    token: str
    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Done:
    """The service has reached the state that was asked for."""


@dataclass(frozen=True, slots=True)
class Later:
    """The service is on its way there; ask again in `seconds`. `why`: for a fault, by its name."""

    seconds: float
    why: str = ""


class StaleOwner(SametokenError):
    """The caller has lost its lease to a successor, and must do nothing more.

    Its generation is lower than the service has seen, or the instance is closed.
    """


# An error is a fate, not raised, so that it is its own call's alone. `StaleOwner` says that the
# caller is a former owner; `Transient` or a 5xx `ServiceError`, that a repeat may succeed; a 4xx
# `ServiceError`, that no repeat will; any other error is a bug.
Fate = Done | Later | Exception


class Service(Protocol):
    """A service that acts for instances; the launch has four."""

    def call_many(self, verb: Verb, calls: Sequence[StepCall]) -> Sequence[Fate]:
        """Do `verb` for each call, at most one for an instance. Returns a fate for each call."""
        ...


@runtime_checkable
class Local(Service, Protocol):
    """A service on the workflow's own database, which takes steps in the caller's transactions.

    A call has two halves: taking its step, and acting outside the database, if the service does
    (`acts_outside`). `call_many` does both.
    """

    @property
    def acts_outside(self) -> bool: ...

    def take_many(self, tx: Tx, verb: Verb, calls: Sequence[StepCall]) -> Sequence[Fate]:
        """Take the step of each call once, unless the fence finds its caller a former owner.

        `calls` are in the order of their instances. Raises what any of them meets: nothing of any
        may stay then.
        """
        ...

    def finish_many(self, verb: Verb, calls: Sequence[StepCall]) -> Sequence[Fate]:
        """Act outside for calls whose steps are taken and committed."""
        ...


Services = Mapping[str, Service]
