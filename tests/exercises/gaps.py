"""Gaps in the exercises: each is a message that names the missing part, and the file to write.

Requests are only drafted, on ground that makes no resource (`probe`), and never sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from exercises import catalogue, requests
from exercises.catalogue import ZONE, Does
from exercises.exercise import Document, Exercise
from exercises.probe import MARK, Probe
from exercises.requests import EXERCISES, Request, id_paths, requests_of, says
from sametoken.ec2.kit.nouns import Noun

# Instances have no quota of their own: their vCPUs are counted.
_COUNTED_OTHERWISE = {"instance"}


def gaps() -> list[str]:
    """Return all gaps of the whole catalogue."""
    return [
        *_unasked(),
        *_of_kinds(),
        *(one for made in EXERCISES for one in of_exercise(made)),
        *(one for made in EXERCISES for one in of_records(catalogue.records(), made)),
    ]


def _unasked() -> Iterator[str]:
    """Yield actions, ways of asking and lists of the catalogue that no exercise has."""
    asked = Counter(one.asked for exercise in EXERCISES for one in requests_of(exercise))
    actions = {one.partition(" ")[0] for one in asked}
    yield from (f"{one}: two exercises ask it" for one, times in asked.items() if times > 1)
    for action in catalogue.changing():
        if action not in actions:
            yield requests.unwritten(action)
        if not catalogue.repeats_of(action):
            yield f"{action}: its record says nothing of what a repeat does"
    for repeat in catalogue.REPEATS:
        if repeat.asked not in asked and repeat.action in actions:
            yield f"{repeat.asked}: say in `changes` of its noun's exercise how this is asked"
    mixed = {one.action for one in requests.mixed()}
    for action in sorted(set(catalogue.with_token()) & actions - mixed):
        yield (
            f"{action} takes a client token, and the simulation does not mix it: write an "
            f"exercise of its own in tests/exercises/{catalogue.family_of(action)}.py"
        )
    for name in sorted(set(catalogue.paged()) - requests.lists().keys()):
        family = catalogue.family_of(name)
        yield f"{name}: say in `lists`, in tests/exercises/{family}.py, what fills it"


def _of_kinds() -> Iterator[str]:
    for kind in sorted({one.kind for one in EXERCISES if one.makes} - _COUNTED_OTHERWISE):
        if kind not in catalogue.QUOTAS:
            yield f"{kind}: its record has no quota"
    for kind in sorted(catalogue.QUOTAS.keys() - {one.kind for one in EXERCISES if one.makes}):
        yield f"{kind}: its quota is of what no exercise makes"


def of_records(nouns: Sequence[Noun], exercise: Exercise) -> Iterator[str]:
    """Name the parameters that an exercise asks for and the record of its noun does not take.

    A kind may have several records; one that takes everything is enough.
    """
    own = [
        noun
        for noun in nouns
        if noun.kind.name == exercise.kind and exercise.make == f"Create{noun.word}"
    ]
    if not own or not exercise.makes:
        return
    asked = exercise.ask(Probe())
    asked = {**asked, **(exercise.other(asked) if exercise.other is not None else {})}
    left = min((_unknown_to(noun, asked) for noun in own), key=len)
    for parameter in left:
        yield (
            f"{exercise.make}: its record does not take {parameter}: say it in `parents`, if it "
            "names what must exist, or in `accepts`"
        )


def _unknown_to(noun: Noun, asked: Document) -> list[str]:
    return [one for one in asked if one not in {*noun.accepts, *noun.parents, "TagSpecifications"}]


def of_exercise(exercise: Exercise) -> Iterator[str]:
    """Yield the parts that an exercise leaves out, or gives although they can be derived."""
    if exercise.make in catalogue.ACTIONS:
        yield from (says(exercise, exercise.make, what) for what in _of_exercise(exercise))
    else:
        yield f"{exercise.kind}: say in `make` an action that is served; {exercise.make!r} is none"


def _of_exercise(exercise: Exercise) -> Iterator[str]:
    asking = next(requests_of(exercise))
    if asking.has_token and exercise.other is None:
        yield "say in `other` what other parameters are"
    if exercise.other is not None and not asking.has_token:
        yield "leave out `other`: it takes no client token"
    if exercise.kind not in catalogue.kinds():
        if exercise.makes and not exercise.unmixed:
            yield (
                f"no {exercise.kind!r} is declared: say another `kind`, or in `makes` that it only "
                "changes what is there, or in `unmixed` why the simulation makes none"
            )
        return
    if not exercise.unmixed:
        yield from _of_ids(exercise)
        yield from _of_marks(exercise)
    if exercise.makes:
        yield from _of_crowds(exercise, asking)


def _of_ids(exercise: Exercise) -> Iterator[str]:
    """Yield gaps in how a resource is ended, and in where an answer names it."""
    if callable(exercise.told):
        return
    try:
        member = requests.id_of(exercise.kind)
    except AssertionError as unknown:
        yield f"{unknown}; or in `told` what its answer names, or in `unmixed` why none is made"
        return
    paths = id_paths(exercise.make, member)
    if exercise.told and len(paths) == 1:
        yield f"leave out `told`: it is {paths[0]}"
    elif not exercise.told and len(paths) != 1:
        yield f"say in `told` where its answer names it: {paths or f'nowhere by {member}'}"


def _of_marks(exercise: Exercise) -> Iterator[str]:
    if not exercise.makes or catalogue.takes_tags(exercise.make):
        return
    if MARK not in set(_texts(exercise.ask(Probe()))):
        yield (
            "no tags tell its intents apart: put `ground.mark` in a text of `ask`, or say in "
            "`makes` that it only changes what is there"
        )


def _of_crowds(exercise: Exercise, asking: Request) -> Iterator[str]:
    """Yield gaps in how many resources are made, and in how their list shows them."""
    quota, repeat, probe = (
        catalogue.QUOTAS.get(exercise.kind),
        catalogue.repeat_of(asking.asked),
        Probe(),
    )
    if quota is None or repeat is None:
        return
    alike = exercise.ask(probe) == exercise.ask(probe)
    if exercise.crowd is None:
        if alike and repeat.does is not Does.DOUBLE and repeat.code != quota.code:
            yield "say in `crowd` how to ask for many: `ask` asks for the same one"
        if quota.per == ZONE:
            yield "say in `crowd` how to ask for many in one zone, where its quota counts them"
    for name in requests.own_lists(exercise) - exercise.lists.keys():
        if quota.per in catalogue.inputs(name):
            yield f"say in `lists` which {quota.per} {name} is asked for"


def _texts(asked: Any) -> Iterator[str]:
    if isinstance(asked, dict):
        for value in asked.values():
            yield from _texts(value)
    elif isinstance(asked, list):
        for value in asked:
            yield from _texts(value)
    elif isinstance(asked, str):
        yield asked
