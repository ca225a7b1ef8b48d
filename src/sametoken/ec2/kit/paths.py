"""Filter tables as data: for each filter name, the path it looks at. Pure.

A path is member names joined by dots, `[]` behind a list for the reader's sake:
`NetworkInterfaces[].Groups[].GroupId`. `=text` is a constant, and the empty path a thing that
resources here never have: the filter is known, and matches nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sametoken.ec2.kit.filters import Getter, member
from sametoken.ec2.protocol.documents import Document


def getters(table: Mapping[str, str]) -> dict[str, Getter[Document]]:
    """A getter for each filter name of `table`."""
    return {name: _getter(path) for name, path in table.items()}


def _getter(path: str) -> Getter[Document]:
    if path.startswith("=") or not path:
        constant: Iterable[str] = (path[1:],) if path else ()
        return lambda document: constant
    return member(path.replace("[]", ""))
