"""Making the first state that a file asks for, in the store of a node that answers nobody yet."""

from __future__ import annotations

from sametoken.errors import Misconfigured
from sametoken.node import Node
from sametoken.operate import accounts, limits
from sametoken.operate.initial import Initial
from sametoken.operate.opened import Opened


def prepare(node: Node, initial: Initial) -> None:
    """Make what the file asks for, before the node answers anybody.

    Raises `Misconfigured` for what is refused, naming the file and the entry.
    """
    here = Opened(node.settings.database, node.store)
    try:
        for name in initial.names:
            accounts.ensure_account(here, name)
        for key in initial.keys:
            accounts.ensure_key(here, key)
        limits.set_maxima(here, initial.limits or {})
    except Misconfigured as error:
        raise Misconfigured(f"{initial.file}: {error}") from error
    if initial.calls:
        # Imports botocore's client, which takes as long as all else of a start.
        from sametoken.operate.calling import call_all

        call_all(node, initial.calls)
