"""The clock of a plane: frozen and moved on, for a block."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from sametoken.testing.control import Control


class Clock(AbstractContextManager["Clock"]):
    """The clock by which a plane keeps, leases and forgets, for all its accounts.

    Time that was moved on does not go back. A clock that stands at the end of the block goes on.
    """

    def __init__(self, control: Control) -> None:
        self._control = control
        self._stands = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._stands and self._control.runs:
            self.resume()

    def now(self) -> datetime:
        """Tell the present moment, aware UTC."""
        return _moment(self._control.ask("GET", "/clock"))

    def freeze(self) -> datetime:
        """Let time stand still: what is due later waits, nothing expires. Returns the moment."""
        moment = _moment(self._control.ask("POST", "/clock/freeze"))
        self._stands = True
        return moment

    def resume(self) -> datetime:
        """Let time go on from where it stands."""
        moment = _moment(self._control.ask("POST", "/clock/resume"))
        self._stands = False
        return moment

    def advance(self, by: timedelta | str) -> datetime:
        """Move on by a span, such as `timedelta(hours=25)` or "25h"; returns the moment then.

        All that falls due until then is done when it returns: launches have booted, tokens are
        forgotten. Raises `Misconfigured` for a text that is no span, `TypeError` for a number.
        """
        if not isinstance(by, timedelta | str):
            raise TypeError(f'{by!r} has no unit: write "25h", or timedelta(hours=25)')
        span = by if isinstance(by, str) else f"{by.total_seconds():.6f}s"
        return _moment(self._control.ask("POST", "/clock/advance", {"by": span}))


def _moment(told: Any) -> datetime:
    return datetime.fromisoformat(told["now"])
