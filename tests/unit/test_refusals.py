"""EC2's refusals: its codes and statuses, a sentence with the value, and what to do."""

from __future__ import annotations

import pytest

from sametoken.ec2.compute.launch_capacity import insufficient_capacity
from sametoken.ec2.protocol import refusals
from sametoken.errors import ServiceError
from sametoken.resources.kit import kinds

CASES: list[tuple[ServiceError, str, int, str]] = [
    (refusals.missing_parameter("ImageId"), "MissingParameter", 400, "ImageId"),
    (refusals.unknown_parameter("Imageid"), "UnknownParameter", 400, "Imageid"),
    (refusals.invalid_value("size", 3, "Use 1."), "InvalidParameterValue", 400, "(3)"),
    (refusals.invalid_combination("Not both."), "InvalidParameterCombination", 400, "Not both."),
    (refusals.unsupported("Ipv6"), "UnsupportedOperation", 400, "Ipv6"),
    (refusals.invalid_action("Fly", "2016-11-15"), "InvalidAction", 400, "Fly"),
    (
        refusals.invalid_action("RunInstance", "2016-11-15", ["FlyAway", "RunInstances"]),
        "InvalidAction", 400, "(2016-11-15). Did you mean RunInstances?",
    ),
    (kinds.malformed_id("InvalidVpcID", "vpc", "x"), "InvalidVpcID.Malformed", 400, '"x"'),
    (kinds.not_found("InvalidVpcID", "vpc", "a", "b"), "InvalidVpcID.NotFound", 400, "a, b"),
    (refusals.dry_run(), "DryRunOperation", 412, "DryRun"),
    (refusals.unauthorized(), "UnauthorizedOperation", 403, "read-only"),
    (refusals.auth_failure("No key."), "AuthFailure", 401, "No key."),
    (refusals.signature_does_not_match(), "SignatureDoesNotMatch", 403, "secret"),
    (refusals.request_expired(), "RequestExpired", 400, "expired"),
    (refusals.request_limit_exceeded(), "RequestLimitExceeded", 503, "limit"),
    (refusals.unavailable(), "Unavailable", 503, "again"),
    (refusals.internal_error(), "InternalError", 500, "internal"),
    (
        insufficient_capacity("t3.micro", "us-east-1a", ["us-east-1b"]),
        "InsufficientInstanceCapacity", 500, "us-east-1b",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("refusal", "code", "status", "words"), CASES, ids=lambda v: str(v)[:24])
def test_a_refusal_has_ec2s_code_and_status_and_names_what_was_wrong(
    refusal: ServiceError, code: str, status: int, words: str
) -> None:
    assert (refusal.code, refusal.http_status) == (code, status)
    assert words in refusal.message


def test_only_a_capacity_failure_binds_the_token() -> None:
    assert [code for refusal, code, _, _ in CASES if refusal.binds_token] == [
        "InsufficientInstanceCapacity"
    ]


def test_what_a_repeat_may_cure_is_a_5xx_and_nothing_else_is() -> None:
    assert {code for refusal, code, _, _ in CASES if refusal.retryable} == {
        "RequestLimitExceeded", "Unavailable", "InternalError", "InsufficientInstanceCapacity",
    }  # fmt: skip


def test_one_missing_id_and_several_are_told_in_ec2s_grammar() -> None:
    assert "ID 'a' does not" in kinds.not_found("Code", "vpc", "a").message
    assert "IDs 'a, b' do not" in kinds.not_found("Code", "vpc", "a", "b").message


def test_no_capacity_anywhere_suggests_no_zone() -> None:
    message = insufficient_capacity("t3.micro", "us-east-1a", []).message
    assert message.endswith("additional capacity.")


def test_a_launch_that_asked_for_no_zone_hears_of_none() -> None:
    assert "Zone" not in insufficient_capacity("t3.micro", "", []).message
