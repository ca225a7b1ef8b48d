"""A question that follows a refused name: the name that was probably meant. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean X?` for the known name that is most like `name`; "" for none.

    >>> did_you_mean("RunInstance", ["RunInstances", "StopInstances"])
    ' Did you mean RunInstances?'
    """
    folded = {one.lower(): one for one in known}
    found = get_close_matches(name.lower(), folded, n=1, cutoff=0.75)
    return f" Did you mean {folded[found[0]]}?" if found else ""
