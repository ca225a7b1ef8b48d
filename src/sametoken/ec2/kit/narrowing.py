"""Wishes of a listing, from the filters of a Describe: an index serves each. Pure.

A filter with plain values alone (no wildcard) becomes a wish (`listings.Wish`) if its path in EC2's
form leads to something that has an index: a column of the row, a tag, a trait of the kind, or a
parent of the row. Every match must have one of the values there, so a listing that is narrowed
leaves out no match. The filters are tested again on what the listing finds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sametoken.ec2.kit.filters import TAG_PREFIX, exact
from sametoken.ec2.protocol.documents import Document
from sametoken.resources.kit.kinds import Kind
from sametoken.resources.kit.listings import By, Wish
from sametoken.resources.kit.traits import TAG_KEY

# Members of nearly all forms that are columns of the row.
COLUMNS: Mapping[str, By] = {"State": By.STATE, "AvailabilityZone": By.ZONE}


def wishes(
    given: Sequence[Document] | None,
    paths: Mapping[str, str],
    kind: Kind,
    *,
    columns: Mapping[str, By] = COLUMNS,
    parents: Collection[str] = (),
) -> list[Wish]:
    """The wishes that follow from filters, which must be known to the action.

    `paths` are the action's filters: from name to path in the form. `columns` are the paths that
    show a column of the row, `parents` those that show a row which it stands under.
    """
    found: list[Wish] = []
    for one in given or ():
        values = exact(one)
        if values is None:
            continue
        name = str(one["Name"])
        path = paths.get(name, "").replace("[]", "")
        # A member that is empty follows from no row.
        path, below = kind.through.get(path, (path, "")) if "" not in values else (path, "")
        if path in columns:
            found.append(Wish(columns[path], tuple(values)))
        elif path in kind.traits and "" not in values:
            # A member that is empty is no trait.
            found.append(Wish(By.TRAIT, tuple(values), path, below))
        elif path in parents:
            found.append(Wish(By.PARENT, tuple(values), below=below))
        elif name not in paths and (name == TAG_KEY or name.startswith(TAG_PREFIX)):
            found.append(Wish(By.TRAIT, tuple(values), name))
    return found
