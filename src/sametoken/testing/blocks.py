"""A thing of a server's that a test has for a block, at whose end it is undone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self


class Block(ABC):
    """Undone at the end of its `with`, however that ends."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.undo()

    @abstractmethod
    def undo(self) -> None:
        """Put back what was changed in the block."""
