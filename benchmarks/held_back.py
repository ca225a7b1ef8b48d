"""`sametoken serve` that accepts launches and drives none: what accepting alone costs.

The one switch that only benchmarks have. Takes the words of `sametoken`.
"""

from __future__ import annotations

from sametoken.__main__ import main
from sametoken.background import Background
from sametoken.workflow.backlog import Backlog


def hold_back() -> None:
    """Leave every thread beside answering unstarted, and refuse no launch for work that waits."""

    def nothing(self: Background) -> None:
        """Start, look at, and stop no thread."""

    Background.start = nothing  # type: ignore[method-assign]  # this process is for that alone
    Background.check = nothing  # type: ignore[method-assign]  # no thread is missed
    Background.stop = nothing  # type: ignore[method-assign]  # nothing was started
    Backlog.is_late = lambda self, account: False  # type: ignore[method-assign]  # as above


if __name__ == "__main__":
    hold_back()
    main()
