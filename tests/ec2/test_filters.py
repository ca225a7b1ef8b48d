"""Filters: AND of ORs, exact, with wildcards; limits; and conditions that SQL can select by."""

from __future__ import annotations

import fnmatch
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sametoken.ec2.kit.filters import (
    FILTERS_MAX,
    VALUE_CHARACTERS_MAX,
    VALUES_MAX,
    Getter,
    compile_filters,
    exact_values,
    member,
    tag_filters,
    tags_of_document,
)
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError

TABLE: dict[str, Getter[Document]] = {
    "name": lambda item: item.get("names", ()),
    "colour": lambda item: item.get("colours", ()),
    **tag_filters(lambda item: item.get("tags", {})),
}


def f(name: str, *values: str) -> Document:
    return {"Name": name, "Values": list(values)}


def passes(item: Document, *filters: Document) -> bool:
    return compile_filters(list(filters), TABLE)(item)


def refusal(*filters: Document) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        compile_filters(list(filters), TABLE)
    return caught.value


def test_no_filters_pass_everything() -> None:
    assert compile_filters(None, TABLE)({})
    assert compile_filters([], TABLE)({})


def test_filters_are_joined_with_and_and_their_values_with_or() -> None:
    item = {"names": ["one"], "colours": ["red", "blue"]}
    assert passes(item, f("name", "two", "one"), f("colour", "blue"))
    assert not passes(item, f("name", "one"), f("colour", "green"))


def test_two_filters_of_one_name_must_both_match() -> None:
    item = {"colours": ["red", "blue"]}
    assert passes(item, f("colour", "red"), f("colour", "blue"))
    assert not passes(item, f("colour", "red"), f("colour", "green"))


def test_names_and_values_are_case_sensitive() -> None:
    assert not passes({"names": ["One"]}, f("name", "one"))
    assert refusal(f("Name", "one")).code == "InvalidParameterValue"


def test_a_filter_without_values_matches_nothing() -> None:
    assert not passes({"names": ["one"]}, f("name"))
    assert not passes({"names": ["one"]}, {"Name": "name"})
    assert exact_values([f("name")], "name") == []


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("a*", "abc", True),
        ("a*", "ba", False),
        ("*c", "abc", True),
        ("*", "", True),
        ("?", "", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("a*b*c", "a-b-b-c", True),
        ("a**c", "ac", True),
        ("a.c", "abc", False),
        ("[ab]", "a", False),
        (r"\*amazon\?\\", "*amazon?\\", True),
        (r"\*", "x", False),
        (r"a\*b*", "a*bcd", True),
        (r"a\*b*", "axbcd", False),
        ("line*", "line\nbreak", True),
        ("ab\\", "ab\\", True),
        ("ab", "ab\n", False),
        ("a*b", "ab\n", False),
    ],
)
def test_wildcards_and_escapes_mean_what_ec2_says(pattern: str, text: str, expected: bool) -> None:
    assert passes({"names": [text]}, f("name", pattern)) is expected


LETTERS = st.text(alphabet="ab*?", max_size=12)


@settings(derandomize=True, max_examples=300)
@given(pattern=LETTERS, text=st.text(alphabet="ab", max_size=14))
def test_patterns_agree_with_shell_patterns_where_both_mean_the_same(
    pattern: str, text: str
) -> None:
    assert passes({"names": [text]}, f("name", pattern)) is fnmatch.fnmatchcase(text, pattern)


@settings(derandomize=True, max_examples=200)
@given(text=st.text(max_size=20))
def test_an_escaped_text_matches_itself_and_counts_as_exact(text: str) -> None:
    escaped = re.sub(r"([*?\\])", r"\\\1", text)
    assert passes({"names": [text]}, f("name", escaped))
    assert exact_values([f("name", escaped)], "name") == [text]


def test_a_pattern_made_to_backtrack_is_decided_at_once() -> None:
    # A pattern without atomic groups would backtrack longer than the age of the universe.
    assert not passes({"names": ["a" * 5000]}, f("name", "*a" * 100 + "b*?"))
    assert not passes({"names": ["ab" * 2000]}, f("name", "*a?" * 80 + "c*"))


def test_an_unknown_name_is_refused_in_ec2s_words() -> None:
    error = refusal(f("nmae", "x"))
    assert (error.code, error.message) == (
        "InvalidParameterValue",
        "The filter 'nmae' is invalid. Did you mean name?",
    )
    assert refusal(f("shape", "x")).message == "The filter 'shape' is invalid"
    assert refusal({"Values": ["x"]}).message == "The filter 'null' is invalid"
    assert refusal(f("", "x")).http_status == 400


def test_tags_are_matched_by_key_by_value_and_by_both() -> None:
    item = {"tags": {"Name": "web", "aws:x": "", "a:b": "c"}}
    assert passes(item, f("tag:Name", "w*"))
    assert passes(item, f("tag:a:b", "c"))
    assert passes(item, f("tag:aws:x", ""))
    assert passes(item, f("tag-key", "Name"))
    assert passes(item, f("tag-value", "web"))
    assert not passes(item, f("tag:Name", "c"))
    assert not passes(item, f("tag:name", "web"))
    assert not passes(item, f("tag:Other", "*"))


def test_a_tag_filter_needs_a_key_and_a_table_with_tags() -> None:
    assert refusal(f("tag:", "x")).message == "The filter 'tag:' is invalid"
    with pytest.raises(ServiceError):
        compile_filters([f("tag:Name", "x")], {"name": TABLE["name"]})


def test_the_limits_hold_at_their_value_and_refuse_above_it() -> None:
    passes({}, *[f("name", "x")] * FILTERS_MAX)
    passes({}, f("name", *["x"] * VALUES_MAX))
    passes({}, f("name", "x" * VALUE_CHARACTERS_MAX))
    for refused in (
        [f("name", "x")] * (FILTERS_MAX + 1),
        [f("name", *["x"] * (VALUES_MAX - 1)), f("colour", "red", "blue")],
        [f("name", "x" * (VALUE_CHARACTERS_MAX + 1))],
    ):
        assert refusal(*refused).code == "FilterLimitExceeded"


def test_exact_values_are_known_only_where_every_value_is_plain() -> None:
    filters = [f("name", "a", "b"), f("colour", "red", "b*"), f("name", "b", "c")]
    assert exact_values(filters, "name") == ["b"]
    assert exact_values(filters, "colour") is None
    assert exact_values(filters, "other") is None
    assert exact_values(None, "name") is None
    assert exact_values([f("name", "a*"), f("name", "ab")], "name") == ["ab"]


FILTER_LISTS = st.lists(
    st.builds(
        lambda name, values: f(name, *values),
        st.sampled_from(["name", "colour"]),
        st.lists(st.text(alphabet="ab*?\\", max_size=3), max_size=3),
    ),
    max_size=4,
)


@settings(derandomize=True, max_examples=300)
@given(filters=FILTER_LISTS, name=st.text(alphabet="ab*?\\", max_size=3))
def test_every_match_has_one_of_the_exact_values(filters: list[Document], name: str) -> None:
    values = exact_values(filters, "name")
    if values is not None and passes({"names": [name], "colours": [name]}, *filters):
        assert name in values


def test_a_member_shows_its_values_as_ec2_writes_them_in_xml() -> None:
    document = {
        "Flag": True,
        "List": [{"Size": 1}, {"Size": 2.5}, {}],
        "At": datetime(2025, 10, 27, 17, 45, 12, 340_000, tzinfo=UTC),
    }
    assert list(member("Flag")(document)) == ["true"]
    assert list(member("List.Size")(document)) == ["1", "2.5"]
    assert list(member("At")(document)) == ["2025-10-27T17:45:12.340Z"]
    assert list(member("Missing.Size")(document)) == []


def test_the_tags_of_a_document_are_read_from_its_tags_member() -> None:
    assert tags_of_document({"Tags": [{"Key": "a", "Value": "b"}, {"Key": "c"}]}) == {
        "a": "b",
        "c": "",
    }
    assert tags_of_document({}) == {}
