"""Stable tokens: one for one identity, in every process and release, and refusals that say why."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sametoken.client import Part, stable_token
from sametoken.idempotency import TokenGrammar

SCALARS = st.one_of(
    st.text(min_size=1, max_size=3).filter(str.strip),
    st.integers(-3, 3),
    st.dates(date(2026, 1, 1), date(2026, 1, 3)),
)
PARTS: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, min_size=1, max_size=2).map(tuple), max_leaves=4
)
IDENTITIES = st.lists(PARTS, min_size=1, max_size=3).map(tuple)


def written(part: Any) -> Any:
    """The part as it counts: a text, or a tuple of those."""
    return tuple(map(written, part)) if isinstance(part, tuple) else str(part)


@given(IDENTITIES, IDENTITIES)
@settings(derandomize=True, max_examples=300)
def test_different_identities_have_different_tokens(
    one: tuple[Part, ...], other: tuple[Part, ...]
) -> None:
    assert (stable_token(*one) == stable_token(*other)) == (written(one) == written(other))


@given(IDENTITIES)
@settings(derandomize=True)
def test_a_stable_token_is_35_characters_that_every_api_takes(identity: tuple[Part, ...]) -> None:
    token = stable_token(*identity)
    assert re.fullmatch("v1-[a-z2-7]{32}", token)
    assert TokenGrammar().parse(token) == token


def test_stable_tokens_are_the_same_in_every_release() -> None:
    """A create that was tried under one release is repeated under the next."""
    assert stable_token("order", 4711) == "v1-uuwqtv2bww5mufj57dqtynwcb6jizbj5"
    assert stable_token("a", ("b", date(2026, 11, 28))) == ("v1-feqw7d3jm3qrvwfbk4wpkug2a7mhfwt6")


def test_a_number_and_its_text_are_one_order() -> None:
    uuid = UUID("6f0c0e4e-0000-4000-8000-00000000ab01")
    assert stable_token("order", 17) == stable_token("order", "17")
    assert stable_token(uuid) == stable_token("6f0c0e4e-0000-4000-8000-00000000ab01")
    assert stable_token(date(2026, 11, 28)) == stable_token("2026-11-28")


def test_a_word_of_an_enumeration_counts_as_its_value() -> None:
    class Size(StrEnum):
        SMALL = "small"

    assert stable_token(Size.SMALL) == stable_token("small")


def test_a_tuple_is_one_part() -> None:
    assert stable_token(("a", "b")) != stable_token("a", "b")
    assert stable_token(("a", "b"), "c") != stable_token("a", ("b", "c"))


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (None, "everything without a name"),
        (0.5, "no exact text"),
        (True, "too little"),
        (b"17", "decode"),
        (datetime(2026, 11, 28, tzinfo=UTC), "another one at the next try"),
        (["a"], "tuple"),
        (Decimal("1.50"), "give a str"),
        ({"order": 1}, "give a str"),
    ],
)
def test_what_names_nothing_exactly_is_refused_by_its_place(part: Any, reason: str) -> None:
    with pytest.raises(TypeError, match=rf"identity\[1\] is .*{reason}"):
        stable_token("order", part)
    with pytest.raises(TypeError, match=r"identity\[0\]\[1\] is "):
        stable_token(("order", part))


@pytest.mark.parametrize(
    "identity", [(), ("",), (" \t",), ("order", ""), ((),), ("order", ("a", ""))]
)
def test_an_empty_identity_is_refused(identity: tuple[Part, ...]) -> None:
    with pytest.raises(ValueError, match=r"identity.* is (empty|blank)"):
        stable_token(*identity)
