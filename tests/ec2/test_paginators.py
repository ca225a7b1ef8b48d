"""botocore's paginators read every served list: all resources, each once.

The exercise of a noun makes its list long enough.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore import xform_name
from botocore.model import Shape

from ec2 import peer
from ec2.asking import refusal
from ec2.ground import Ground
from exercises.catalogue import own, paged, pages_of
from exercises.requests import lists
from plane import Plane
from sametoken.ec2 import unpaged

Document = dict[str, Any]

PAGED = paged()
# Least size of a page where the model sets none: known of some of EC2's lists, assumed of others.
LEAST = 5
# Lists of AWS's own resources that no action makes; each is shorter than a page.
NOBODYS = frozenset({"DescribePrefixLists"})


def test_every_served_list_that_botocore_pages_is_filled() -> None:
    assert sorted(lists()) == PAGED


def size_of(name: str) -> Shape:
    """Return the model's shape of MaxResults, which bounds the size of a page."""
    return peer.service("ec2").operation_model(name).input_shape.members["MaxResults"]


def least(name: str) -> int:
    return int(size_of(name).metadata.get("min", LEAST))


def listed(name: str, answer: Document) -> list[Document]:
    """Return the items that MaxResults counts: for reservations, their instances."""
    shown: list[Document] = answer[pages_of(name)]
    if name == "DescribeInstances":
        return [one for reservation in shown for one in reservation["Instances"]]
    return shown


@pytest.mark.parametrize("name", PAGED)
def test_a_paginator_shows_each_once_and_the_same_as_one_answer(still: Plane, name: str) -> None:
    ground = Ground(still, still.account(name))
    asked = {**lists()[name](ground), **own(name)}
    answer = ground.call(name, **asked)
    whole = listed(name, answer)
    while "NextToken" in answer:  # of types EC2 answers a page, although none was asked for
        answer = ground.call(name, **asked, NextToken=answer["NextToken"])
        whole += listed(name, answer)
    size = least(name)
    paginator = ground.client.get_paginator(xform_name(name))
    pages = [
        listed(name, page)
        for page in paginator.paginate(**asked, PaginationConfig={"PageSize": size})
    ]
    if name in NOBODYS:
        assert whole and pages == [whole]
        return
    assert len(whole) >= max(LEAST, size + 1), "there is more than one page of them"
    assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1), "pages are full"
    assert 1 <= len(pages[-1]) <= size
    together = [one for page in pages for one in page]
    assert together == whole
    assert len({json.dumps(one, default=str, sort_keys=True) for one in whole}) == len(whole)


@pytest.mark.parametrize("name", unpaged._REFUSED)
def test_a_page_of_a_list_of_ids_is_refused_before_the_ids_are_read(
    still: Plane, name: str
) -> None:
    describe = getattr(still.client(keys=still.account("unpaged")), xform_name(name))
    ids, words = unpaged._REFUSED[name]
    refused = refusal(describe, **{ids: ["no-id"]}, MaxResults=10)
    assert (refused.code, refused.message) == ("InvalidParameterCombination", words)
    assert refusal(describe, **{ids: ["no-id"]}).code != refused.code


@pytest.mark.parametrize("name", [one for one in PAGED if "min" in size_of(one).metadata])
def test_a_page_may_be_as_small_and_as_large_as_the_model_says(still: Plane, name: str) -> None:
    ground = Ground(still, still.account("sizes"))
    client = still.client(keys=ground.keys, parameter_validation=False)
    asked: Document = {"PrefixListId": ground.own("prefix-list")} if name.startswith("Get") else {}
    bounds = size_of(name).metadata
    ask = getattr(client, xform_name(name))
    for size in (bounds["min"], bounds["max"]):
        assert ask(**asked, MaxResults=size)["ResponseMetadata"]["HTTPStatusCode"] == 200
    for size in (bounds["min"] - 1, bounds["max"] + 1):
        refused = refusal(ask, **asked, MaxResults=size)
        assert refused.code in ("InvalidParameterValue", "InvalidMaxResults")
        assert refused.status == 400
