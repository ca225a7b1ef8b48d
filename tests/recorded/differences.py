"""Differences from EC2 that stay: each is a row of docs/differences.md, and here a pattern of it.

A pattern is matched against what the harness says. A difference without a row fails, and so does a
pattern that nothing matches any more. A row may have no pattern: not all is in a recording.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/differences.md"
ROWS_MAX = 20

OTHER_SERVICES = "What belongs to another service is not looked up"
# By the row's first cell: the source whose recordings show it, and the pattern.
SHOWN_BY: Mapping[str, tuple[tuple[str, str], ...]] = {
    OTHER_SERVICES: (
        ("localstack", r"^non-existent-bucket: FlowLogIds has 1 elements, not 0$"),
        ("localstack", r"^non-existent-bucket: Unsuccessful has 0 elements, not 1$"),
    ),
}


def rows() -> list[str]:
    """Return the first cells of the page's table."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return [line.split("|")[1].strip() for line in lines[1:]]


def unexplained(found: Iterable[str]) -> list[str]:
    """Return the differences that no row explains."""
    patterns = [re.compile(one) for many in SHOWN_BY.values() for _, one in many]
    return sorted({one for one in found if not any(pattern.search(one) for pattern in patterns)})


def unshown(source: str, found: Iterable[str]) -> list[str]:
    """Return the patterns of the source's rows that no difference matches."""
    listed = list(found)
    patterns = [one for many in SHOWN_BY.values() for by, one in many if by == source]
    return [one for one in patterns if not any(re.search(one, shown) for shown in listed)]
