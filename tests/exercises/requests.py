"""Requests derived from the exercises: one for each action and each way of asking it.

A request knows which ids its answer tells, what other parameters are, and how what it made is
ended. A look-up of an action or a kind that no exercise tells of fails with a message that says
which exercise to write, and where. `gaps` says the same of all at once.
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

# Toys join these: a test that declares a noun in place adds it here.
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
    """One action, asked one way. `other` None: it takes no client token. `makes`: one of `kind`.

    `draft` is `ask` for those that any ground can answer; None where it must be a live one.
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
        """Whether it ends what it names."""
        return self.asked == self.exercise.end

    @property
    def has_token(self) -> bool:
        return "ClientToken" in catalogue.inputs(self.action)

    @property
    def makes_another(self) -> bool:
        """Whether the same request, under another token, makes another resource."""
        repeat = catalogue.repeat_of(self.asked)
        return repeat is not None and repeat.does is Does.DOUBLE

    @cached_property
    def told(self) -> Telling:
        """Finds the ids that an accepted answer tells."""
        told = self.exercise.told if self.asked == self.exercise.make else ""
        if callable(told):
            return told
        found = [told] if told else id_paths(self.action, id_of(self.kind))
        assert len(found) == 1, self.says(f"say in `told` where its answer names it: {found}")
        return at(found[0])

    def id(self, answer: Document) -> str:
        """The first of those ids."""
        return self.told(answer)[0]

    def others(self, asked: Document) -> Document:
        """Other valid parameters than those."""
        assert self.other is not None, self.says("say in `other` what other parameters are")
        return self.other(asked)

    def says(self, what: str) -> str:
        return says(self.exercise, self.asked, what)


def says(exercise: Exercise, asked: str, what: str) -> str:
    """A message to whoever writes the exercise."""
    family = catalogue.family_of(exercise.make)
    return f"{asked} ({exercise.kind}), in tests/exercises/{family}.py: {what}"


def unwritten(action: str) -> str:
    family = catalogue.family_of(action)
    return (
        f"{action} is served and no exercise asks it: write one in tests/exercises/{family}.py, "
        "or add the request to its noun's `changes`"
    )


def requests_of(exercise: Exercise) -> Iterator[Request]:
    """All that one exercise asks."""
    ask, other, makes = exercise.ask, exercise.other, exercise.makes
    yield Request(exercise, exercise.make, ask, ask, other, makes)
    if exercise.end:
        ending = _ending(exercise)
        has_token = "ClientToken" in catalogue.inputs(exercise.end.partition(" ")[0])
        yield Request(exercise, exercise.end, ending, ending, of_another if has_token else None)
    for asked, way in exercise.changes.items():
        yield Request(exercise, asked, way)


def _ending(exercise: Exercise) -> Ask:
    """A request that ends one which was made for it."""
    return lambda ground: end_of(ground.own(exercise.kind))[1]


def requests() -> Mapping[str, Request]:
    """Every request, by its action and way of asking."""
    return {one.asked: one for exercise in EXERCISES for one in requests_of(exercise)}


def request(asked: str) -> Request:
    found = requests().get(asked)
    assert found is not None, unwritten(asked.partition(" ")[0])
    return found


def with_token() -> list[Request]:
    """The request of each action that takes a client token."""
    return [request(action) for action in catalogue.with_token()]


def mixed() -> list[Request]:
    """The requests of the simulation's callers: all that make something or take a token."""
    return [
        one
        for one in requests().values()
        if one.draft and ((one.makes and not one.exercise.unmixed) or one.has_token)
    ]


def making(kind: str) -> Request:
    """The request that makes one of a kind: the first that is told."""
    for exercise in EXERCISES:
        if exercise.kind == kind and exercise.makes:
            return next(requests_of(exercise))
    raise AssertionError(f"no exercise makes a {kind}: write one in tests/exercises")


def ending(kind: str) -> Exercise:
    """The exercise that says how one of a kind is ended."""
    for exercise in EXERCISES:
        if exercise.kind == kind and exercise.end:
            return exercise
    raise AssertionError(making(kind).says(f"say in `end` how a {kind} is ended"))


def id_of(kind: str) -> str:
    """The member that names one of a kind in requests and answers."""
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
    """The kind under one of which a quota counts this one; "" for a zone or a whole Region."""
    per = catalogue.QUOTAS[kind].per
    named = (one.kind for one in EXERCISES if one.end and id_of(one.kind) == per)
    return next(named, "")


def brought_by(kind: str) -> str:
    """The kind that brings one unasked; `account`, or "" for none."""
    bringing = (one.brought_by for one in EXERCISES if one.kind == kind and one.brought_by)
    return next(bringing, "")


def is_brought(kind: str) -> bool:
    """Whether a new account has one, or the parent that its quota counts under brings one."""
    bringing = brought_by(kind)
    if bringing in ("", "account"):
        return bringing == "account"
    return bringing == parent_of(kind) or (bringing in catalogue.QUOTAS and is_brought(bringing))


def end_of(id: str) -> tuple[str, Document]:
    """The action that ends a resource, and its parameters. A part ends with its whole."""
    whole = id.partition(":")[0]
    kind = catalogue.kind_of(whole)
    exercise, member = ending(kind), id_of(kind)
    action = exercise.end.partition(" ")[0]
    named = {member: whole} if member in catalogue.inputs(action) else {f"{member}s": [whole]}
    return action, {**named, **exercise.end_with}


def id_paths(action: str, id: str) -> list[str]:
    """Where the result of an action may name a resource by that member, nearest first."""
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
    """How each paged list gets long, and what it is asked then."""
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
    """The paged list of what an exercise makes, by the name that its action has for it."""
    noun = _VERB.sub("", exercise.make, count=1)
    return {f"Describe{noun}", f"Describe{noun}s"} & set(catalogue.paged() * exercise.makes)


# More than a page of the least size, which is five.
ENOUGH = 7


def crowded(ground: Live, exercise: Exercise) -> None:
    """Make more than one page shows."""
    if exercise.kind in catalogue.QUOTAS:
        ground.raise_quota(exercise.kind)
    asked = crowd_of(ground, exercise)
    for n in range(1, ENOUGH + 1):
        ground.call(exercise.make, **asked(n))
    ground.later()


def crowd_of(ground: Live, exercise: Exercise) -> Callable[[int], Document]:
    """The request of the n-th resource, of those that a quota counts together."""
    if exercise.crowd is not None:
        return exercise.crowd(ground)
    together = ground.together()
    return lambda n: exercise.ask(together)
