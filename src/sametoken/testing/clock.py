"""The clock of a server: frozen and moved on, for a block."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sametoken.testing.blocks import Block
from sametoken.testing.control import Control


class Clock(Block):
    """The clock by which a server keeps, leases and forgets, for all its accounts.

    Time that was moved on does not go back. A clock that stands at the end of the block goes on.
    """

    def __init__(self, control: Control) -> None:
        self._control = control
        self._stands = False

    def undo(self) -> None:
        """Let a clock go on that was left standing."""
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
