"""Tracing of requests: a span for each, and one that stands for the call whose attempts they are.

An SDK sends an id with every attempt of a call. The trace, and the span of the call, follow from it
and the account; a caller that traces by itself says where its attempts belong. A launch gets the
place of the request that made it in its row, and its steps go on from there.
"""

from __future__ import annotations

from dataclasses import replace

from sametoken.ec2.protocol.wire import WireRequest
from sametoken.server import invocations
from sametoken.server.counts import named
from sametoken.server.exchange import Exchange, known
from sametoken.spans import Context, NotSampled, Span, Traces, read_traceparent, span_of, trace_of
from sametoken.world import World

TRACEPARENT = "traceparent"
_ERROR_STATUS = 500


class Tracing:
    """Emits the spans of one process's requests."""

    def __init__(self, traces: Traces, world: World) -> None:
        self._traces = traces
        self._world = world

    @classmethod
    def of(cls, traces: Traces | None, world: World) -> Tracing | None:
        """Make it, if spans are to go anywhere."""
        return None if traces is None else cls(traces, world)

    def mark(self, exchange: Exchange) -> Exchange:
        """Have what the request makes know its place in the trace."""
        placed = _placed(exchange)
        if placed is None:
            return exchange
        admitted = known(exchange.admitted)
        request = replace(admitted.request, trace=str(placed[0]))
        return exchange._replace(admitted=replace(admitted, request=request))

    def ended(self, exchange: Exchange, seconds: float) -> None:
        """Emit the span of a request that has its reply; with the first attempt its call's too."""
        placed = _placed(exchange)
        if placed is None:
            return
        at, parent = placed
        end = self._world.now().timestamp()
        name, wire = named(exchange.action), known(exchange.wire)
        if parent is not None and _begins_call(wire):
            call = Context(at.trace, parent)
            attributes = {"sametoken.invocation": invocations.id_of(wire) or ""}
            self._traces.emit(Span(f"call {name}", call, None, end - seconds, end, attributes))
        reply = known(exchange.reply)
        failed = reply.code if reply.status >= _ERROR_STATUS or not reply.status else ""
        self._traces.emit(Span(name, at, parent, end - seconds, end, _attributes(exchange), failed))


def _placed(exchange: Exchange) -> tuple[Context, int | None] | None:
    """Return the place of a request, and the span above it; None if its caller wants no spans."""
    wire = known(exchange.wire)
    try:
        above = read_traceparent(wire.last(TRACEPARENT) or "")
    except NotSampled:
        return None
    invocation = invocations.id_of(wire)
    if above is not None:
        trace, parent = above
    elif invocation is not None:
        account = exchange.principal.account if exchange.principal is not None else ""
        trace = trace_of("call", account, invocation)
        parent = span_of(trace, "call")
    else:
        trace, parent = trace_of("request", exchange.request_id), None
    return Context(trace, span_of(trace, "request", exchange.request_id)), parent


def _begins_call(wire: WireRequest) -> bool:
    """Tell whether a request is the first attempt of a call that nobody else traces."""
    is_traced = read_traceparent(wire.last(TRACEPARENT) or "") is not None
    return not is_traced and invocations.number_of(wire) == 1


def _attributes(exchange: Exchange) -> dict[str, str | int | float]:
    reply = known(exchange.reply)
    found: dict[str, str | int | float] = {
        "rpc.system": "aws-api",
        "rpc.service": "EC2",
        "rpc.method": exchange.action,
        "http.response.status_code": reply.status,
        "aws.request_id": exchange.request_id,
        "sametoken.outcome": exchange.outcome,
    }
    if exchange.principal is not None:
        found["sametoken.account"] = exchange.principal.account
    if reply.code != "-":
        found["error.type"] = reply.code
    attempt = invocations.number_of(known(exchange.wire))
    if attempt is not None:
        found["sametoken.attempt"] = attempt
    if exchange.strikes:
        found["sametoken.faults"] = ",".join(one.name for one in exchange.strikes)
    return found
