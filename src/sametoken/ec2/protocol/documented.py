"""Facts that a service model tells in its documentation alone: filter names and token lengths.

Pure. Documentation is HTML in the description's `documentation` members; what is read of it stays
the same from release to release of botocore, and the tests hold it against recorded names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

# Filters stand in a list: <li> <p> <code>vpc-id</code> - The ID …; a list inside one names values.
_LIST = re.compile(r"<(/?)ul>|<li>\s*<p>\s*<code>([^<]+)</code>")
# How a tag's own filter is written: `tag:<key>`, or `tag`, with the key left out.
_TAGS = re.compile(r"tag(:|\Z)|tag-(key|value)\Z")
_LENGTH = re.compile(r"(?:[Mm]aximum(?: of)?|[Uu]p to) (\d+)\b")


def filter_names(text: str) -> Iterator[str]:
    """The filters that the documentation of a Filters parameter lists, those of tags left out."""
    depth = 0
    for found in _LIST.finditer(text):
        if found[2] is None:
            depth += -1 if found[1] else 1
        elif depth == 1 and not _TAGS.match(found[2]):
            yield found[2]


def token_characters_max(text: str) -> int | None:
    """How long a ClientToken may be; None when its documentation does not say."""
    found = _LENGTH.search(text)
    return None if found is None else int(found[1])


def member_text(shapes: Mapping[str, Any], shape: str | None, member: str) -> str | None:
    """The documentation of a member; None when the shape has no such member."""
    members = {} if shape is None else shapes[shape].get("members", {})
    return None if member not in members else str(members[member].get("documentation", ""))
