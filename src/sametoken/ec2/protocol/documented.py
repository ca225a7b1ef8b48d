"""Facts that only the documentation of a service model gives: filter names and token lengths.

Pure. Documentation is HTML in the `documentation` members of botocore's description. Its wording
may change with a release of botocore, so tests compare what is read here with recorded names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

# Matches a filter in a list: <li> <p> <code>vpc-id</code> - The ID …; an inner list names values.
_LIST = re.compile(r"<(/?)ul>|<li>\s*<p>\s*<code>([^<]+)</code>")
# Matches filters of tags: `tag:<key>`, `tag` with the key left out, `tag-key` and `tag-value`.
_TAGS = re.compile(r"tag(:|\Z)|tag-(key|value)\Z")
_LENGTH = re.compile(r"(?:[Mm]aximum(?: of)?|[Uu]p to) (\d+)\b")


def filter_names(text: str) -> Iterator[str]:
    """Yield the filters listed in the documentation of a Filters parameter, except of tags."""
    depth = 0
    for found in _LIST.finditer(text):
        if found[2] is None:
            depth += -1 if found[1] else 1
        elif depth == 1 and not _TAGS.match(found[2]):
            yield found[2]


def token_characters_max(text: str) -> int | None:
    """Return the longest ClientToken that its documentation allows; None if it does not say."""
    found = _LENGTH.search(text)
    return None if found is None else int(found[1])


def member_text(shapes: Mapping[str, Any], shape: str | None, member: str) -> str | None:
    """Return the documentation of a member; None if the shape has no such member."""
    members = {} if shape is None else shapes[shape].get("members", {})
    return None if member not in members else str(members[member].get("documentation", ""))
