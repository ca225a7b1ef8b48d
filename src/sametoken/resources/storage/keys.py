"""Keys of volumes and snapshots, as EC2 shows them. Pure; there is no key service here."""

from __future__ import annotations

import re

from sametoken.resources.kit.ids import digits_of
from sametoken.resources.kit.regions import Place

# The name by which callers know the key of those who name none.
DEFAULT_KEY = "alias/aws/ebs"
_KEY_ID = re.compile(r"(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\Z")


def arn_of(place: Place, key: str | None) -> str:
    """The ARN by which EC2 shows a key that a caller names, whichever way; None is the default key.

    A name that leads to no key here is returned as it is; see `is_usable`.
    """
    account, region = place
    here = f"arn:aws:kms:{region}:{account}:"
    named = DEFAULT_KEY if key is None else key.removeprefix(here).removeprefix("key/")
    if named == DEFAULT_KEY:
        return f"{here}key/{digits_of('ebs', *place)}"
    return f"{here}key/{named}" if _KEY_ID.match(named) else str(key)


def is_usable(place: Place, key: str) -> bool:
    """True for an ARN of one of the account's keys, as `arn_of` gives it."""
    account, region = place
    return _KEY_ID.match(key.removeprefix(f"arn:aws:kms:{region}:{account}:key/")) is not None
