"""Reads that were lately answered in few bytes: repeated, they need no parsing, and no thread.

To hand a read to another thread and back costs more than a short read. But a long one would hold up
every connection, as would one that waits for a lock or a disk. A read that is repeated, as by
callers that wait for a state, finds what it needs in memory: the fragments in this program's, the
pages in the system's. It is tried at once, within the bounds of `Store.read_now`, and goes to a
reader's thread if it exceeds them.

The parameters of a request follow from its bytes, Region and caller alone, so these tell whether it
is repeated.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TypeAlias

from sametoken.server.admission import Admitted
from sametoken.server.exchange import Exchange, known

# Requests that are remembered, and the most bytes of each: ten megabytes together with what was
# made of them.
REQUESTS_MAX = 2_000
REQUEST_BYTES_MAX = 1024
# An answer with a page of 100 instances.
ANSWER_BYTES_MAX = 512 * 1024

_Asked: TypeAlias = tuple[str, str, str, str, str, bytes, bytes]


class Brief:
    """The requests of one process, as they were admitted. For use from one thread at a time."""

    def __init__(self) -> None:
        self._lately: OrderedDict[_Asked, Admitted] = OrderedDict()

    def find(self, exchange: Exchange) -> Admitted | None:
        """Return the request as it was admitted, if it was lately answered in few bytes."""
        admitted = self._lately.get(_asked(exchange))
        if admitted is None:
            return None
        # Only the id tells it from the earlier one.
        return replace(admitted, request=replace(admitted.request, request_id=exchange.request_id))

    def expects(self, exchange: Exchange) -> bool:
        """Tell whether the same request was answered lately, and in few bytes."""
        return _asked(exchange) in self._lately

    def note(self, exchange: Exchange) -> None:
        """Remember a request that a reader's thread has answered."""
        wire = known(exchange.wire)
        size = len(wire.query) + len(wire.body)
        if len(known(exchange.reply).body) > ANSWER_BYTES_MAX or size > REQUEST_BYTES_MAX:
            return
        self._lately[_asked(exchange)] = known(exchange.admitted)
        if len(self._lately) > REQUESTS_MAX:
            self._lately.popitem(last=False)

    def forget(self, exchange: Exchange) -> None:
        """Forget a request that could not be answered at once."""
        self._lately.pop(_asked(exchange), None)


def _asked(exchange: Exchange) -> _Asked:
    """Identify a request by all that its form, which is valid, was made of, and by its caller."""
    wire, caller = known(exchange.wire), known(exchange.principal)
    return (
        caller.access_key_id, caller.account, caller.access, known(exchange.signature).region,
        wire.method, wire.query, wire.body,
    )  # fmt: skip
