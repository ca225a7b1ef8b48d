"""Limits for a block: capacity that has run out, a quota that is reached."""

from __future__ import annotations

from sametoken.operate import limits
from sametoken.operate.opened import Opened
from sametoken.store.port import Store
from sametoken.testing.blocks import Block


class Limits(Block):
    """Limits of one account, and of capacity, which all accounts share, until the block ends.

    Raises `Misconfigured` for a zone, type or kind that there is not, and for a maximum that is no
    whole number from 0.
    """

    def __init__(self, here: Opened[Store], account: str, region: str) -> None:
        self._here = here
        self._account = account
        self._region = region
        # Maxima that held before the block, None for a default.
        self._former: dict[str, int | None] = {}

    def undo(self) -> None:
        """Hold to the maxima again that held before the block."""
        limits.set_maxima(self._here, self._former)
        self._former.clear()

    def capacity(self, zone: str, instance_type: str, maximum: int) -> None:
        """Let at most so many instances of a type be in a zone; beyond that, EC2 has run out.

        `*` stands for every zone, or every type.
        """
        self._set(f"capacity/{zone}/{instance_type}", maximum)

    def quota(self, kind: str, maximum: int) -> None:
        """Let the account have at most so many of a kind in its Region: `vcpus`, `vpc`, …"""
        self._set(f"{kind}/{self._account}/{self._region}", maximum)

    def _set(self, name: str, maximum: int) -> None:
        held = {one.name: one.maximum for one in limits.limits(self._here) if not one.is_default}
        limits.set_maximum(self._here, name, maximum)
        self._former.setdefault(name, held.get(name))
