"""EC2's vocabulary of refusals: one function per code, so that each wording stands once.

Source: "Error codes for the Amazon EC2 API" (errors-overview) for codes; wording as captured
from EC2 where a capture is known. A refusal is returned, not raised: the caller writes
`raise refusals.missing_parameter("ImageId")`, so that the reader sees where the path ends.
"""

from __future__ import annotations

from sametoken.errors import ServiceError


def missing_parameter(name: str) -> ServiceError:
    return ServiceError("MissingParameter", f"The request must contain the parameter {name}")


def unknown_parameter(name: str) -> ServiceError:
    return ServiceError("UnknownParameter", f"The parameter {name} is not recognized")


def invalid_value(name: str, value: object, why: str = "") -> ServiceError:
    """`name` is the parameter as the caller writes it; `why` a sentence that says what to do."""
    message = f"Value ({value}) for parameter {name} is invalid."
    return ServiceError("InvalidParameterValue", f"{message} {why}".rstrip())


def invalid_combination(message: str) -> ServiceError:
    return ServiceError("InvalidParameterCombination", message)


def unsupported(name: str) -> ServiceError:
    """A parameter of EC2's that this endpoint does not implement: refused, never dropped."""
    return ServiceError(
        "UnsupportedOperation",
        f"The parameter {name} is part of EC2 but not supported by this endpoint. Leave it out.",
    )


def invalid_action(action: str, version: str) -> ServiceError:
    return ServiceError(
        "InvalidAction", f"The action {action} is not valid for this web service ({version})."
    )


def malformed_id(code: str, noun: str, value: str) -> ServiceError:
    """`code` is EC2's stem, such as InvalidSubnetID."""
    return ServiceError(f"{code}.Malformed", f'Invalid {noun} id: "{value}"')


def malformed_resource_id(code: str, prefix: str, value: str) -> ServiceError:
    """`code` is EC2's stem, such as InvalidGroupId; `prefix` what such ids start with."""
    hint = "" if value.startswith(f"{prefix}-") else f' (expecting "{prefix}-...")'
    return ServiceError(f"{code}.Malformed", f'Invalid id: "{value}"{hint}')


def not_found(code: str, noun: str, *values: str, whole_code: str = "") -> ServiceError:
    """`code` is EC2's stem, such as InvalidSubnetID; `whole_code` stands where EC2 has no stem."""
    ids = ", ".join(values)
    text = f"ID '{ids}' does not exist" if len(values) == 1 else f"IDs '{ids}' do not exist"
    return ServiceError(whole_code or f"{code}.NotFound", f"The {noun} {text}")


def incorrect_state(code: str, message: str) -> ServiceError:
    return ServiceError(code, message)


def dry_run() -> ServiceError:
    """The answer to a request that would have succeeded. HTTP 412 as captured."""
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


def insufficient_capacity(instance_type: str, zone: str, others: list[str]) -> ServiceError:
    """HTTP 500, as EC2 answers it; binds the token to its parameters (promise P5)."""
    hint = f" or choosing {', '.join(others)}" if others else ""
    return ServiceError(
        "InsufficientInstanceCapacity",
        f"We currently do not have sufficient {instance_type} capacity in the Availability Zone "
        f"you requested ({zone}). Our system will be working on provisioning additional capacity. "
        f"You can currently get {instance_type} capacity by not specifying an Availability Zone "
        f"in your request{hint}.",
        http_status=500,
        binds_token=True,
    )
