"""Answering in a simulated node, as `sametoken.server.pipeline` does, without HTTP and signatures:
strike, admit, one transaction, strike again, reply.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from admitting import admit
from sametoken import faults
from sametoken.ec2.kit.actions import Read
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError, Transient
from sametoken.faults import Point
from sametoken.faults.kinds import Kind
from sametoken.resources.catalogues.geography import zones_of
from sametoken.server.admission import Admitted
from sametoken.server.credentials import Principal
from sametoken.server.execution import Executed, execute, needs_preparing, prepare
from sametoken.server.striking import MADE
from sametoken.store.port import Tx, WouldWait
from simulation.history import Delivery, Fate
from simulation.scheduler import SECOND
from simulation.striking import UNKNOWN, Strikes

if TYPE_CHECKING:
    from simulation.cluster import Node

# Time that a request waits for the store before it is answered 503, as in `server/pools.py`.
ANSWER_US_MAX = 20 * SECOND
# Names the count of requests that were told that what they name is not there yet.
HIDDEN = "hidden"


def serve(
    node: Node, delivery: Delivery, done: Callable[[Delivery], None], strikes: Strikes
) -> None:
    """Answer a request as the rules that strike it let it be answered."""
    scheduler = node.cluster.scheduler
    if strikes.has(Kind.DELAY_REQUEST):
        scheduler.block(int(strikes.seconds(Kind.DELAY_REQUEST) * SECOND))
    fate = strikes.refusal or strikes.replied(_answer(node, delivery, strikes))
    faults.reach(Point.REPLY_READY)
    if strikes.has(Kind.DELAY_REPLY):
        scheduler.block(int(strikes.seconds(Kind.DELAY_REPLY) * SECOND))
    if not strikes.loses_reply:
        delivery.settle(fate)
        done(delivery)


def _answer(node: Node, delivery: Delivery, strikes: Strikes) -> Fate:
    call = delivery.call
    principal = Principal("AKIASIMULATED", call.account, "full", "secret")
    try:
        admitted = admit(call.form(), principal, call.region, delivery.request_id)
        if needs_preparing(admitted):
            admitted = prepare(admitted)
        if node.backlog.is_late(call.account):
            late = replace(admitted.request, launches_late=True)
            admitted = replace(admitted, request=late)
        if _is_hidden(node, admitted.request):
            return Fate(400, UNKNOWN, ran=False)
        full = strikes.full_zones([zone.name for zone in zones_of(call.region)])
        admitted = replace(admitted, request=replace(admitted.request, full_zones=full))
        executed = _execute(node, admitted)
        error = executed.error
        if error is None:
            if executed.attempt in MADE and executed.result is not None:
                params = admitted.request.params
                for rule in strikes.hiding:
                    node.hidden.hide(call.action, params, executed.result, rule)
            return Fate(200, "", executed.result)
    except ServiceError as refused:
        error = refused
    except Transient as busy:
        error = refusals.unavailable()
        return Fate(error.http_status, error.code, ran=busy.ran)
    # A launch that is refused because others wait has left nothing.
    return Fate(error.http_status, error.code, ran=error.code != "Unavailable")


def _is_hidden(node: Node, request: Request) -> bool:
    """Does the request name an id that a rule hides, which is still in force?"""
    found = node.hidden.find(request.params)
    if found is None or not node.board.has(found[1]):
        return False
    node.cluster.scheduler.note(f"{found[0].message} (hidden)")
    node.cluster.fired[HIDDEN] += 1
    return True


def _execute(node: Node, admitted: Admitted) -> Executed:
    action = admitted.action
    if isinstance(action, Read):
        return Executed("read", _read(node, action, admitted.request))

    def run(tx: Tx) -> Executed:
        return execute(tx, node.engine, admitted)

    node.cluster.hazards.switch()
    future = node.store.submit(run)
    node.store.wait(future, ANSWER_US_MAX)
    if not future.done():
        raise Transient("no answer in time", ran=not future.cancel())
    return future.result()


def _read(node: Node, action: Read, request: Request) -> Document:
    """Read at once, as the server's loop may, else in the request's own turn."""
    if action.hurries:
        with suppress(WouldWait):
            return node.store.read_now(lambda tx: action.run(tx, request))
    found = node.store.read(lambda tx: action.run(tx, request))
    if node.cluster.hazards.happens(node.cluster.hazards.swarm.read_cut):
        raise Transient("the read took too long (simulated)", ran=False)
    return found
