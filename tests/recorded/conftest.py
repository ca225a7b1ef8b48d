"""A plane on which time stands still, as in the suites of EC2's behaviour."""

from __future__ import annotations

from ec2.conftest import still

__all__ = ["still"]
