"""What an operator may choose about how requests are answered. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sametoken.server.throttling import Rate


@dataclass(frozen=True, slots=True)
class Choices:
    """The defaults are EC2's, as far as it is known; see docs/operating.md.

    `after_termination` says what a repeated RunInstances hears once all its instances are
    terminated: the instances as they are, or IdempotentInstanceTerminated. Both are on record for
    EC2; neither launches anything. `rates` are those of actions; none is throttled without one.
    """

    default_region: str = "us-east-1"
    dedupe_invocations: bool = False
    after_termination: Literal["replay", "error"] = "replay"
    allow_signature_v2: bool = True
    allow_sha1: bool = False
    rates: Mapping[str, Rate] = field(default_factory=dict)


DEFAULT_CHOICES = Choices()
