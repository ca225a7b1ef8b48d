"""A writer of this process to which every request, and every answer of it, goes in a frame.

Planes have it, so that each suite of theirs also shows that edges of their own would answer alike.
"""

from __future__ import annotations

from typing import Any

from sametoken.errors import ServiceError, Transient
from sametoken.server.admission import Admitted
from sametoken.server.execution import Executed
from sametoken.server.frames import (
    FromEdge,
    FromWriter,
    Splitter,
    admitted_of,
    answer_of,
    answer_with,
    ask_to_execute,
    framed,
)
from sametoken.server.writing import OwnWriter


def sent(type: Any, message: Any) -> Any:
    """The message as the other end hears it."""
    [heard] = Splitter[Any](type).feed(framed(message))
    return heard


class Framing(OwnWriter):
    """`OwnWriter` as far as what it does; `FarWriter` as far as what it is told and tells."""

    async def execute(self, admitted: Admitted) -> Executed:
        told = admitted_of(sent(FromEdge, ask_to_execute(1, 0.0, admitted)))
        assert told.request == admitted.request, "a frame changes nothing"
        try:
            answer = answer_of(1, await super().execute(told))
        except (ServiceError, Transient) as error:
            answer = answer_with(1, error)
        executed: Executed = sent(FromWriter, answer).executed()
        return executed
