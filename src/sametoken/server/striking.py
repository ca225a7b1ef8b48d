"""Striking: requests answered as `pipeline` does, and struck as the rules of a node's board say.

A request that no rule could strike passes the pipeline as if this were not there. Any other passes
two stages more. The first decides, once for the request, which rules strike it, and acts for those
that strike before anything is done; the second changes the state that the request meets. A
reply is struck when the pipeline has returned: after the COMMIT.

The repeats of `duplicate` and `late-duplicate` pass every stage again, the signature's too: one
that comes more than 15 minutes after it was signed is refused, as EC2 would. No rule strikes them,
so a request that was refused has none: a rule may have kept it from acting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import replace
from typing import Any, Protocol

from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import error_codes, refusals
from sametoken.ec2.protocol.wire import WireRequest
from sametoken.errors import ServiceError
from sametoken.faults.board import Board
from sametoken.faults.kinds import OF_REQUESTS, Kind
from sametoken.faults.rules import Occasion, Rule
from sametoken.resources.catalogues import geography
from sametoken.server import fault_header, invocations
from sametoken.server.ends import Ends
from sametoken.server.exchange import Exchange, Reply, known
from sametoken.server.execution import Executed
from sametoken.server.hidden import Hidden
from sametoken.server.pipeline import Pipeline
from sametoken.server.replies import Answer, Part
from sametoken.server.stages import Stage, inserted
from sametoken.world import World, mint_uuid

# The state that nobody else has changed since: what `not-yet-found` may hide.
MADE = ("new", "done")
_REPEATS = (Kind.DUPLICATE, Kind.LATE_DUPLICATE)
# A request that nobody heard has no status, one that has acted this one.
_DONE = 200
_UNHEARD = Reply(0, b"")


class Answering(Protocol):
    """A way to answer requests: the pipeline itself, or with faults."""

    def answer(self, exchange: Exchange) -> Exchange | asyncio.Task[Exchange]: ...


class Striker:
    """Answers requests, and strikes them. For use from the event loop alone."""

    def __init__(self, pipeline: Pipeline, board: Board, world: World, ends: Ends) -> None:
        self._pipeline = pipeline
        self._ends = ends
        self._board = board
        self._world = world
        self._hidden = Hidden(board.now)
        self._timers: set[asyncio.TimerHandle] = set()
        self._late: set[asyncio.Task[Any]] = set()

    def answer(self, exchange: Exchange) -> Exchange | asyncio.Task[Exchange]:
        """Return the exchange with its reply, as `Pipeline.answer` does."""
        asked = known(exchange.wire).has(fault_header.HEADER_BYTES)
        if not (asked or self._board.of_requests or self._hidden):
            return self._pipeline.answer(exchange)
        return asyncio.get_running_loop().create_task(self._answer(exchange))

    async def _answer(self, exchange: Exchange) -> Exchange:
        began, resets = self._world.monotonic(), self._board.resets
        stages = inserted(self._pipeline.stages, Stage("strike", self._strike), before="throttle")
        stages = inserted(stages, Stage("strike the state", self._disturb), before="dry run")
        said = self._pipeline.answer(exchange, stages)
        exchange = said if isinstance(said, Exchange) else await said
        has_acted = known(exchange.reply).status == _DONE
        # A client may hang up in a delay, which ends all that follows.
        for rule in sorted(exchange.strikes, key=lambda one: one.kind is Kind.DELAY_REPLY):
            if has_acted or rule.kind not in _REPEATS:
                exchange = await self._strike_reply(exchange, rule, began, resets)
        return exchange

    @property
    def due(self) -> int:
        """How many requests are still to come late, or are being answered."""
        return len(self._timers) + len(self._late)

    def close(self) -> None:
        """Give up all that would still come late."""
        for timer in self._timers:
            timer.cancel()
        for task in self._late:
            task.cancel()

    # Before the request acts

    def _strike(self, exchange: Exchange) -> Exchange | Awaitable[Exchange]:
        """Decide which rules strike the request; act for those that keep it from acting."""
        own = fault_header.find_rule(known(exchange.wire))
        occasion = self._occasion(exchange)
        strikes = self._board.strike(occasion, OF_REQUESTS)
        if own is not None and own.matches(occasion):
            self._board.note(own, occasion)
            strikes = (*strikes, own)
        if not strikes:
            return exchange
        exchange = exchange._replace(strikes=strikes)
        if _has(strikes, Kind.LOSE_REQUEST):
            return exchange._replace(reply=_UNHEARD, executed=Executed("lost"))
        seconds = sum(one.seconds for one in strikes if one.kind is Kind.DELAY_REQUEST)
        refusal = next((found for one in strikes if (found := _refusal(one)) is not None), None)
        if refusal is not None:
            exchange = exchange.refused(refusal)
        return self._later(exchange, seconds) if seconds else exchange

    async def _later(self, exchange: Exchange, seconds: float) -> Exchange:
        await _pause(seconds)
        return exchange

    def _occasion(self, exchange: Exchange) -> Occasion:
        form, wire = known(exchange.form), known(exchange.wire)
        account, region = known(exchange.principal).account, known(exchange.signature).region
        token = form.get("ClientToken", "")
        call = token or wire.last(invocations.HEADER)
        tried = 1
        if call:
            tried = self._board.tries((account, region, exchange.action, call))
        return Occasion(
            exchange.request_id, account, region, _zone_named(form), exchange.action, token,
            form.get("InstanceType", ""), attempt=tried,
        )  # fmt: skip

    # The state that it meets

    def _disturb(self, exchange: Exchange) -> Exchange:
        """Take capacity from the request, and hide ids from it."""
        admitted = known(exchange.admitted)
        request = admitted.request
        hidden = self._hidden.find(request.params)
        if hidden is not None and self._is_in_force(hidden[1]):
            refusal, rule = hidden
            return exchange._replace(strikes=(*exchange.strikes, rule)).refused(refusal)
        full = _full_zones(request, exchange.strikes)
        if not full:
            return exchange
        request = replace(request, full_zones=full)
        return exchange._replace(admitted=replace(admitted, request=request))

    # After the commit

    async def _strike_reply(
        self, exchange: Exchange, rule: Rule, began: float, resets: int
    ) -> Exchange:
        """Do what a rule does once the request has been answered; returns the exchange as it is."""
        match rule.kind:
            case Kind.NOT_YET_FOUND:
                self._hide(exchange, rule)
            case Kind.DUPLICATE:
                self._ends.answered(exchange, self._world.monotonic() - began)
                exchange = await self._again(known(exchange.wire), exchange.strikes)
            case Kind.LATE_DUPLICATE:
                self._send_late(exchange, rule, resets)
            case Kind.FAIL_REPLY:
                exchange = exchange.refused(refusals.internal_error())
            case Kind.DELAY_REPLY:
                try:
                    await _pause(rule.seconds)
                except asyncio.CancelledError:
                    self._ends.gone(exchange)
                    raise
        return exchange

    def _hide(self, exchange: Exchange, rule: Rule) -> None:
        executed = exchange.executed
        if executed is not None and executed.attempt in MADE and executed.result is not None:
            params = known(exchange.admitted).request.params
            self._hidden.hide(exchange.action, params, executed.result, rule)

    async def _again(self, wire: WireRequest, strikes: tuple[Rule, ...]) -> Exchange:
        """Have the same request come once more."""
        received = self._board.now()
        said = self._pipeline.answer(Exchange(mint_uuid(self._world), wire, received=received))
        exchange = said if isinstance(said, Exchange) else await said
        return exchange._replace(strikes=strikes)

    def _send_late(self, exchange: Exchange, rule: Rule, resets: int) -> None:
        """Have it come once more after the rule's seconds, unless rule or account begin anew.

        `resets` were those before it came: one while it was answered counts as well.
        """
        wire, account = known(exchange.wire), known(exchange.principal).account

        def come() -> None:
            self._timers.discard(timer)
            if not self._is_in_force(rule) or self._board.was_reset(account, resets):
                return
            task = asyncio.get_running_loop().create_task(self._come_late(wire, rule))
            self._late.add(task)
            task.add_done_callback(self._late.discard)

        timer = asyncio.get_running_loop().call_later(rule.seconds, come)
        self._timers.add(timer)

    def _is_in_force(self, rule: Rule) -> bool:
        """Tell whether what a rule began is to go on: unless it was taken off the board."""
        return rule.name == fault_header.HEADER or self._board.has(rule)

    async def _come_late(self, wire: WireRequest, rule: Rule) -> None:
        began = self._world.monotonic()
        exchange = await self._again(wire, (rule,))
        self._ends.answered(exchange, self._world.monotonic() - began)


def shaped(answer: Answer, strikes: Iterable[Rule]) -> Answer:
    """Return the answer as the strikes let it leave: in part, or with a word on when to repeat."""
    for rule in strikes:
        match rule.kind:
            case Kind.LOSE_REQUEST | Kind.LOSE_REPLY:
                return replace(answer, part=Part.NOTHING)
            case Kind.CUT_REPLY:
                answer = replace(answer, part=Part.HEAD)
            case Kind.THROTTLE:
                answer = replace(answer, headers=answer.headers + _retry_after(rule.seconds))
    return answer


def _retry_after(seconds: float) -> bytes:
    """Whole seconds for everybody (RFC 9110), and milliseconds for SDKs that read them."""
    return b"retry-after: %d\r\nx-amz-retry-after: %d\r\n" % (-(-seconds // 1), seconds * 1000)


def _has(strikes: Iterable[Rule], kind: Kind) -> bool:
    return any(one.kind is kind for one in strikes)


def _refusal(rule: Rule) -> ServiceError | None:
    """Return the refusal with which a rule answers, before anything is done; None for others."""
    match rule.kind:
        case Kind.FAIL_REQUEST:
            return refusals.internal_error()
        case Kind.UNAVAILABLE:
            return refusals.unavailable()
        case Kind.THROTTLE:
            return refusals.request_limit_exceeded()
        case Kind.ERROR:
            message = rule.message or f"The fault {rule.name} refuses this request."
            status = error_codes.status_of(rule.code)
            return ServiceError(rule.code, message, http_status=status)
        case _:
            return None


def _zone_named(form: Any) -> str:
    """Return the zone that a form names, by its name or its id; "" for none, or a subnet."""
    for place in ("Placement.AvailabilityZone", "AvailabilityZone"):
        if form.get(place):
            return str(form[place])
        zone = geography.zone_by_id(form.get(f"{place}Id", ""))
        if zone is not None:
            return zone.name
    return ""


def _full_zones(request: Request, strikes: Iterable[Rule]) -> tuple[str, ...]:
    rules = [one for one in strikes if one.kind is Kind.NO_CAPACITY]
    if not rules:
        return ()
    zones = [zone.name for zone in geography.zones_of(request.region)]
    return tuple(zone for zone in zones if any(one.is_for_zone(zone) for one in rules))


async def _pause(seconds: float) -> None:
    """Wait, in seconds of the event loop's clock."""
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(seconds, woken.set_result, None)
    try:
        await woken
    finally:
        timer.cancel()
