"""Verdicts on errors: whether asking again can help, how soon, and at which cost. Pure.

An error of which nobody knows whether the request ran is worth another try *with the same token*;
so is a server's own failure. A refusal is an answer, and is heard. Errors of botocore are known by
what they are where botocore is loaded; nothing here loads it.

Source: "Retry behavior" of the AWS SDKs and Tools Reference Guide, and botocore 1.44, which follows
it; botocore does not try again after a reply that is cut after its head, as `judge` says one may.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any

from sametoken.errors import ServiceError, Transient

# Statuses after which nobody knows whether the request ran, or that ask to come again.
_STATUSES = {408, 500, 502, 503, 504}
_TOO_MANY = 429
_TIMED_OUT = {"RequestTimeout", "RequestTimeoutException"}
_THROTTLED = {
    "BandwidthLimitExceeded", "EC2ThrottledException", "LimitExceededException",
    "PriorRequestNotComplete", "ProvisionedThroughputExceededException", "RequestLimitExceeded",
    "RequestThrottled", "RequestThrottledException", "SlowDown", "ThrottledException", "Throttling",
    "ThrottlingException", "TooManyRequestsException", "TransactionInProgressException",
}  # fmt: skip
# Errors of the standard library for a connection that failed, or ended inside a reply.
_BROKEN: tuple[type[Exception], ...] = (ConnectionError, TimeoutError, HTTPException, Transient)
# The same of botocore: its module and classes. `ResponseParserError` is a reply that was cut.
_BROKEN_OF = {
    "botocore.exceptions": ("HTTPClientError", "ConnectionError"),
    "botocore.parsers": ("ResponseParserError",),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Asking again may help, in `seconds` at the earliest; `throttled`: we were told to slow down.

    `code` is the service's, or the name of the error's class.
    """

    code: str
    throttled: bool = False
    seconds: float = 0.0


def judge(error: Exception, now: datetime) -> Verdict | None:
    """Say what another try of the call that raised `error` is worth; None: it is an answer.

    `now` is the present moment, for a `Retry-After` that names one.
    """
    if isinstance(error, ServiceError):
        return Verdict(error.code) if error.retryable else None
    response = getattr(error, "response", None)
    if isinstance(response, Mapping) and isinstance(response.get("Error"), Mapping):
        return _of_answer(response, now)
    return Verdict(type(error).__name__) if isinstance(error, _broken()) else None


def _of_answer(response: Mapping[str, Any], now: datetime) -> Verdict | None:
    """Judge an error that the service answered with, in the form of botocore's `ClientError`."""
    metadata = response.get("ResponseMetadata", {})
    status, headers = metadata.get("HTTPStatusCode", 0), metadata.get("HTTPHeaders", {})
    code = str(response["Error"].get("Code", ""))
    throttled = code in _THROTTLED or status == _TOO_MANY
    if not throttled and status not in _STATUSES and code not in _TIMED_OUT:
        return None
    return Verdict(code, throttled, _told(headers, now))


def _told(headers: Mapping[str, str], now: datetime) -> float:
    """Seconds after which the service asks to come again; 0 if it does not say.

    `x-amz-retry-after` is in milliseconds, `Retry-After` in seconds or an HTTP date (RFC 9110).
    """
    try:
        if "x-amz-retry-after" in headers:
            return max(0.0, int(headers["x-amz-retry-after"]) / 1000)
        text = headers.get("retry-after", "0").strip()
        if text.isdigit():
            return float(text)
        moment = parsedate_to_datetime(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (aware - now).total_seconds())
    except (ValueError, OverflowError):
        return 0.0


def _broken() -> tuple[type[Exception], ...]:
    found = [
        getattr(sys.modules[module], name)
        for module, names in _BROKEN_OF.items()
        if module in sys.modules
        for name in names
    ]
    return (*_BROKEN, *found)
