"""An error alone tells whose fault it is, and whether a repeat can help."""

from __future__ import annotations

import pytest

from sametoken import errors
from sametoken.errors import (
    IdempotentParameterMismatch,
    InvalidClientToken,
    Misconfigured,
    SametokenError,
    ServiceError,
    Transient,
)


@pytest.mark.parametrize(
    ("status", "retryable"), [(400, False), (403, False), (412, False), (500, True), (503, True)]
)
def test_a_4xx_never_helps_when_repeated_and_a_5xx_may(status: int, retryable: bool) -> None:
    assert ServiceError("Code", "text", http_status=status).retryable is retryable


def test_a_refusal_binds_no_token_unless_it_says_so() -> None:
    assert not ServiceError("Code", "text").binds_token
    assert ServiceError("Code", "text", binds_token=True).binds_token


def test_a_refusal_reads_as_its_code_and_its_sentence() -> None:
    assert str(ServiceError("Code", "A sentence.")) == "Code: A sentence."


def test_a_mismatch_is_a_400_that_names_token_and_fields() -> None:
    mismatch = IdempotentParameterMismatch("my-token", ("ImageId", "MinCount"))
    assert (mismatch.code, mismatch.http_status) == ("IdempotentParameterMismatch", 400)
    assert not mismatch.retryable
    assert "my-token" in mismatch.message
    assert "ImageId, MinCount" in mismatch.message


def test_a_mismatch_without_fields_still_says_something() -> None:
    assert "()" not in IdempotentParameterMismatch("t", ()).message


def test_an_invalid_token_is_an_invalid_parameter_value() -> None:
    assert InvalidClientToken("text").code == "InvalidParameterValue"


def test_a_transient_is_no_answer_and_claims_to_have_run_unless_it_is_known() -> None:
    assert not isinstance(Transient("x"), ServiceError)
    assert Transient("x").ran
    assert not Transient("x", ran=False).ran


def test_every_error_of_ours_can_be_caught_as_one() -> None:
    ours = [found for found in vars(errors).values() if isinstance(found, type)]
    assert {Transient, Misconfigured, ServiceError} <= set(ours)
    assert all(issubclass(found, SametokenError) for found in ours)
