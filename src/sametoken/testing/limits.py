"""Limits for a block: capacity that has run out, a quota that is reached."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from sametoken.operate import limits
from sametoken.operate.opened import Opened
from sametoken.store.port import Store


class Limits(AbstractContextManager["Limits"]):
    """Limits of one account, and of capacity, which all accounts share, until the block ends.

    Raises `Misconfigured` for a zone, type or kind that there is not, and for a maximum that is no
    whole number from 0.
    """

    def __init__(self, here: Opened[Store], account: str, region: str) -> None:
        self._here = here
        self._account = account
        self._region = region
        self._names: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        while self._names:
            limits.unset_maximum(self._here, self._names.pop())

    def capacity(self, zone: str, instance_type: str, maximum: int) -> None:
        """Let at most so many instances of a type be in a zone; beyond that, EC2 has run out.

        `*` stands for every zone, or every type.
        """
        self._set(f"capacity/{zone}/{instance_type}", maximum)

    def quota(self, kind: str, maximum: int) -> None:
        """Let the account have at most so many of a kind in its Region: `vcpus`, `vpc`, …"""
        self._set(f"{kind}/{self._account}/{self._region}", maximum)

    def _set(self, name: str, maximum: int) -> None:
        limits.set_maximum(self._here, name, maximum)
        if name not in self._names:
            self._names.append(name)
