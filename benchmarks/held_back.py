"""`sametoken serve` that accepts launches and drives none: what accepting alone costs.

The one switch that only benchmarks have. Takes the words of `sametoken`.
"""

from __future__ import annotations

from sametoken.__main__ import main
from sametoken.background import Background


def hold_back() -> None:
    """Leave every thread beside answering unstarted."""

    def nothing(self: Background) -> None:
        """Start, and stop, no thread."""

    Background.start = nothing  # type: ignore[method-assign]  # this process is for that alone
    Background.stop = nothing  # type: ignore[method-assign]  # nothing was started


if __name__ == "__main__":
    hold_back()
    main()
