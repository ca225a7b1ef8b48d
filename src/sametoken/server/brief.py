"""Reads that were lately answered in few bytes, and so need no thread of their own when repeated.

To hand a read to another thread and back costs more than a short read. But a long one would hold up
every connection, as would one that waits for a lock or a disk. A read that is repeated, as by
callers that wait for a state, finds what it needs in memory: the fragments in this program's, the
pages in the system's. It is tried at once, within the bounds of `Store.read_now`, and goes to a
reader's thread if it exceeds them.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeAlias

from sametoken.server.exchange import Exchange, known

# Requests that are remembered, and the most bytes of each: ten megabytes together.
REQUESTS_MAX = 10_000
REQUEST_BYTES_MAX = 1024
# An answer with a page of 100 instances.
ANSWER_BYTES_MAX = 512 * 1024

_Asked: TypeAlias = tuple[str, bytes]


class Brief:
    """The requests of one node, by caller. For use from one thread at a time."""

    def __init__(self) -> None:
        self._lately: OrderedDict[_Asked, None] = OrderedDict()

    def expects(self, exchange: Exchange) -> bool:
        """Tell whether the same request was answered lately, and in few bytes."""
        return _asked(exchange) in self._lately

    def note(self, exchange: Exchange) -> None:
        """Remember a request that a reader's thread has answered."""
        asked = _asked(exchange)
        if len(known(exchange.reply).body) > ANSWER_BYTES_MAX or len(asked[1]) > REQUEST_BYTES_MAX:
            return
        self._lately[asked] = None
        if len(self._lately) > REQUESTS_MAX:
            self._lately.popitem(last=False)

    def forget(self, exchange: Exchange) -> None:
        """Forget a request that could not be answered at once."""
        self._lately.pop(_asked(exchange), None)


def _asked(exchange: Exchange) -> _Asked:
    """Identify a request by its caller's key, and its body, in which the Region does not show."""
    signature = known(exchange.signature)
    return f"{signature.access_key_id}/{signature.region}", known(exchange.wire).body
