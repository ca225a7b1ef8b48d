"""Kinds of error: who is at fault, and whether a repeat can help.

Three kinds, never mixed. A `ServiceError` is an answer: the caller sees its code and status. A
`Transient` is no answer: the store or a service could not finish, nothing is promised about the
effect, and the caller may repeat. An `AssertionError` is our own bug.
"""

from __future__ import annotations


class SametokenError(Exception):
    """Base of every error that this package raises on purpose."""


class ServiceError(SametokenError):
    """A refusal that the caller sees: a stable code, an HTTP status and a sentence.

    `http_status` alone tells a client what to do (promise P11): a 4xx never helps when repeated
    unchanged, a 5xx may. `binds_token` marks the refusals that leave a *failed* entry, which binds
    the client token to its parameters although nothing was created (promise P5).
    """

    def __init__(
        self, code: str, message: str, *, http_status: int = 400, binds_token: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = http_status
        self.binds_token = binds_token

    @property
    def retryable(self) -> bool:
        """True when an unchanged repeat can succeed."""
        return self.http_status >= 500

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class IdempotentParameterMismatch(ServiceError):
    """The client token was used before, with other parameters.

    `fields` names the parameters that differ. Retrying unchanged cannot succeed while the token
    is retained. Source: EC2 developer guide, "Ensuring idempotency in Amazon EC2 API requests".
    """

    def __init__(self, client_token: str, fields: tuple[str, ...]) -> None:
        differing = ", ".join(fields) or "its Availability Zone"
        super().__init__(
            "IdempotentParameterMismatch",
            f"The client token {client_token!r} was used before with other parameters "
            f"({differing}). Use a new token for a new intent.",
        )
        self.client_token = client_token
        self.fields = fields


class InvalidClientToken(ServiceError):
    """The client token breaks the grammar (length, characters, blanks)."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidParameterValue", message)


class Transient(SametokenError):
    """The work could not be finished now; repeating it is safe and may succeed.

    `ran` is False only when the work provably never began: then not even a create without a token
    has had an effect (promise P6).
    """

    def __init__(self, reason: str, *, ran: bool = True) -> None:
        super().__init__(reason)
        self.ran = ran


class Misconfigured(SametokenError):
    """The operator must change something first: a path, a key, a port, a version."""
