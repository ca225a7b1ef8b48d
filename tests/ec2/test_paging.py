"""Pages: complete, in order, bound to their request; a hostile NextToken is refused."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from botocore.paginate import Paginator
from botocore.session import get_session
from hypothesis import given, settings
from hypothesis import strategies as st

from sametoken.ec2.compute.instance_types import describe_instance_types
from sametoken.ec2.kit.paging import TOKEN_CHARACTERS_MAX, Page, page, range_refused, scope_of
from sametoken.ec2.kit.request import Request
from sametoken.errors import ServiceError
from sametoken.resources.catalogues.instance_types import INSTANCE_TYPES

SCOPE = "scope"


def request(**params: Any) -> Request:
    return Request("000000000001", "us-east-1", "DescribeThings", params, "r-1", "AKIA", "full")


def pages_of(
    items: Iterable[str], size: int | None, token: str | None = None, scope: str = SCOPE
) -> Page[str]:
    return page(
        items,
        str,
        max_results=size,
        next_token=token,
        scope=lambda: scope,
        minimum=1,
        maximum=1000,
    )


def walk(items: list[str], size: int) -> list[str]:
    shown, token = [], None
    for _ in range(len(items) + 1):
        one = pages_of(items, size, token)
        shown += one.items
        token = one.next_token
        if token is None:
            return shown
        assert len(one.items) == size
    raise AssertionError("the pages never end")


@settings(derandomize=True, max_examples=200)
@given(items=st.sets(st.text(min_size=1, max_size=8), max_size=30), size=st.integers(1, 12))
def test_the_pages_together_are_the_whole_list_in_order(items: set[str], size: int) -> None:
    assert walk(list(items), size) == sorted(items)


def test_without_a_size_everything_is_one_page() -> None:
    assert pages_of("cab", None) == Page(["a", "b", "c"], None)


def test_a_page_that_ends_the_list_exactly_has_no_token() -> None:
    assert pages_of("ab", 2).next_token is None
    assert pages_of("abc", 2).next_token is not None


def test_a_page_goes_on_after_its_key_when_items_come_and_go() -> None:
    token = pages_of("bdf", 2).next_token
    assert pages_of("abcefg", 10, token).items == ["e", "f", "g"]


def test_an_empty_token_begins_at_the_beginning() -> None:
    assert pages_of("ab", 1, "").items == ["a"]


def test_tokens_are_safe_in_a_url() -> None:
    for key in ("ü" * 40, "a/b+c?&=", "\0\x7f"):
        token = pages_of([key, "\U0010ffff"], 1).next_token
        assert token is not None and re.fullmatch(r"[A-Za-z0-9_-]+", token)


def test_a_token_of_another_request_is_refused_in_ec2s_words() -> None:
    token = pages_of("ab", 1).next_token
    assert token is not None
    with pytest.raises(ServiceError) as caught:
        pages_of("ab", 1, token, scope="other")
    assert caught.value.code == "InvalidParameterValue"
    assert caught.value.message == (
        f"Value ( {token} ) for parameter NextToken is invalid. The token is invalid."
    )


def test_the_scope_names_account_region_action_and_filters_but_not_the_page() -> None:
    asked = request(Filters=[{"Name": "a", "Values": ["b"]}])
    same = replace(asked, params={**asked.params, "MaxResults": 5, "NextToken": "x"})
    assert scope_of(asked)() == scope_of(same)()
    others = (
        replace(asked, account="000000000002"),
        replace(asked, region="us-west-2"),
        replace(asked, action="DescribeOthers"),
        request(Filters=[{"Name": "a", "Values": ["c"]}]),
    )
    assert len({scope_of(one)() for one in (asked, *others)}) == 1 + len(others)


def hostile(token: str) -> None:
    with pytest.raises(ServiceError) as caught:
        pages_of("abc", 1, token)
    assert caught.value.http_status == 400
    assert len(caught.value.message) < TOKEN_CHARACTERS_MAX + 200


@settings(derandomize=True, max_examples=300)
@given(token=st.text(min_size=1, max_size=60))
def test_any_text_as_a_token_is_refused(token: str) -> None:
    hostile(token)


@settings(derandomize=True, max_examples=300)
@given(raw=st.binary(min_size=1, max_size=60))
def test_any_bytes_as_a_token_are_refused(raw: bytes) -> None:
    hostile(base64.urlsafe_b64encode(raw).decode().rstrip("="))


def test_a_token_changed_anywhere_is_refused() -> None:
    token = pages_of("ab", 1).next_token
    assert token is not None
    for place, letter in enumerate(token):
        hostile(token[:place] + ("A" if letter != "A" else "B") + token[place + 1 :])
    for changed in (token + "=", token + " ", f"{token}\n", token[:-1], token + "A", token * 2):
        hostile(changed)


def test_a_token_longer_than_any_of_ours_is_refused_without_decoding() -> None:
    hostile("A" * (TOKEN_CHARACTERS_MAX + 1))
    hostile("A" * 1_000_000)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (4, "Value ( 4 ) for parameter maxResults is invalid. Expecting a value greater than 5."),
        (
            -1,
            "Value ( -1 ) for parameter maxResults is invalid. Expecting a value greater than 5.",
        ),
        (
            1001,
            "Value ( 1001 ) for parameter maxResults is invalid. Expecting a value less than 1000.",
        ),
    ],
)
def test_a_size_outside_the_range_is_refused_in_ec2s_words(size: int, message: str) -> None:
    with pytest.raises(ServiceError) as caught:
        page(
            "ab",
            str,
            max_results=size,
            next_token=None,
            scope=lambda: SCOPE,
            minimum=5,
            maximum=1000,
        )
    assert (caught.value.code, caught.value.message) == ("InvalidParameterValue", message)


def test_an_action_may_refuse_a_size_in_its_own_words() -> None:
    with pytest.raises(ServiceError) as caught:
        describe_instance_types(request(MaxResults=101))
    assert caught.value.code == "InvalidMaxResults"
    assert (
        caught.value.message
        == range_refused(101, 5, 100).message
        == (
            "Value ( 101 ) for parameter maxResults is invalid. "
            "Expecting a value from ( 5 ) to  ( 100 )."
        )
    )


def test_botocores_paginator_collects_every_item_once() -> None:
    session = get_session()
    loader = session.get_component("data_loader")
    declared = loader.load_service_model("ec2", "paginators-1")["pagination"]
    model = session.get_service_model("ec2").operation_model("DescribeInstanceTypes")
    sizes = []

    def call(**params: Any) -> dict[str, Any]:
        answer = describe_instance_types(request(**params))
        sizes.append(len(answer["InstanceTypes"]))
        return answer

    paginator = Paginator(call, declared["DescribeInstanceTypes"], model)
    asked = paginator.paginate(
        Filters=[{"Name": "current-generation", "Values": ["true"]}],
        PaginationConfig={"PageSize": 50},
    )
    names = [one["InstanceType"] for answer in asked for one in answer["InstanceTypes"]]
    current = [name for name, one in INSTANCE_TYPES.items() if one.fact("CurrentGeneration")]
    assert names == sorted(current)
    assert sizes[0] == 50 and len(sizes) == -(-len(names) // 50)


def test_a_listing_of_types_ends_after_a_page_although_none_was_asked_for() -> None:
    first = describe_instance_types(request())
    second = describe_instance_types(request(NextToken=first["NextToken"]))
    names = [one["InstanceType"] for one in first["InstanceTypes"] + second["InstanceTypes"]]
    assert names == sorted(INSTANCE_TYPES)[:200]
