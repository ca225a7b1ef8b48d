"""Signatures by botocore are accepted while they are fresh, and no others are."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from hypothesis import given, settings
from hypothesis import strategies as st

from ec2.protocol.signers import (
    CREDENTIALS,
    DEFAULT_REGION,
    ENDPOINT,
    EXPIRED,
    FAILURE,
    KEY,
    MARGIN,
    MISMATCH,
    NOW,
    ODD,
    PLAIN,
    REGION,
    SCHEMES,
    SECOND,
    SECRET,
    WINDOW,
    Signer,
    every_scheme,
    form_of,
    header,
    presigned,
    raw,
    read,
    refusal,
    signed,
    v2,
    v4,
    with_header,
    with_query,
)
from sametoken.ec2.protocol.signing import SIGNATURE_PARAMETERS, WireRequest
from sametoken.errors import ServiceError

# Signatures that are accepted.


@every_scheme
@pytest.mark.parametrize("params", [PLAIN, ODD], ids=["plain", "odd"])
def test_what_botocore_signs_is_verified(sign: Signer, params: Mapping[str, str]) -> None:
    signature = read(sign(params=params))
    signature.verify(SECRET)
    assert (signature.access_key_id, signature.service, signature.signed_at) == (KEY, "ec2", NOW)
    assert signature.region == (DEFAULT_REGION if signature.signature_version == 2 else REGION)


@settings(derandomize=True, max_examples=60)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
            lambda name: name not in SIGNATURE_PARAMETERS
        ),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
        max_size=5,
    )
)
def test_any_parameters_that_botocore_signs_are_verified(params: dict[str, str]) -> None:
    params = {"Action": "X", **params}
    for sign in SCHEMES.values():
        read(sign(params=params)).verify(SECRET)


@every_scheme
def test_another_secret_is_refused(sign: Signer) -> None:
    with pytest.raises(ServiceError) as caught:
        read(sign()).verify(SECRET[::-1])
    assert (caught.value.code, caught.value.http_status) == MISMATCH


def test_a_secret_another_day_region_or_service_is_never_verified_by_a_kept_key() -> None:
    days = [NOW, NOW + timedelta(days=1)]
    for at in days:
        for region in (REGION, "us-east-1"):
            for service in ("ec2", "sts"):
                received = v4(at=at, region=region, service=service)
                for _ in range(2):
                    read(received, now=at).verify(SECRET)
                    assert refusal_by(received, SECRET[::-1], at) == MISMATCH


def refusal_by(request: WireRequest, secret: str, at: datetime) -> tuple[str, int]:
    with pytest.raises(ServiceError) as caught:
        read(request, now=at).verify(secret)
    return caught.value.code, caught.value.http_status


def test_parameters_that_the_http_library_writes_with_plus_for_a_blank_are_verified() -> None:
    request = AWSRequest(method="GET", url=ENDPOINT, params={"Action": "X", "Name": "a b+c"})
    signer = botocore.auth.SigV4Auth(CREDENTIALS, "ec2", REGION)
    received = signed(signer, request, NOW)
    assert b"a+b%2Bc" in received.query
    read(received).verify(SECRET)


def test_repeated_names_in_the_query_are_verified() -> None:
    url = f"{ENDPOINT}?B=2&A=3&A=1&A=%20"
    request = AWSRequest(method="GET", url=url)
    received = signed(botocore.auth.SigV4Auth(CREDENTIALS, "ec2", REGION), request, NOW)
    read(received).verify(SECRET)


def test_headers_are_signed_with_their_blanks_folded() -> None:
    received = v4(X_Amz_Note="  two   blanks  ", Amz_Sdk_Request="attempt=1; max=3")
    assert "x-amz-note" in header(received, "authorization")
    read(received).verify(SECRET)
    read(with_header(received, "x-amz-note", "two blanks")).verify(SECRET)


def test_repeats_of_a_signed_header_are_joined_with_a_comma() -> None:
    received = v4(X_Note="one,two")
    kept = tuple(pair for pair in received.headers if pair[0] != b"x-note")
    repeated = replace(received, headers=((b"x-note", b"one"), *kept, (b"x-note", b" two ")))
    read(repeated).verify(SECRET)
    swapped = replace(received, headers=((b"x-note", b"two"), *kept, (b"x-note", b"one")))
    assert refusal(swapped) == MISMATCH


@pytest.mark.parametrize("path", ["/", "/a%2Fb/", "/a'b/:*~", "/a/./b/../c//d", "//", "/.."])
def test_paths_are_normalised_and_encoded_again_as_botocore_does(path: str) -> None:
    read(v4(url=f"http://127.0.0.1:8100{path}")).verify(SECRET)


def test_a_date_header_serves_in_place_of_x_amz_date() -> None:
    received = v4(Date="replaced by botocore")
    assert b"x-amz-date" not in dict(received.headers)
    assert read(received).signed_at == NOW
    read(received).verify(SECRET)
    other = with_header(received, "date", "Sun, 03 Feb 2030 04:05:07 GMT")
    assert refusal(other) == MISMATCH


def test_the_service_is_the_scope_s() -> None:
    assert read(v4(service="sts")).service == "sts"


def test_a_content_hash_that_is_the_body_s_is_accepted() -> None:
    received = v4()
    digest = hashlib.sha256(received.body).hexdigest()
    read(with_header(received, "x-amz-content-sha256", digest)).verify(SECRET)


def test_a_presigned_post_covers_its_body() -> None:
    url = f"{ENDPOINT}?Action=X"
    signer = botocore.auth.SigV4QueryAuth(CREDENTIALS, "ec2", REGION, expires=60)
    received = signed(signer, AWSRequest(method="POST", url=url), NOW)
    read(received).verify(SECRET)
    assert refusal(replace(received, body=b"Name=x")) == MISMATCH


@pytest.mark.parametrize(
    ("host", "service", "region"),
    [
        ("ec2.eu-west-1.amazonaws.com", "ec2", "eu-west-1"),
        ("EC2.us-gov-west-1.amazonaws.com:443", "ec2", "us-gov-west-1"),
        ("eu-west-1.ec2.amazonaws.com", "ec2", "eu-west-1"),
        ("sts.ap-south-1.amazonaws.com", "sts", "ap-south-1"),
        ("sts.amazonaws.com", "sts", DEFAULT_REGION),
        ("ec2.amazonaws.com", "ec2", DEFAULT_REGION),
        ("ec2.internal", "ec2", DEFAULT_REGION),
        ("localhost:8100", "ec2", DEFAULT_REGION),
        ("[::1]:8100", "ec2", DEFAULT_REGION),
        ("other.eu-west-1.example", "ec2", DEFAULT_REGION),
    ],
)
def test_version_2_takes_service_and_region_from_the_signed_host(
    host: str, service: str, region: str
) -> None:
    received = with_header(v2(url=f"http://{host.lower()}/"), "host", host)
    signature = read(received)
    signature.verify(SECRET)
    assert (signature.service, signature.region) == (service, region)


@pytest.mark.parametrize(
    "written", ["2030-02-03T04:05:06", "2030-02-03T04:05:06.789Z", "2030-02-03T04:05:06+00:00"]
)
def test_version_2_takes_the_spellings_of_utc_that_old_clients_use(written: str) -> None:
    signature = read(v2(changes={"Timestamp": written}))
    signature.verify(SECRET)
    assert signature.signed_at == NOW


def test_version_2_signs_query_and_form_of_a_post_together() -> None:
    received = v2(params={"Action": "X", "A": "1"})
    body = received.body.decode()
    moved = replace(received, query=b"A=1", body=body.replace("&A=1", "").encode())
    read(moved).verify(SECRET)


def sha1() -> WireRequest:
    received = v2("GET", changes={"SignatureMethod": "HmacSHA1"})
    pairs = [pair for pair in form_of(received).items() if pair[0] != "Signature"]
    query = "&".join(f"{quote(n, safe='~')}={quote(v, safe='~')}" for n, v in sorted(pairs))
    text = f"GET\n127.0.0.1:8100\n/\n{query}".encode()
    signature = base64.b64encode(hmac.digest(SECRET.encode(), text, "sha1")).decode()
    return replace(received, query=raw(f"{query}&Signature={quote(signature, safe='')}"))


def test_sha1_is_accepted_only_where_it_is_switched_on() -> None:
    read(sha1(), allow_sha1=True).verify(SECRET)
    assert refusal(sha1()) == FAILURE


def test_the_example_of_the_version_2_documentation_is_verified() -> None:
    # Source: AWS General Reference, "Signature Version 2 signing process", its worked example.
    query = (
        b"AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Action=DescribeJobFlows&SignatureMethod=HmacSHA256"
        b"&SignatureVersion=2&Timestamp=2011-10-03T15%3A19%3A30&Version=2009-03-31"
        b"&Signature=i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf%2FMj6vPxyYIs%3D"
    )
    request = WireRequest("GET", b"/", query, ((b"host", b"elasticmapreduce.amazonaws.com"),), b"")
    signature = read(request, now=datetime(2011, 10, 3, 15, 20, tzinfo=UTC))
    signature.verify("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


def test_the_example_of_the_version_4_documentation_is_verified() -> None:
    # Source: AWS General Reference, "Signing AWS requests", its worked example (IAM ListUsers).
    request = WireRequest(
        method="GET",
        path=b"/",
        query=b"Action=ListUsers&Version=2010-05-08",
        headers=(
            (b"host", b"iam.amazonaws.com"),
            (b"content-type", b"application/x-www-form-urlencoded; charset=utf-8"),
            (b"x-amz-date", b"20150830T123600Z"),
            (
                b"authorization",
                b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
                b"SignedHeaders=content-type;host;x-amz-date, Signature="
                b"5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
            ),
        ),
        body=b"",
    )
    signature = read(request, now=datetime(2015, 8, 30, 12, 36, tzinfo=UTC))
    signature.verify("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


def test_the_signature_s_own_parameters_are_named_for_the_parser() -> None:
    own = {name for sign in (presigned, v2) for name in form_of(sign(params={}))}
    assert own <= SIGNATURE_PARAMETERS
    assert {"X-Amz-Security-Token", "SecurityToken", "Expires"} <= SIGNATURE_PARAMETERS
    assert not SIGNATURE_PARAMETERS & {"Action", "Version", "ClientToken"}


def test_a_signature_does_not_print_its_proof() -> None:
    assert "proof" not in repr(read(v4()))


# Ages of signatures.


@every_scheme
@pytest.mark.parametrize("age", [WINDOW, -WINDOW, timedelta(0)], ids=["old", "early", "now"])
def test_a_request_is_taken_up_to_15_minutes_either_way(sign: Signer, age: timedelta) -> None:
    read(sign(at=NOW - age)).verify(SECRET)


@every_scheme
@pytest.mark.parametrize("age", [WINDOW + SECOND, -WINDOW - SECOND, timedelta(days=9)])
def test_a_request_outside_of_15_minutes_has_expired(sign: Signer, age: timedelta) -> None:
    assert refusal(sign(at=NOW - age)) == EXPIRED


def test_a_presigned_url_expires_when_it_says_so() -> None:
    received = presigned(expires=60)
    read(received, now=NOW + MARGIN).verify(SECRET)
    assert refusal(received, now=NOW + MARGIN + SECOND) == EXPIRED


def test_a_presigned_url_lives_15_minutes_however_long_it_asks_for() -> None:
    received = presigned(expires=604_800)
    read(received, now=NOW + WINDOW).verify(SECRET)
    assert refusal(received, now=NOW + WINDOW + SECOND) == EXPIRED


@pytest.mark.parametrize(
    ("ahead", "taken"),
    [(timedelta(0), True), (WINDOW, True), (-SECOND, False), (WINDOW + SECOND, False)],
)
def test_expires_of_version_2_is_at_most_15_minutes_ahead(ahead: timedelta, taken: bool) -> None:
    received = v2(changes={"Timestamp": None, "Expires": f"{NOW + ahead:%Y-%m-%dT%H:%M:%SZ}"})
    if not taken:
        assert refusal(received) == EXPIRED
        return
    signature = read(received)
    signature.verify(SECRET)
    assert signature.signed_at == NOW + ahead - WINDOW


@pytest.mark.parametrize("year", ["0001", "9999"])
def test_the_ends_of_the_calendar_have_expired(year: str) -> None:
    moment = f"{year}-12-31T23:59:59Z"
    assert refusal(v2(changes={"Timestamp": moment})) == EXPIRED
    assert refusal(v2(changes={"Timestamp": None, "Expires": moment})) == EXPIRED
    compact = f"{year}1231T235959Z"
    assert refusal(with_header(v4(), "x-amz-date", compact)) == EXPIRED
    assert refusal(with_query(presigned(), "20300203T040506Z", compact)) == EXPIRED
