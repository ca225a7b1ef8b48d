"""EC2's refusal of a launch for which capacity is missing."""

from __future__ import annotations

from sametoken.errors import ServiceError


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
