"""Intent in its stored form: equality, the names of differences, and secrecy."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sametoken.idempotency.fingerprint import (
    PLAIN_CHARACTERS_MAX,
    REMEMBERED_BYTES_MAX,
    REMEMBERED_MAX,
    Only,
    Rules,
    _remembered,
    differing_fields,
    fingerprint,
)

KEY = b"a deployment's own secret"
RULES = Rules(
    ignored=frozenset({"ClientToken", "DryRun"}),
    sets=frozenset({"Groups", "Interfaces[].Groups"}),
    secrets=frozenset({"UserData", "Login", "Interfaces[].Password"}),
    defaults={"Size": 8},
)


def digests(parameters: dict[str, Any], rules: Rules = RULES, key: bytes = KEY) -> dict[str, str]:
    return dict(fingerprint(parameters, rules, key).digests)


def differing(one: dict[str, Any], other: dict[str, Any]) -> tuple[str, ...]:
    return differing_fields(digests(one), digests(other))


# PINNED is a launch with every kind of field. Its digests are pinned below.
PINNED = {
    "ImageId": "ami-0123456789abcdef0",
    "MinCount": 1,
    "EbsOptimized": False,
    "Ratio": 0.5,
    "Groups": ["sg-2", "sg-1"],
    "Interfaces": [{"DeviceIndex": 0, "Groups": ["sg-4", "sg-3"], "Password": "hunter2"}],
    "UserData": b"#!/bin/sh",
    "ValidUntil": datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
    "Tags": {"a.b": "é", "": ""},
    "Filters": [],
}
# GOLDEN was recorded when rule version 1 was released. Entries of running deployments hold such
# digests: if this fails, honest retries would be refused after an upgrade. Make a new rule version
# instead.
GOLDEN = {
    "EbsOptimized": "735d0362d5ee209277e41a29",
    "Filters": "65b3431a76fe85d9a788757a",
    "Groups[0]": "e46e0c7f00f3952a1d9bf019",
    "Groups[1]": "bdbcce01df6fa038e27c2117",
    "ImageId": "4a8fdb3354a6487ff8543491",
    "Interfaces[0].DeviceIndex": "9d697dffdae9e858a4b27ac0",
    "Interfaces[0].Groups[0]": "6cbf36092b87531b9071ec40",
    "Interfaces[0].Groups[1]": "411f95cb10fc184d0d60eeb7",
    "Interfaces[0].Password": "f0f111fdc76c4bd391219cf6",
    "MinCount": "d0e7e2f0aa1c030054e4cb24",
    "Ratio": "6ca4c4484ef5b6257d14f807",
    "Size": "ae7a696465c314614e17e520",
    "Tags.%": "f3a301c991249db8065dc6c4",
    "Tags.a%2Eb": "7ebef8dbb303463fd489f012",
    "UserData": "33fbc3fc94b9a36c8c47d317",
    "ValidUntil": "dbf86ee2a37f891e04246785",
}


def test_rule_version_1_gives_the_digests_that_were_released() -> None:
    kept = fingerprint(PINNED, RULES, KEY)
    assert kept.rules_version == 1
    assert kept.digests == GOLDEN


def test_the_same_parameters_in_another_order_are_the_same_intent() -> None:
    backwards = {name: PINNED[name] for name in reversed(PINNED)}
    assert differing(PINNED, backwards) == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Decimal("1.10"), Decimal("1.1")),
        (UUID(int=1), UUID(int=2)),
        (UUID(int=1), str(UUID(int=1))),
        (date(2031, 1, 2), datetime(2031, 1, 2, tzinfo=UTC)),
        (time(1), time(2)),
        (b"1", "1"),
    ],
)
def test_values_that_json_has_no_word_for_are_compared_as_they_are(one: Any, other: Any) -> None:
    first, again, second = (
        fingerprint({"P": value}, Rules(), KEY).digests for value in (one, copy.copy(one), other)
    )
    assert first == again != second


def test_a_value_that_cannot_be_compared_is_named() -> None:
    with pytest.raises(TypeError, match="of type set, of which"):
        fingerprint({"P": {1, 2}}, Rules(), KEY)


def test_the_order_of_a_set_means_nothing() -> None:
    assert differing({"Groups": ["a", "b"]}, {"Groups": ["b", "a"]}) == ()


def test_the_order_of_a_set_inside_a_list_means_nothing() -> None:
    one = {"Interfaces": [{"Groups": ["a", "b"]}, {"Groups": ["c"]}]}
    other = {"Interfaces": [{"Groups": ["b", "a"]}, {"Groups": ["c"]}]}
    assert differing(one, other) == ()


def test_the_order_of_any_other_list_means_something() -> None:
    assert differing({"Users": ["a", "b"]}, {"Users": ["b", "a"]}) == ("Users[0]", "Users[1]")


def test_how_often_an_element_is_in_a_set_is_compared() -> None:
    assert differing({"Groups": ["a"]}, {"Groups": ["a", "a"]}) == ("Groups[1]",)


@pytest.mark.parametrize("name", ["ClientToken", "DryRun"])
def test_what_is_outside_the_intent_is_not_compared(name: str) -> None:
    assert differing({"Size": 8, name: "x"}, {"Size": 8}) == ()


def test_only_top_level_names_are_outside_the_intent() -> None:
    assert differing({"Spec": {"DryRun": True}}, {"Spec": {"DryRun": False}}) == ("Spec.DryRun",)


def test_a_default_of_some_values_only_is_filled_in_where_they_are_or_are_filled_in() -> None:
    only = Only(125, where="Type", equals="gp3")
    given = Rules(defaults={"Speed": only})
    filled = Rules(defaults={"Speed": only, "Type": "gp3"})
    assert digests({"Type": "gp3"}, given) == digests({"Type": "gp3", "Speed": 125}, given)
    assert "Speed" not in digests({"Type": "gp2"}, given)
    assert "Speed" not in digests({}, given)
    assert digests({}, filled) == digests({"Type": "gp3", "Speed": 125}, filled)
    assert str(only) == "125 where Type=gp3"


def test_a_default_left_out_equals_the_default_said() -> None:
    assert differing({"Size": 8}, {}) == ()
    assert differing({"Size": 9}, {}) == ("Size",)


def test_a_field_on_one_side_only_is_named() -> None:
    assert differing({"A": 1}, {"A": 1, "B": {"C": [2]}}) == ("B.C[0]",)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, "1"), (1, True), (1, 1.0), ("true", True), ("", None), ([], {}), ("[]", []),
        (b"\x00", "bytes:00"), (b"\x00", "00"), (b"", ""), ("a", ["a"]), ("a", {"": "a"}),
        (datetime(2030, 1, 1, tzinfo=UTC), "2030-01-01T00:00:00+00:00"),
        (datetime(2030, 1, 1, tzinfo=UTC), "datetime:2030-01-01T00:00:00+00:00"),
    ],
)  # fmt: skip
def test_values_of_different_types_are_never_alike(one: Any, other: Any) -> None:
    assert differing({"F": one}, {"F": other}) != ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": {"b": 1}}, {"a.b": 1}),
        ({"a": [1]}, {"a[0]": 1}),
        ({"": 1}, {"": 2}),
        ({"": {"a": 1}}, {"a": 1}),
        ({"%2E": 1}, {".": 1}),
        ({"": 1}, {"%": 1}),
        ({"a.b": 1, "a": {"b": 2}}, {"a.b": 3, "a": {"b": 2}}),
    ],
)
def test_names_with_dots_and_brackets_never_share_a_path(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    """Tags and other maps have names of callers' own: one field must not hide another."""
    assert differing(one, other) != ()


def test_a_name_that_is_no_text_is_our_bug_not_an_equal_intent() -> None:
    with pytest.raises(AssertionError, match="not named by text"):
        digests({"a": {1: "x"}})


def test_a_secret_is_kept_as_a_digest_only() -> None:
    secret = {
        "UserData": "swordfish",
        "Login": {"Name": "swordfish", "Words": ["swordfish"]},
        "Interfaces": [{"Password": "swordfish", "DeviceIndex": 0}],
    }
    kept = fingerprint(secret, RULES, KEY)
    assert "swordfish" not in repr(kept)
    assert kept.plain == {"Interfaces[0].DeviceIndex": "0", "Size": "8"}
    assert kept.digests.keys() - kept.plain.keys() == {
        "UserData", "Login.Name", "Login.Words[0]", "Interfaces[0].Password",
    }  # fmt: skip


def test_a_secret_that_is_a_list_is_kept_as_digests_only() -> None:
    rules = Rules(secrets=frozenset({"Words"}))
    assert fingerprint({"Words": ["swordfish"]}, rules, KEY).plain == {}


def test_a_name_that_begins_like_a_secret_is_none() -> None:
    assert fingerprint({"UserDataFormat": "x"}, Rules(secrets=RULES.secrets), KEY).plain


def test_only_short_values_are_kept_plain() -> None:
    fits, too_long = "x" * (PLAIN_CHARACTERS_MAX - 2), "x" * (PLAIN_CHARACTERS_MAX - 1)
    kept = fingerprint({"A": fits, "B": too_long}, Rules(), KEY)
    assert kept.plain == {"A": f'"{fits}"'}
    assert kept.digests.keys() == {"A", "B"}


def test_digests_cannot_be_compared_across_deployments() -> None:
    assert digests({"A": "yes"}, key=b"one")["A"] != digests({"A": "yes"}, key=b"other")["A"]


def test_a_key_of_any_length_is_taken() -> None:
    assert digests({"A": 1}, key=b"k" * 200) == digests({"A": 1}, key=b"k" * 64)
    assert digests({"A": 1}, key=b"") != digests({"A": 1}, key=b"k")


def test_the_parameters_are_left_as_they_were() -> None:
    before = copy.deepcopy(PINNED)
    fingerprint(PINNED, RULES, KEY)
    assert before == PINNED


NAMES = st.text(alphabet="abA.[]%0", max_size=3)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=4), st.binary(max_size=3)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
PARAMETERS = st.dictionaries(NAMES, VALUES, min_size=1, max_size=4)


@given(PARAMETERS, PARAMETERS)
@settings(derandomize=True, max_examples=150)
def test_fingerprints_are_equal_exactly_when_the_parameters_are(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    same = typed(one) == typed(other)
    assert (digests(one, Rules()) == digests(other, Rules())) == same


def typed(value: Any) -> Any:
    """Spell out the types of `value`: for Python True == 1, for us they are two."""
    if isinstance(value, dict):
        return {name: typed(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [typed(inner) for inner in value]
    return (type(value).__name__, value)


@given(PARAMETERS, st.data())
@settings(derandomize=True, max_examples=150)
def test_any_changed_leaf_differs_and_is_the_one_that_is_named(
    parameters: dict[str, Any], data: st.DataObject
) -> None:
    places = list(leaves(parameters))
    if not places:
        return
    place = data.draw(st.sampled_from(places))
    changed = copy.deepcopy(parameters)
    holder: Any = changed
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = "a value that was not there"
    one, other = digests(parameters, Rules()), digests(changed, Rules())
    assert len(differing_fields(one, other)) == 1
    assert differing_fields(one, other) == differing_fields(other, one)


def leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of each leaf; an empty list or structure is a leaf."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from leaves(inner, (*place, name))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from leaves(inner, (*place, index))
    elif place:
        yield place


ELEMENTS = st.one_of(st.text(max_size=3), st.dictionaries(NAMES, st.integers(), max_size=2))


@given(st.lists(ELEMENTS, max_size=6), st.randoms(use_true_random=False))
@settings(derandomize=True, max_examples=100)
def test_every_permutation_of_a_set_is_the_same_intent(elements: list[Any], dice: Any) -> None:
    shuffled = list(elements)
    dice.shuffle(shuffled)
    assert differing({"Groups": elements}, {"Groups": shuffled}) == ()


@given(st.lists(ELEMENTS, max_size=5), ELEMENTS)
@settings(derandomize=True, max_examples=100)
def test_a_set_with_one_more_element_is_another_intent(elements: list[Any], more: Any) -> None:
    assert differing({"Groups": elements}, {"Groups": [*elements, more]}) != ()


def test_short_intents_are_remembered_and_no_more_than_there_may_be() -> None:
    _remembered.cache_clear()
    digests({"Text": "x" * REMEMBERED_BYTES_MAX})
    assert _remembered.cache_info().currsize == 0
    for number in range(REMEMBERED_MAX + 1):
        digests({"Number": number})
    assert _remembered.cache_info().currsize == REMEMBERED_MAX
