"""EC2's refusals of launches: capacity is missing, or those before it wait for too long."""

from __future__ import annotations

from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.errors import ServiceError


def refuse_late(request: Request) -> None:
    """Raise Unavailable (503) while the account's launches wait for too long to be driven.

    It binds no token. Source: EC2 error codes, Unavailable: "The server is overloaded and can't
    handle the request."
    """
    if request.launches_late:
        raise refusals.unavailable()


def insufficient_capacity(instance_type: str, zone: str, others: list[str]) -> ServiceError:
    """HTTP 500, as EC2 answers it; binds the token to its parameters (promise P5).

    `zone` is the one that was asked for, "" if none was; `others` have capacity.
    """
    where = f" in the Availability Zone you requested ({zone})" if zone else ""
    hint = (
        f" You can currently get {instance_type} capacity by not specifying an Availability Zone "
        f"in your request or choosing {', '.join(others)}."
        if others
        else ""
    )
    return ServiceError(
        "InsufficientInstanceCapacity",
        f"We currently do not have sufficient {instance_type} capacity{where}. Our system will be "
        f"working on provisioning additional capacity.{hint}",
        http_status=500,
        binds_token=True,
    )
