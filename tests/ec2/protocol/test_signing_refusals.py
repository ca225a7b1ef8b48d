"""Requests that were changed, cannot be read or are not signed: each has its code and status."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import botocore.auth
import pytest
from botocore.credentials import Credentials

from ec2.protocol.signers import (
    CREDENTIALS,
    DEFAULT_REGION,
    FAILURE,
    INCOMPLETE,
    INVALID,
    KEY,
    MISMATCH,
    MISSING,
    NOW,
    PLAIN,
    REGION,
    SECRET,
    Signer,
    every_scheme,
    form_of,
    header,
    presigned,
    raw,
    read,
    refusal,
    signed,
    unsigned,
    v2,
    v4,
    wire,
    with_authorization,
    with_header,
    with_query,
)
from sametoken.ec2.protocol.signing import WireRequest, read_signature
from sametoken.errors import ServiceError

# Requests that were changed after they were signed.


@every_scheme
@pytest.mark.parametrize(
    "change",
    [
        lambda received: replace(received, method="PUT"),
        lambda received: replace(received, path=b"/other"),
        lambda received: with_header(received, "host", "elsewhere:8100"),
    ],
    ids=["method", "path", "host"],
)
def test_a_changed_envelope_is_refused(
    sign: Signer, change: Callable[[WireRequest], WireRequest]
) -> None:
    received = sign()
    # Read the form before the change: with another method the body would not be read, and the
    # request would be refused for its missing parameters, not for its signature.
    form = form_of(received)
    signature = read_signature(change(received), form, now=NOW, default_region=DEFAULT_REGION)
    with pytest.raises(ServiceError) as caught:
        signature.verify(SECRET)
    assert (caught.value.code, caught.value.http_status) == MISMATCH


@every_scheme
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tag%3Aa", "tag%3Ab"),
        ("tag%3Aa", "tag%3Aa&DryRun=false"),
        ("Filter.1.Name", "Filter.2.Name"),
        ("tag%3Aa", ""),
    ],
    ids=["value", "added", "name", "emptied"],
)
def test_a_changed_parameter_is_refused(sign: Signer, old: str, new: str) -> None:
    received = sign()
    changed = replace(
        received,
        query=received.query.replace(raw(old), raw(new)),
        body=received.body.replace(raw(old), raw(new)),
    )
    assert changed != received
    assert refusal(changed) == MISMATCH


def test_a_plus_that_was_signed_as_itself_cannot_become_a_blank() -> None:
    received = v4("GET", {"Action": "X", "Name": "a+b"})
    assert refusal(with_query(received, "a%2Bb", "a+b")) == MISMATCH


@pytest.mark.parametrize(
    "change",
    [
        lambda received: with_header(received, "content-type", "text/plain"),
        lambda received: with_header(received, "content-type", None),
        lambda received: with_authorization(received, REGION, "eu-west-2"),
        lambda received: with_authorization(received, "/ec2/", "/sts/"),
        lambda received: with_authorization(received, "20300203", "20300204"),
        lambda received: with_header(received, "x-amz-date", "20300203T040507Z"),
        lambda received: with_authorization(received, "content-type;", ""),
        lambda received: with_authorization(
            received, header(received, "authorization")[-64:], "0" * 64
        ),
        lambda received: with_header(received, "x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        lambda received: with_header(received, "x-amz-content-sha256", "0" * 64),
    ],
)
def test_a_changed_part_of_a_version_4_signature_is_refused(
    change: Callable[[WireRequest], WireRequest],
) -> None:
    assert refusal(change(v4())) == MISMATCH


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("eu-west-1", "eu-west-2"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=3601"),
        ("T040506Z", "T040507Z"),
        ("20300203%2F", "20300202%2F"),
        ("%2Fec2%2F", "%2Fsts%2F"),
        ("&X-Amz-Signature", "&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&X-Amz-Signature"),
    ],
)
def test_a_changed_part_of_a_presigned_url_is_refused(old: str, new: str) -> None:
    assert refusal(with_query(presigned(), old, new)) == MISMATCH


def test_a_payload_signed_as_unsigned_is_refused() -> None:
    request = unsigned("POST", PLAIN, url="https://127.0.0.1:8100/")
    request.context["payload_signing_enabled"] = False
    received = signed(botocore.auth.SigV4Auth(CREDENTIALS, "ec2", REGION), request, NOW)
    assert header(received, "x-amz-content-sha256") == "UNSIGNED-PAYLOAD"
    assert refusal(received) == MISMATCH


# Signatures that cannot be read, and requests without one.


def test_an_unsigned_request_is_told_what_ec2_tells_it() -> None:
    request = wire(unsigned("POST", PLAIN))
    assert refusal(request) == MISSING
    with pytest.raises(ServiceError, match="must contain the parameter AWSAccessKeyId"):
        read(request)


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic dXNlcjpwYXNz",
        "AWS4-HMAC-SHA256",
        "AWS4-ECDSA-P256-SHA256 Credential=a, SignedHeaders=host, Signature=b",
        "AWS4-HMAC-SHA256 Credential=a",
        "AWS4-HMAC-SHA256 Credential=a, Credential=a, SignedHeaders=host, Signature=b",
        "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=b, Other=c",
        "AWS4-HMAC-SHA256 \u20ac",
    ],
)
def test_a_malformed_authorization_is_incomplete(authorization: str) -> None:
    assert refusal(with_header(v4(), "authorization", authorization)) == INCOMPLETE


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("/aws4_request", "/aws3_request", MISMATCH),
        ("/aws4_request", "", INCOMPLETE),
        ("/aws4_request", "/aws4_request/more", INCOMPLETE),
        ("/20300203/", "/2030203/", INCOMPLETE),
        ("/20300203/", "/２０３００２０３/", INCOMPLETE),
        (f"/{REGION}/", "/" + "r" * 33 + "/", MISMATCH),
        (f"/{REGION}/", "/EU'; --/", MISMATCH),
        (f"/{REGION}/", "//", MISMATCH),
        ("/ec2/", "/e c 2/", MISMATCH),
        (KEY, "A" * 129, FAILURE),
        (KEY, "AKID'--", FAILURE),
        (KEY, "", FAILURE),
        ("content-type;host", "content-type", MISMATCH),
        ("content-type;host", "host;content-type", INCOMPLETE),
        ("content-type;host", "content-type;host;host", INCOMPLETE),
        ("content-type;host", "Content-Type;host", INCOMPLETE),
        ("content-type;host", ";host", INCOMPLETE),
        ("content-type;host", "absent;content-type;host", MISMATCH),
        ("Signature=", "Signature=0", INCOMPLETE),
        ("Signature=", "Signature=é", INCOMPLETE),
    ],
)
def test_each_flaw_of_an_authorization_has_its_own_error(
    old: str, new: str, expected: tuple[str, int]
) -> None:
    assert refusal(with_authorization(v4(), old, new)) == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [("content-type;host;", "content-type;"), ("/20300203/", "/20300202/")],
    ids=["host not signed", "scope of another day"],
)
def test_what_no_secret_can_make_right_is_refused_before_one_is_looked_up(
    old: str, new: str
) -> None:
    with pytest.raises(ServiceError) as caught:
        read(with_authorization(v4(), old, new))
    assert (caught.value.code, caught.value.http_status) == MISMATCH


@pytest.mark.parametrize("name", ["Name", "Signature"])
def test_text_that_no_form_can_hold_matches_no_version_2_signature(name: str) -> None:
    received = v2()
    form = {**form_of(received), name: "\ud800"}
    signature = read_signature(received, form, now=NOW, default_region=DEFAULT_REGION)
    with pytest.raises(ServiceError) as caught:
        signature.verify(SECRET)
    assert (caught.value.code, caught.value.http_status) == MISMATCH


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-date", None),
        ("x-amz-date", "2030-02-03T04:05:06Z"),
        ("x-amz-date", "20301303T040506Z"),
    ],
)
def test_headers_that_cannot_be_read_are_incomplete(name: str, value: str | None) -> None:
    assert refusal(with_header(v4(), name, value)) == INCOMPLETE


@pytest.mark.parametrize(
    "date",
    [
        "yesterday",
        "Sun, 03 Foo 2030 04:05:06 GMT",
        "Sun, 31 Feb 2030 04:05:06 GMT",
        "Sun, 03 Feb 2030 04:05:06 +0100",
    ],
)
def test_a_malformed_date_header_is_incomplete(date: str) -> None:
    assert refusal(with_header(v4(Date="x"), "date", date)) == INCOMPLETE


@pytest.mark.parametrize("name", ["authorization", "x-amz-date", "x-amz-content-sha256"])
def test_a_header_that_may_be_sent_once_is_refused_twice(name: str) -> None:
    received = v4()
    digest = hashlib.sha256(received.body).hexdigest()
    received = with_header(received, "x-amz-content-sha256", digest)
    again = (raw(name), raw(header(received, name)))
    assert refusal(replace(received, headers=(*received.headers, again))) == INCOMPLETE


@pytest.mark.parametrize("host", [None, "", "a b", "a\nb", "h" * 256, "h/../"])
def test_version_2_needs_a_host(host: str | None) -> None:
    assert refusal(with_header(v2(), "host", host)) == INCOMPLETE


def test_version_2_refuses_two_hosts() -> None:
    received = v2()
    twice = replace(received, headers=(*received.headers, (b"host", b"other")))
    assert refusal(twice) == INCOMPLETE


@pytest.mark.parametrize(
    "name",
    [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
    ],
)
def test_a_presigned_url_gives_each_of_its_parameters_once(name: str) -> None:
    received = presigned()
    parts = received.query.split(b"&")
    part = next(part for part in parts if part.startswith(raw(f"{name}=")))
    without = [other for other in parts if other != part]
    assert refusal(replace(received, query=b"&".join(without))) == INCOMPLETE
    assert refusal(replace(received, query=b"&".join([*parts, part]))) == INCOMPLETE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("=AWS4-HMAC-SHA256", "=AWS4-HMAC-SHA1"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=0"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=604801"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=-1"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=" + "9" * 5000),
        ("20300203T040506Z", "now"),
    ],
)
def test_a_presigned_url_that_cannot_be_read_is_incomplete(old: str, new: str) -> None:
    assert refusal(with_query(presigned(), old, new)) == INCOMPLETE


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"AWSAccessKeyId": None}, MISSING),
        ({"AWSAccessKeyId": ""}, MISSING),
        ({"AWSAccessKeyId": "a b"}, FAILURE),
        ({"SignatureVersion": None}, MISSING),
        ({"SignatureMethod": None}, MISSING),
        ({"Timestamp": None}, MISSING),
        ({"SignatureVersion": "1"}, INVALID),
        ({"SignatureMethod": "HmacMD5"}, INVALID),
        ({"Timestamp": "now"}, INVALID),
        ({"Timestamp": "2030-02-30T00:00:00Z"}, INVALID),
        ({"Timestamp": "2030-02-03T04:05:06+01:00"}, INVALID),
        ({"Timestamp": None, "Expires": "soon"}, INVALID),
        ({"Expires": "2030-02-03T04:05:06Z"}, ("InvalidParameterCombination", 400)),
    ],
)
def test_each_flaw_of_a_version_2_signature_has_its_own_error(
    changes: dict[str, str | None], expected: tuple[str, int]
) -> None:
    assert refusal(v2(changes=changes)) == expected


def test_a_version_2_form_without_its_signature_misses_it() -> None:
    received = v2("GET")
    assert refusal(with_query(received, "&Signature=", "&Ignored=")) == MISSING


@pytest.mark.parametrize("name", ["AWSAccessKeyId", "Signature", "Timestamp"])
def test_a_version_2_parameter_is_refused_twice(name: str) -> None:
    received = v2("GET")
    assert refusal(replace(received, query=received.query + raw(f"&{name}=x"))) == INCOMPLETE


def test_version_2_can_be_switched_off() -> None:
    assert refusal(v2(), allow_v2=False) == FAILURE
    read(v4(), allow_v2=False).verify(SECRET)


@pytest.mark.parametrize(
    ("first", "second"),
    [(v4("GET"), presigned()), (v4("GET"), v2("GET")), (presigned(), v2("GET"))],
    ids=["header and presigned", "header and v2", "presigned and v2"],
)
def test_a_request_signed_in_two_ways_is_refused(first: WireRequest, second: WireRequest) -> None:
    both = replace(first, query=first.query + b"&" + second.query)
    assert refusal(both) == INCOMPLETE


def test_a_presigned_signature_in_the_body_is_not_one() -> None:
    received = presigned()
    moved = replace(received, method="POST", query=b"", body=received.query)
    assert refusal(moved) == INCOMPLETE


def test_session_tokens_are_refused_with_a_sentence() -> None:
    session = Credentials(KEY, SECRET, "token")
    header = signed(botocore.auth.SigV4Auth(session, "ec2", REGION), unsigned("POST", PLAIN), NOW)
    query = signed(
        botocore.auth.SigV4QueryAuth(session, "ec2", REGION), unsigned("GET", PLAIN), NOW
    )
    for received in (header, query, v2(changes={"SecurityToken": "token"})):
        assert refusal(received) == FAILURE
        with pytest.raises(ServiceError, match="Session tokens are not supported"):
            read(received)


def test_an_empty_security_token_of_version_2_is_none() -> None:
    assert read(v2(changes={"SecurityToken": ""})).access_key_id == KEY


@pytest.mark.parametrize("part", ["method", "path", "query"])
@pytest.mark.parametrize("text", ["/\n/", "/ ", "/\x00", "/\x7f"])
def test_a_target_that_no_wire_carries_is_refused(part: str, text: str) -> None:
    changes: dict[str, Any] = {part: text if part == "method" else raw(text)}
    assert_no_target(replace(v4(), **changes))


@pytest.mark.parametrize("method", ["/\u20ac", "/\ud800", "/é"])
def test_a_method_has_no_letters_but_those_of_ascii(method: str) -> None:
    assert_no_target(replace(v4(), method=method))


def assert_no_target(request: WireRequest) -> None:
    with pytest.raises(ServiceError) as caught:
        read_signature(request, {}, now=NOW, default_region=DEFAULT_REGION)
    assert (caught.value.code, caught.value.http_status) == INCOMPLETE
