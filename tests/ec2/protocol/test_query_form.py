"""Bytes of a request become form fields: decoding, repeated names, limits, hostile forms."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ec2 import peer
from sametoken.ec2.protocol import query
from sametoken.ec2.protocol.model import ServiceModel
from sametoken.ec2.protocol.query import Form, split_form
from sametoken.errors import ServiceError

EC2 = ServiceModel.load("ec2")


def post(body: str | bytes, query_string: bytes = b"") -> Form:
    raw = body.encode() if isinstance(body, str) else body
    return split_form(query_string, raw, peer.FORM, "POST")


def split_refusal(*arguments: Any) -> ServiceError:
    with pytest.raises(ServiceError) as refused:
        split_form(*arguments)
    return refused.value


def test_a_form_is_decoded_in_order() -> None:
    assert list(post("b=1+2%2B&a=%C3%A9é&&c&d=x=y").items()) == [
        ("b", "1 2+"),
        ("a", "éé"),
        ("c", ""),
        ("d", "x=y"),
    ]
    assert split_form(b"a=%0A%09%0D", b"", None, "GET") == {"a": "\n\t\r"}


def test_of_a_repeated_name_get_takes_the_first_value_and_post_the_last() -> None:
    assert split_form(b"a=1&b=2&a=3", b"", None, "GET") == {"a": "1", "b": "2"}
    assert list(post("a=1&b=2&%61=3").items()) == [("a", "3"), ("b", "2")]
    assert post("a=3", query_string=b"a=1") == {"a": "3"}


@pytest.mark.parametrize("raw", [b"a=%ff", b"a=\xff", b"a=%ED%A0%80", b"%C3=1", b"a=%C0%80"])
def test_what_is_not_utf_8_is_refused(raw: bytes) -> None:
    assert split_refusal(b"", raw, peer.FORM, "POST").code == "MalformedQueryString"
    assert split_refusal(raw, b"", None, "GET").code == "MalformedQueryString"


@pytest.mark.parametrize("query_string", [b"a=%", b"a=%4", b"a=%zz", b"=1", b"%=1", b"a=%+1"])
def test_a_malformed_query_is_refused(query_string: bytes) -> None:
    error = split_refusal(query_string, b"", None, "GET")
    assert (error.code, error.http_status) == ("MalformedQueryString", 400)


@pytest.mark.parametrize("code", ["%00", "%08", "%0B", "%1F", "%EF%BF%BE", "%EF%BF%BF"])
def test_characters_that_xml_cannot_carry_are_refused(code: str) -> None:
    for body in (f"a={code}", f"{code}=a"):
        error = split_refusal(b"", body.encode(), peer.FORM, "POST")
        assert (error.code, error.http_status) == ("InvalidCharacter", 400)
        assert error.message == (
            "Your request contains an invalid XML character and can not be processed."
        )


@pytest.mark.parametrize(
    "content_type", [None, "", "application/json", "multipart/form-data", f"{peer.FORM}x-1"]
)
def test_a_body_that_is_no_form_is_refused(content_type: str | None) -> None:
    error = split_refusal(b"", b"a=1", content_type, "POST")
    assert (error.code, error.http_status) == ("InvalidRequest", 400)


@pytest.mark.parametrize(
    "content_type",
    [
        peer.FORM,
        "application/x-www-form-urlencoded",
        'Application/X-WWW-Form-Urlencoded;charset="UTF-8"',
    ],
)
def test_a_form_is_recognised_however_it_is_spelt(content_type: str) -> None:
    assert split_form(b"", b"a=1", content_type, "POST") == {"a": "1"}


def test_a_post_may_have_its_parameters_in_the_query_and_no_body() -> None:
    assert split_form(b"a=1", b"", None, "POST") == {"a": "1"}


def test_a_get_with_a_body_and_other_methods_are_refused() -> None:
    assert split_refusal(b"a=1", b"b=2", peer.FORM, "GET").http_status == 400
    assert split_refusal(b"a=1", b"", None, "PUT").http_status == 405


def test_every_limit_lets_its_last_value_through_and_refuses_the_next() -> None:
    many = "&".join(f"a{n}=" for n in range(query.FIELDS_MAX))
    assert len(post(many)) == query.FIELDS_MAX
    assert split_refusal(b"", f"{many}&".encode(), peer.FORM, "POST").code == "InvalidRequest"
    assert split_refusal(b"b=1", many.encode(), peer.FORM, "POST").code == "InvalidRequest"
    for size, form in (
        (query.FIELD_NAME_BYTES_MAX, "{}=1"),
        (query.FIELD_VALUE_BYTES_MAX, "a={}"),
    ):
        for letter in ("a", "%61", "+"):
            post(form.format(letter * size))
            body = form.format(letter * (size + 1)).encode()
            assert split_refusal(b"", body, peer.FORM, "POST").code == "InvalidParameterValue"
        body = form.format("é" * (size // 2 + 1)).encode()
        assert split_refusal(b"", body, peer.FORM, "POST").code == "InvalidParameterValue"


def test_the_limits_leave_room_for_every_key_of_the_model() -> None:
    for action in EC2.action_names:
        theirs = peer.service("ec2").operation_model(action)
        for name in peer.serialised(theirs, peer.sample(theirs.input_shape)):
            assert len(name) + 5 * name.count(".") <= query.FIELD_NAME_BYTES_MAX
            assert name.count(".") + 1 <= query.FIELD_DEPTH_MAX


STEPS = st.sampled_from(
    [
        "Filter",
        "Tag",
        "TagSpecification",
        "Placement",
        "ClientToken",
        "MinCount",
        "BlockDeviceMapping",
        "Ebs",
        "Key",
        "Value",
        "Name",
        "NetworkInterface",
        "1",
        "2",
        "0",
        "01",
        "99999",
        "-1",
        "member",
        "",
    ]
)
NAMES = st.lists(STEPS, min_size=1, max_size=20).map(".".join) | st.text(max_size=20)
TEXTS = st.sampled_from(["", "1", "true", "x", "9" * 5000]) | st.text(max_size=20)


@settings(derandomize=True, max_examples=500)
@given(st.dictionaries(NAMES, TEXTS, max_size=12))
def test_whatever_the_fields_the_answer_is_a_document_or_a_refusal(form: dict[str, str]) -> None:
    try:
        document = EC2.codec("RunInstances").parse({**form, "MinCount": "1", "MaxCount": "1"})
    except ServiceError as refused:
        assert refused.http_status == 400
        assert len(refused.message) < 1000
    else:
        assert document["MinCount"] == 1


@settings(derandomize=True, max_examples=500)
@given(
    st.binary(max_size=40) | st.text(alphabet="a=&%+f1", max_size=40).map(str.encode),
    st.binary(max_size=40) | st.text(alphabet="a=&%+f1", max_size=40).map(str.encode),
    st.none() | st.just(peer.FORM) | st.text(max_size=20),
    st.sampled_from(["GET", "POST", "post", ""]),
)
def test_whatever_the_bytes_the_answer_is_fields_or_a_refusal(
    query_string: bytes, body: bytes, content_type: str | None, method: str
) -> None:
    try:
        form = split_form(query_string, body, content_type, method)
    except ServiceError as refused:
        assert 400 <= refused.http_status < 500
    else:
        assert len(form) <= query_string.count(b"&") + body.count(b"&") + 2
        assert "" not in form
