"""Refusals that any action may raise: a function for each code, so that each wording stands once.

Source: "Error codes for the Amazon EC2 API" (errors-overview) for codes; wording as captured
from EC2 where a capture is known. A refusal is returned, not raised: the caller writes
`raise refusals.missing_parameter("ImageId")`, so that the reader sees where the path ends.
"""

from __future__ import annotations

from collections.abc import Iterable

from sametoken.errors import ServiceError
from sametoken.nearest import did_you_mean


def missing_parameter(name: str) -> ServiceError:
    return ServiceError("MissingParameter", f"The request must contain the parameter {name}")


def unknown_parameter(name: str) -> ServiceError:
    return ServiceError("UnknownParameter", f"The parameter {name} is not recognized")


def invalid_value(name: str, value: object, why: str = "") -> ServiceError:
    """Take `name` as the caller writes the parameter; `why` is a sentence that says what to do."""
    message = f"Value ({value}) for parameter {name} is invalid."
    return ServiceError("InvalidParameterValue", f"{message} {why}".rstrip())


def invalid_combination(message: str) -> ServiceError:
    return ServiceError("InvalidParameterCombination", message)


def unsupported(name: str) -> ServiceError:
    """Refuse a parameter of EC2's that this endpoint does not implement: it is never dropped."""
    return ServiceError(
        "UnsupportedOperation",
        f"The parameter {name} is part of EC2 but not supported by this endpoint. Leave it out.",
    )


def invalid_action(action: str, version: str, known: Iterable[str] = ()) -> ServiceError:
    """Refuse an action that the service does not have; `known` are those that it has."""
    hint = did_you_mean(action, known)
    return ServiceError(
        "InvalidAction",
        f"The action {action} is not valid for this web service ({version}).{hint}",
    )


def dry_run() -> ServiceError:
    """Answer a dry run that would have succeeded. HTTP 412 as captured from EC2."""
    return ServiceError(
        "DryRunOperation",
        "Request would have succeeded, but DryRun flag is set.",
        http_status=412,
    )


def unauthorized() -> ServiceError:
    return ServiceError(
        "UnauthorizedOperation",
        "You are not authorized to perform this operation. The access key is read-only.",
        http_status=403,
    )


def auth_failure(why: str) -> ServiceError:
    return ServiceError(
        "AuthFailure",
        f"AWS was not able to validate the provided access credentials. {why}".rstrip(),
        http_status=401,
    )


def signature_does_not_match() -> ServiceError:
    return ServiceError(
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your secret access key and signing method.",
        http_status=403,
    )


def request_expired(why: str = "") -> ServiceError:
    return ServiceError("RequestExpired", f"Request has expired. {why}".rstrip())


def request_limit_exceeded() -> ServiceError:
    return ServiceError("RequestLimitExceeded", "Request limit exceeded.", http_status=503)


def unavailable() -> ServiceError:
    return ServiceError(
        "Unavailable", "The service is unavailable. Please try again shortly.", http_status=503
    )


def internal_error() -> ServiceError:
    return ServiceError("InternalError", "An internal error has occurred", http_status=500)
