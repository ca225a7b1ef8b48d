"""The grammar of client tokens, and derived tokens: distinct parts, distinct tokens."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sametoken.derived import derive_token
from sametoken.errors import InvalidClientToken
from sametoken.idempotency import TokenGrammar

EC2 = TokenGrammar()
PARTS = st.lists(st.text(alphabet="ab:1é", max_size=4), min_size=1, max_size=4)


@pytest.mark.parametrize("raw", ["a", "x" * 64, "A-b_c.d/e:f=g h!", "~", "12:34"])
def test_one_to_64_printable_ascii_characters_are_a_token(raw: str) -> None:
    assert EC2.parse(raw) == raw


@pytest.mark.parametrize(
    "raw",
    ["", " ", "\t \t", "x" * 65, "ü", "a\nb", "a\x00b", "a\x7fb", "a\tb", "ａ", "\n", "a\n"],
)
def test_anything_else_is_refused_as_an_invalid_parameter_value(raw: str) -> None:
    with pytest.raises(InvalidClientToken) as refused:
        EC2.parse(raw)
    assert (refused.value.code, refused.value.http_status) == ("InvalidParameterValue", 400)
    assert "64" in refused.value.message


def test_no_token_is_none() -> None:
    assert EC2.parse(None) is None


def test_case_is_part_of_the_token() -> None:
    assert EC2.parse("Ab") != EC2.parse("aB")


def test_surrounding_blanks_are_trimmed_and_inner_ones_kept() -> None:
    assert EC2.parse("\t a b \t") == "a b"


def test_the_length_is_checked_before_the_trim() -> None:
    assert EC2.parse("x" * 63 + " ") == "x" * 63
    with pytest.raises(InvalidClientToken):
        EC2.parse("x" * 64 + " ")


@pytest.mark.parametrize("raw", [" ", "\t\t"])
def test_only_blanks_are_absent_where_that_was_seen(raw: str) -> None:
    assert TokenGrammar(blank_is_absent=True).parse(raw) is None


def test_an_empty_token_is_refused_even_where_blanks_are_absent() -> None:
    with pytest.raises(InvalidClientToken):
        TokenGrammar(blank_is_absent=True).parse("")


def test_an_action_may_take_longer_tokens() -> None:
    longer = TokenGrammar(characters_max=128)
    assert longer.parse("x" * 128) == "x" * 128
    with pytest.raises(InvalidClientToken, match="128"):
        longer.parse("x" * 129)


def test_a_refusal_never_repeats_a_huge_token_whole() -> None:
    with pytest.raises(InvalidClientToken) as refused:
        EC2.parse("x" * 100_000)
    assert len(refused.value.message) < 400


@given(PARTS, PARTS)
@settings(derandomize=True, max_examples=300)
def test_different_parts_derive_different_tokens(one: list[str], other: list[str]) -> None:
    assert (derive_token(*one) == derive_token(*other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        (("a", ""), ("a",)),
        (("1:a", "b"), ("1", "a1:b")),
        (("3:a1:b",), ("a", "b")),
    ],
)
def test_parts_never_run_into_each_other(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert derive_token(*one) != derive_token(*other)


def test_a_derived_token_is_a_token_of_64_characters() -> None:
    token = derive_token("i-0123456789abcdef0", "0", "reserve-host", "placement")
    assert EC2.parse(token) == token
    assert re.fullmatch("[0-9a-f]{64}", token)


def test_derived_tokens_are_the_same_in_every_release() -> None:
    """A step that began under one release is repeated under the next."""
    assert derive_token("i-0123456789abcdef0", "0", "boot-machine", "machines") == (
        "8acc329262dded9aa791e5d19db5d6ea24832472dbbfd5845021f1fb8b058de9"
    )


def test_nothing_derives_no_token() -> None:
    with pytest.raises(AssertionError):
        derive_token()
