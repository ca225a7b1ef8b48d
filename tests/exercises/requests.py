"""Requests derived from the exercises: one for each action and each way of asking it.

A request knows the ids that its answer tells, its other valid parameters, and how a resource that
it made is ended. Looking up an action or a kind that no exercise has fails with a message that says
which exercise to write, and where. `gaps` gives all such messages at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from exercises import account, catalogue, compute, gateways, network, storage
from exercises.catalogue import Does
from exercises.exercise import (
    Ask,
    Document,
    Exercise,
    Live,
    Other,
    Telling,
    Way,
    at,
    nothing_more,
    of_another,
)

# Mutable, so that a test that declares a noun (`toy`) can add its exercises.
EXERCISES: list[Exercise] = [
    *account.EXERCISES,
    *network.EXERCISES,
    *gateways.EXERCISES,
    *storage.EXERCISES,
    *compute.EXERCISES,
]
_VERB = re.compile(r"[A-Z][a-z]+")


@dataclass(frozen=True)
class Request:
    """An action and a way of asking it, which `asked` names together.

    `other` is None without a client token. `makes` tells whether it makes a resource of the kind.
    `draft` is `ask` if it works on any ground, and None if it needs a live one.
    """

    exercise: Exercise
    asked: str
    ask: Way
    draft: Ask | None = None
    other: Other | None = None
    makes: bool = False

    @property
    def kind(self) -> str:
        return self.exercise.kind

    @property
    def action(self) -> str:
        return self.asked.partition(" ")[0]

    @property
    def ends(self) -> bool:
        """Tell whether the request ends the resource that it names."""
        return self.asked == self.exercise.end

    @property
    def has_token(self) -> bool:
        return "ClientToken" in catalogue.inputs(self.action)

    @property
    def makes_another(self) -> bool:
        """Tell whether the same request, under another token, makes another resource."""
        repeat = catalogue.repeat_of(self.asked)
        return repeat is not None and repeat.does is Does.DOUBLE

    @cached_property
    def told(self) -> Telling:
        """Return the function that finds the ids in an accepted answer."""
        told = self.exercise.told if self.asked == self.exercise.make else ""
        if callable(told):
            return told
        found = [told] if told else id_paths(self.action, id_of(self.kind))
        assert len(found) == 1, self.says(f"say in `told` where its answer names it: {found}")
        return at(found[0])

    def id(self, answer: Document) -> str:
        """Return the first id that an accepted answer tells."""
        return self.told(answer)[0]

    def others(self, asked: Document) -> Document:
        """Return other valid parameters than those."""
        assert self.other is not None, self.says("say in `other` what other parameters are")
        return self.other(asked)

    def says(self, what: str) -> str:
        return says(self.exercise, self.asked, what)


def says(exercise: Exercise, asked: str, what: str) -> str:
    """Write a message about an exercise, with the file it stands in."""
    family = catalogue.family_of(exercise.make)
    return f"{asked} ({exercise.kind}), in tests/exercises/{family}.py: {what}"


def unwritten(action: str) -> str:
    family = catalogue.family_of(action)
    return (
        f"{action} is served and no exercise asks it: write one in tests/exercises/{family}.py, "
        "or add the request to its noun's `changes`"
    )


def requests_of(exercise: Exercise) -> Iterator[Request]:
    """Yield all requests of an exercise."""
    ask, other, makes = exercise.ask, exercise.other, exercise.makes
    yield Request(exercise, exercise.make, ask, ask, other, makes)
    if exercise.end:
        ending = _ending(exercise)
        has_token = "ClientToken" in catalogue.inputs(exercise.end.partition(" ")[0])
        yield Request(exercise, exercise.end, ending, ending, of_another if has_token else None)
    for asked, way in exercise.changes.items():
        yield Request(exercise, asked, way)


def _ending(exercise: Exercise) -> Ask:
    """Ask for the end of a resource that is made for this."""
    return lambda ground: end_of(ground.own(exercise.kind))[1]


def requests() -> Mapping[str, Request]:
    """Return every request, by its action and way of asking."""
    return {one.asked: one for exercise in EXERCISES for one in requests_of(exercise)}


def request(asked: str) -> Request:
    found = requests().get(asked)
    assert found is not None, unwritten(asked.partition(" ")[0])
    return found


def with_token() -> list[Request]:
    """Return the request of each action that takes a client token."""
    return [request(action) for action in catalogue.with_token()]


def mixed() -> list[Request]:
    """Return the requests of the simulation's callers: all that make a resource or take a token."""
    return [
        one
        for one in requests().values()
        if one.draft and ((one.makes and not one.exercise.unmixed) or one.has_token)
    ]


def making(kind: str) -> Request:
    """Return the request that makes a resource of a kind; if several do, the first one."""
    for exercise in EXERCISES:
        if exercise.kind == kind and exercise.makes:
            return next(requests_of(exercise))
    raise AssertionError(f"no exercise makes a {kind}: write one in tests/exercises")


def ending(kind: str) -> Exercise:
    """Return the exercise that says how resources of a kind are ended."""
    for exercise in EXERCISES:
        if exercise.kind == kind and exercise.end:
            return exercise
    raise AssertionError(making(kind).says(f"say in `end` how a {kind} is ended"))


def id_of(kind: str) -> str:
    """Return the member that names a resource of a kind in requests and answers."""
    exercise = ending(kind)
    if exercise.id:
        return exercise.id
    named = _named_by(exercise.end)
    message = f"{exercise.end} needs {named}: say in `id` which member names a {kind}"
    assert len(named) == 1, says(exercise, exercise.make, message)
    return named[0]


def _named_by(asked: str) -> list[str]:
    return [one.removesuffix("s") for one in catalogue.required(asked.partition(" ")[0])]


def parent_of(kind: str) -> str:
    """Return the kind of the parent that a quota counts under; "" for a zone or a Region."""
    per = catalogue.QUOTAS[kind].per
    named = (one.kind for one in EXERCISES if one.end and id_of(one.kind) == per)
    return next(named, "")


def brought_by(kind: str) -> str:
    """Return the kind that brings a resource of this kind unasked; `account`, or "" for none."""
    bringing = (one.brought_by for one in EXERCISES if one.kind == kind and one.brought_by)
    return next(bringing, "")


def is_brought(kind: str) -> bool:
    """Tell whether a new account, or the parent that its quota counts under, brings a resource."""
    bringing = brought_by(kind)
    if bringing in ("", "account"):
        return bringing == "account"
    return bringing == parent_of(kind) or (bringing in catalogue.QUOTAS and is_brought(bringing))


def end_of(id: str) -> tuple[str, Document]:
    """Return the action that ends a resource, and its parameters.

    A part, whose id is its whole's and a number after a colon, is ended with its whole.
    """
    whole = id.partition(":")[0]
    kind = catalogue.kind_of(whole)
    exercise, member = ending(kind), id_of(kind)
    action = exercise.end.partition(" ")[0]
    named = {member: whole} if member in catalogue.inputs(action) else {f"{member}s": [whole]}
    return action, {**named, **exercise.end_with}


def id_paths(action: str, id: str) -> list[str]:
    """Return the paths of an action's result where a member `id` may be, the shortest first."""
    members = catalogue.outputs(action)
    if id in members:
        return [id]
    if f"{id}s" in members and members[f"{id}s"].type_name == "list":
        return [f"{id}s[]"]
    found = []
    for name, shape in members.items():
        inner = shape.member if shape.type_name == "list" else shape
        if inner.type_name == "structure" and id in inner.members:
            found.append(f"{name}[].{id}" if shape.type_name == "list" else f"{name}.{id}")
    return found


def lists() -> Mapping[str, Way]:
    """Return, for each paged list, the function that makes it long and gives its parameters."""
    found: dict[str, Way] = dict.fromkeys(account.BUILT_IN, nothing_more)
    for exercise in EXERCISES:
        for name in (*own_lists(exercise), *exercise.lists):
            if name in exercise.lists or name not in found:
                found[name] = _filling(exercise, name)
    return found


def _filling(exercise: Exercise, name: str) -> Way:
    def fill(ground: Live) -> Document:
        crowded(ground, exercise)
        return exercise.lists.get(name, nothing_more)(ground)

    return fill


def own_lists(exercise: Exercise) -> set[str]:
    """Return the paged list of an exercise's noun: the Describe action of the same name."""
    noun = _VERB.sub("", exercise.make, count=1)
    return {f"Describe{noun}", f"Describe{noun}s"} & set(catalogue.paged() * exercise.makes)


# More than fit on a page of the least size, which is five.
ENOUGH = 7


def crowded(ground: Live, exercise: Exercise) -> None:
    """Make more resources than one page shows."""
    if exercise.kind in catalogue.QUOTAS:
        ground.raise_quota(exercise.kind)
    asked = crowd_of(ground, exercise)
    for n in range(1, ENOUGH + 1):
        ground.call(exercise.make, **asked(n))
    ground.later()


def crowd_of(ground: Live, exercise: Exercise) -> Callable[[int], Document]:
    """Return the function that gives the request of the n-th resource a quota counts together."""
    if exercise.crowd is not None:
        return exercise.crowd(ground)
    together = ground.together()
    return lambda n: exercise.ask(together)
