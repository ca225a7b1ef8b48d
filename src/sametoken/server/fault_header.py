"""A fault for a request alone, in its header `x-sametoken-fault`. Pure.

The value is a rule as a word: `lose-reply`, `delay-reply;seconds=2`, `error;code=VpcLimitExceeded`.
The header must be signed: whoever is on the way could else strike the requests of others.
"""

from __future__ import annotations

from dataclasses import replace

from sametoken.ec2.protocol.sigv4 import signed_headers
from sametoken.ec2.protocol.wire import WireRequest, incomplete_signature
from sametoken.errors import Misconfigured, ServiceError
from sametoken.faults.kinds import OF_REQUESTS, OFTEN
from sametoken.faults.reading import read_word, told
from sametoken.faults.rules import Rule
from sametoken.server.fault_names import names

HEADER = "x-sametoken-fault"
HEADER_BYTES = HEADER.encode()
# Keys that say which requests of many are struck, or by which rule of a board.
_OF_MANY = OFTEN | {"action", "account", "region", "token", "instance_type", "name"}


def find_rule(wire: WireRequest) -> Rule | None:
    """Return the rule of a request's header, None without one; raises a `ServiceError` (400)."""
    value = wire.only(HEADER)
    if value is None:
        return None
    if HEADER not in signed_headers(wire):
        raise incomplete_signature(f"The header {HEADER} must be one of the SignedHeaders.")
    try:
        rule = read_word(value, names(), where=HEADER)
    except Misconfigured as error:
        raise _refused(str(error)) from None
    if rule.kind not in OF_REQUESTS:
        raise _refused(f"{HEADER}: {rule.kind} strikes launches. Set it with `sametoken faults`.")
    foreign = sorted(_OF_MANY & told(rule).keys())
    if foreign:
        raise _refused(f"{HEADER} is for its own request alone: leave {', '.join(foreign)} out.")
    return replace(rule, name=HEADER)


def not_here() -> ServiceError:
    """Refuse a request that has the header, where nobody may ask for faults."""
    return _refused(
        f"The header {HEADER} is for an endpoint in development mode: sametoken serve --dev."
    )


def _refused(why: str) -> ServiceError:
    return ServiceError("InvalidParameterValue", why)
