"""Choices of an operator about how requests are answered. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sametoken.server.rates import Rates


@dataclass(frozen=True, slots=True)
class Choices:
    """Choices of one node. Defaults are what EC2 does, as far as that is known.

    `after_termination` is the answer to a repeated RunInstances when all its instances are
    terminated: the instances as they are now, or IdempotentInstanceTerminated. Both are on record
    for EC2; neither launches anything. With `any_credentials`, which is for development mode, no
    signature is verified. `rates` bound what is asked; without one for its
    action a request is not throttled. docs/operating.md explains each choice.
    """

    default_region: str = "us-east-1"
    dedupe_invocations: bool = False
    after_termination: Literal["replay", "error"] = "replay"
    allow_signature_v2: bool = True
    allow_sha1: bool = False
    any_credentials: bool = False
    rates: Rates = field(default_factory=dict)


DEFAULT_CHOICES = Choices()
