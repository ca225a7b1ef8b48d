"""`python -m tidy FILE...`: the rules, on these files alone. For the hook before a commit."""

from __future__ import annotations

import sys

from tidy.rules import to_read
from tidy.sources import every_text


def broken(paths: list[str]) -> list[str]:
    """The violations in the files of these paths, which begin at the repository's root."""
    asked = [text for text in every_text() if text.path in paths]
    return [line for rule, sources in to_read(asked) for source in sources for line in rule(source)]


if __name__ == "__main__":
    sys.exit("\n".join(broken(sys.argv[1:])) or 0)
