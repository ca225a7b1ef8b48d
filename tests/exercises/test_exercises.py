"""Exercises cover the whole catalogue, and the message for a missing part names it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import MISSING, Field, fields, replace
from typing import Any
from unittest.mock import patch

import pytest

from exercises import catalogue, gateways, requests
from exercises.exercise import Exercise
from exercises.gaps import gaps, of_exercise, of_records
from exercises.requests import EXERCISES
from sametoken.ec2.kit.nouns import Noun
from simulation.makings import MAKINGS

# Parts that no draft shows to be missing, but a suite that sends requests: `test_quotas` names
# `brought_by`, `test_lost_replies` names `end_with`, and without `uses_up` the simulation's auditor
# finds a resource that ended unasked.
ASKED_FOR = {"brought_by", "end_with", "uses_up"}


def parts(exercise: Exercise) -> Iterator[tuple[str, Any]]:
    """Yield each optional part that an exercise has: its name, and its default."""
    for field in fields(exercise):
        if field.name not in ASKED_FOR and not _is_required(field):
            default = field.default_factory() if callable(field.default_factory) else field.default
            if getattr(exercise, field.name) != default:
                yield field.name, default


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


@contextmanager
def instead(exercise: Exercise, *others: Exercise) -> Iterator[None]:
    """Replace an exercise by others while the block runs."""
    number = EXERCISES.index(exercise)
    EXERCISES[number : number + 1] = others
    try:
        yield
    finally:
        EXERCISES[number : number + len(others)] = [exercise]


def test_the_exercises_tell_of_everything_that_is_served() -> None:
    assert gaps() == []


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda one: one.make)
def test_an_exercise_is_whole(exercise: Exercise) -> None:
    assert list(of_exercise(exercise)) == []


@pytest.mark.parametrize(
    ("exercise", "part", "default"),
    [(one, *part) for one in EXERCISES for part in parts(one)],
    ids=lambda one: one.make if isinstance(one, Exercise) else one if isinstance(one, str) else "",
)
def test_a_part_that_is_left_out_is_named(exercise: Exercise, part: str, default: Any) -> None:
    with instead(exercise, replace(exercise, **{part: default})):
        assert [one for one in gaps() if f"`{part}`" in one]


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda one: one.make)
def test_a_missing_exercise_is_named_with_the_file_to_write_it_in(exercise: Exercise) -> None:
    family = catalogue.family_of(exercise.make)
    with instead(exercise):
        named = [one for one in gaps() if exercise.make in one]
        assert any(f"tests/exercises/{family}.py" in one for one in named)
        with pytest.raises(AssertionError, match=f"{exercise.make} is served and no exercise"):
            requests.request(exercise.make)


def test_the_exercise_of_a_plain_noun_takes_at_most_ten_lines() -> None:
    """Carrier gateways are the plain noun that CONTRIBUTING.md shows."""
    [lines] = [
        node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(inspect.getsource(gateways)))
        if isinstance(node, ast.Call)
        and node.end_lineno is not None
        and any(ast.unparse(one) == "kind='carrier-gateway'" for one in node.keywords)
    ]
    assert lines <= 10


def test_what_is_asked_twice_is_named() -> None:
    with instead(EXERCISES[0], EXERCISES[0], EXERCISES[0]):
        assert f"{EXERCISES[0].make}: two exercises ask it" in gaps()


def test_the_family_is_the_folder_of_the_action() -> None:
    assert catalogue.family_of("CreateCarrierGateway") == "gateways"
    assert catalogue.family_of("RunInstances") == "compute"


@pytest.mark.parametrize("action", catalogue.with_token())
def test_the_simulation_mixes_every_action_with_a_token(action: str) -> None:
    assert action in MAKINGS, requests.unwritten(action)


def test_a_record_without_quota_or_repeat_is_named() -> None:
    others = {kind: one for kind, one in catalogue.QUOTAS.items() if kind != "carrier-gateway"}
    with patch.object(catalogue, "QUOTAS", others):
        assert "carrier-gateway: its record has no quota" in gaps()
    left = tuple(one for one in catalogue.REPEATS if one.action != "DeleteCarrierGateway")
    with patch.object(catalogue, "REPEATS", left):
        assert "DeleteCarrierGateway: its record says nothing of what a repeat does" in gaps()


# Nouns without a function of their own in what a create takes, and the parts of their records.
PLAIN = ("carrier-gateway", "egress-only-internet-gateway", "traffic-mirror-target", "toy")
PARTS = [
    (noun, part)
    for noun in catalogue.records()
    if noun.kind.name in PLAIN
    for part in ("parents", "accepts")
    if getattr(noun, part)
]


@pytest.mark.parametrize(
    ("noun", "part"), PARTS, ids=lambda one: one if isinstance(one, str) else one.kind.name
)
def test_a_part_that_a_record_leaves_out_is_named(noun: Noun, part: str) -> None:
    [exercise] = [one for one in EXERCISES if one.make == f"Create{noun.word}"]
    assert list(of_records([noun], exercise)) == []
    less = replace(noun, parents={}) if part == "parents" else replace(noun, accepts={})
    [named, *_] = of_records([less], exercise)
    assert named.startswith(
        tuple(f"{exercise.make}: its record does not take {one}:" for one in getattr(noun, part))
    )


# Kinds that the workflow ends without asking what stands under them.
ENDED_UNASKED = {"instance", "network-interface", "placement", "volume"}


def undeclared(nouns: Iterable[Noun]) -> list[tuple[str, str]]:
    """Each noun that may stand under what the workflow ends, and does not say what follows."""
    return [
        (noun.kind.name, parent.name)
        for noun in nouns
        for parent in noun.parents.values()
        if parent.name in ENDED_UNASKED
        and parent.name not in noun.kind.goes_with.keys() | noun.kind.outlives
    ]


def test_what_stands_under_an_ending_of_the_workflow_declares_what_becomes_of_it() -> None:
    nouns = catalogue.nouns()
    assert undeclared(nouns.values()) == []
    target = nouns["traffic-mirror-target"]
    silent = copy(target.kind)
    object.__setattr__(silent, "outlives", frozenset())
    assert undeclared([replace(target, kind=silent)]) == [
        ("traffic-mirror-target", "network-interface")
    ]
