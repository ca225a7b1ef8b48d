"""EC2's error codes, and the HTTP status of each. `error_codes.txt` has their names.

Source: "Error codes for the Amazon EC2 API" (errors-overview), as of October 2025, for the names
and for which of them are the server's errors; statuses as `refusals` has them.
"""

from __future__ import annotations

from pathlib import Path

LISTED = frozenset(Path(__file__).with_name("error_codes.txt").read_text().split())

# Codes whose status is not 400.
_STATUS = {
    "AuthFailure": 401,
    "DryRunOperation": 412,
    "SignatureDoesNotMatch": 403,
    "UnauthorizedOperation": 403,
    # Server errors: 503 where a caller is asked to slow down or come back.
    "BandwidthLimitExceeded": 503,
    "RequestLimitExceeded": 503,
    "ServiceUnavailable": 503,
    "Unavailable": 503,
    "InsufficientAddressCapacity": 500,
    "InsufficientCapacity": 500,
    "InsufficientHostCapacity": 500,
    "InsufficientInstanceCapacity": 500,
    "InsufficientReservedInstanceCapacity": 500,
    "InsufficientVolumeCapacity": 500,
    "InternalError": 500,
    "InternalFailure": 500,
    "ServerInternal": 500,
}
assert _STATUS.keys() <= LISTED, "a status is of a code that is listed"


def status_of(code: str) -> int:
    """Return the HTTP status with which EC2 answers a code."""
    return _STATUS.get(code, 400)
