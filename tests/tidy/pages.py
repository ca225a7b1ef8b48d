"""Rules on pages: what is cited is there, and a link leads where it says.

The rules read the names of this repository's files, and the headings of its pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import PurePosixPath

from tidy.sources import ROOT, Source, every_text

# A note of changes/ comes and goes, and begins with a plus sign.
_CITED = re.compile(r"(?<![\w+./-])(?:\.\./)*([\w][\w./-]*\.md)\b")
_LINK = re.compile(r"\]\((?!\w+://)([^)#\s]*)(?:#([^)\s]*))?\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def cited_pages_exist(source: Source) -> Iterator[str]:
    """A page that a text cites is in the repository, under that name."""
    pages = _pages()
    for number, line in enumerate(source.lines, start=1):
        for name in _CITED.findall(line):
            if not any(page == name or page.endswith(f"/{name}") for page in pages):
                yield source.says(number, f"there is no page {name}")


def links_lead_there(source: Source) -> Iterator[str]:
    """A link of a page leads to a file that is there, and to a heading that it has."""
    if not source.path.endswith(".md"):
        return
    for number, line in enumerate(source.lines, start=1):
        for path, heading in _LINK.findall(line):
            target = ROOT / PurePosixPath(source.path).parent / path if path else None
            if target is not None and not target.exists():
                yield source.says(number, f"{path} is not there")
            elif heading:
                text = source.text if target is None else target.read_text(encoding="utf-8")
                if heading not in {_anchor(one) for one in _HEADING.findall(text)}:
                    yield source.says(number, f"{path or 'this page'} has no heading #{heading}")


@cache
def _pages() -> frozenset[str]:
    return frozenset(text.path for text in every_text() if text.path.endswith(".md"))


def _anchor(heading: str) -> str:
    """The name by which a forge links to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
