"""The order of a request, as a list of stages: a form in, one transaction, a reply out.

This order makes a repeat safe. A refusal must never bind a client token, so all checks that need no
database run before the transaction that looks the token up. And a retry must not fail for what has
changed since, so checks that depend on state run inside that transaction, after the engine has
recognised a replay. Bounds on bytes and time come first: see `connection` and `bounds`.

`Pipeline` is one of the few places that catch every exception: a bug is logged, and answered with a
500. A request that waits for no other thread is answered before `Pipeline.answer` returns.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from sametoken.ec2 import rehearsals
from sametoken.ec2.kit.actions import Read
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.protocol.model import ServiceModel
from sametoken.ec2.protocol.query import Form, split_form
from sametoken.ec2.protocol.signing import Signature, claimed_key, read_signature
from sametoken.ec2.protocol.wire import WireRequest
from sametoken.errors import ServiceError, Transient
from sametoken.server import (
    admission,
    fault_header,
    identity,
    invocations,
    other_services,
)
from sametoken.server.admission import Admitted
from sametoken.server.bounds import KIB
from sametoken.server.brief import Brief
from sametoken.server.choices import Choices
from sametoken.server.credentials import Credentials, Principal
from sametoken.server.ends import Ends
from sametoken.server.exchange import Exchange, known
from sametoken.server.execution import Executed, needs_preparing, prepare, refusing_terminated
from sametoken.server.pools import Pools
from sametoken.server.rates import bucket_of
from sametoken.server.seeding import Seeding
from sametoken.server.stages import Stage, inserted
from sametoken.server.tally import Tally
from sametoken.server.writing import Writer
from sametoken.store.port import Tx, WouldWait
from sametoken.store.reading import Snapshots
from sametoken.world import World

log = logging.getLogger("sametoken.requests")

# Requests in work at once, in all edges of a node: its writer's work for about a second. Further
# ones would only wait for it; refused at once, they leave the other half of the connections to
# callers who come back.
REQUESTS_MAX = 256

# A larger body is proven to be somebody's before it is parsed; parsing less takes under a ms.
UNPROVEN_BYTES_MAX = 8 * KIB


class Pipeline:
    """Answers requests, stage by stage, in the order of `stages`.

    The first stage that sets the reply, or raises a refusal, ends the request.
    """

    def __init__(
        self,
        store: Snapshots,
        writer: Writer,
        credentials: Credentials,
        world: World,
        choices: Choices,
        pools: Pools,
        tally: Tally,
        ends: Ends,
        *,
        takes_faults: bool = False,
    ) -> None:
        self._store = store
        self._writer = writer
        self._credentials = credentials
        self._world = world
        self._choices = choices
        self._pools = pools
        self._seeding = Seeding(store, writer, pools)
        self._brief = Brief()
        self._tally = tally
        self._ends = ends
        # Whether a request may name a fault that is to strike it.
        self._takes_faults = takes_faults
        # Load both now: the first request would wait a fifth of a second for it.
        self._ec2, self._sts = ServiceModel.load("ec2"), ServiceModel.load("sts")
        self._in_work: set[asyncio.Task[Exchange]] = set()
        self.stages: tuple[Stage, ...] = (
            Stage("service", self._refuse_others),
            Stage("path", self._check_path),
            Stage("proof", self._prove_large),
            Stage("form", self._split_form),
            Stage("signature", self._authenticate),
            Stage("identity", self._say_who_calls),
            Stage("throttle", self._spend),
            Stage("parse", self._parse),
            Stage("authorise", self._authorise),
            Stage("seed", self._seed),
            Stage("dry run", self._answer_dry_run),
            Stage("invocation", self._note_invocation),
            Stage("prepare", self._prepare),
            # Stages above look no token up, so none of their refusals can bind one.
            Stage("transaction", self._transact),
            Stage("render", self._render),
        )

    def insert(self, stage: Stage, *, before: str) -> None:
        """Have `stage` run just before the one named `before`, for every request from now on."""
        self.stages = inserted(self.stages, stage, before=before)

    def answer(
        self, exchange: Exchange, stages: tuple[Stage, ...] | None = None
    ) -> Exchange | asyncio.Task[Exchange]:
        """Return the exchange with its reply: a result, a refusal, 503 or 500.

        If a stage has to wait for another thread, it is a task that returns it. To cancel the task
        gives the request up: what has begun in another thread goes on, what has not never will.
        `stages` are for this request alone.
        """
        if self._tally.total() >= REQUESTS_MAX:
            return exchange.refused(refusals.request_limit_exceeded())
        said = self._advance(exchange, iter(self.stages if stages is None else stages))
        if isinstance(said, Exchange):
            return said
        task = asyncio.get_running_loop().create_task(said)
        self._in_work.add(task)
        task.add_done_callback(self._end)
        self._tally.note(len(self._in_work))
        return task

    def _end(self, task: asyncio.Task[Exchange]) -> None:
        self._in_work.discard(task)
        self._tally.note(len(self._in_work))

    def _advance(
        self, exchange: Exchange, stages: Iterator[Stage]
    ) -> Exchange | Coroutine[Any, Any, Exchange]:
        """Run stages until one sets the reply, or has to wait."""
        try:
            for stage in stages:
                said = stage.step(exchange)
                if not isinstance(said, Exchange):
                    return self._wait(exchange, said, stages)
                exchange = said
                if exchange.reply is not None:
                    return exchange
            raise AssertionError("the last stage sets the reply")
        except (ServiceError, Transient) as error:
            return _refused(exchange, error)
        except Exception:
            log.exception("request %s: our bug", exchange.request_id)
            return exchange.refused(refusals.internal_error())

    async def _wait(
        self, exchange: Exchange, said: Awaitable[Exchange], stages: Iterator[Stage]
    ) -> Exchange:
        try:
            exchange = await said
        except asyncio.CancelledError:
            self._ends.gone(exchange)
            raise
        except (ServiceError, Transient) as error:
            return _refused(exchange, error)
        except Exception:
            log.exception("request %s: our bug", exchange.request_id)
            return exchange.refused(refusals.internal_error())
        if exchange.reply is not None:
            return exchange
        after = self._advance(exchange, stages)
        return after if isinstance(after, Exchange) else await after

    # The stages, in their order.

    def _refuse_others(self, exchange: Exchange) -> Exchange:
        wire = known(exchange.wire)
        if wire.has(fault_header.HEADER_BYTES) and not self._takes_faults:
            raise fault_header.not_here()
        reply = other_services.refusal_of(wire, exchange.request_id)
        return exchange if reply is None else exchange._replace(reply=reply)

    def _check_path(self, exchange: Exchange) -> Exchange:
        if known(exchange.wire).path != b"/":
            raise ServiceError("InvalidRequest", "EC2's API is at the path /.", http_status=404)
        return exchange

    def _prove_large(self, exchange: Exchange) -> Exchange | Awaitable[Exchange]:
        """Refuse a large body of nobody's before it is parsed, which takes the loop for long.

        A signature in a header is checked over the raw bytes; of any other, that its key exists.
        """
        wire = known(exchange.wire)
        if len(wire.body) <= UNPROVEN_BYTES_MAX:
            return exchange
        if wire.only("authorization") is not None:
            signature = self._signature(wire, {})
            prove = partial(_verified, exchange, signature)
            return self._with_principal(signature.access_key_id, prove, exchange)
        key = claimed_key(wire.query) or claimed_key(wire.body)
        if key is None:
            raise refusals.missing_parameter("AWSAccessKeyId")
        return self._with_principal(key, lambda _: exchange, exchange)

    def _with_principal(
        self, key: str, prove: Callable[[Principal], object], exchange: Exchange
    ) -> Exchange | Awaitable[Exchange]:
        """Return `exchange` once `prove` has not refused the key's principal."""
        principal = self._credentials.remembered(key)
        if principal is not None:
            prove(principal)
            return exchange

        async def look_up() -> Exchange:
            prove(await self._find_principal(key))
            return exchange

        return look_up()

    def _split_form(self, exchange: Exchange) -> Exchange:
        wire = known(exchange.wire)
        form = split_form(wire.query, wire.body, wire.last("content-type"), wire.method)
        return exchange._replace(form=form)

    def _authenticate(self, exchange: Exchange) -> Exchange | Awaitable[Exchange]:
        """Prove who is calling: read the signature, look its key up, verify with the secret."""
        signature = self._signature(known(exchange.wire), known(exchange.form))
        principal = self._credentials.remembered(signature.access_key_id)
        if principal is None:
            return self._look_up(exchange, signature)
        return _verified(exchange, signature, principal)

    def _signature(self, wire: WireRequest, form: Form) -> Signature:
        signature = read_signature(
            wire,
            form,
            now=self._world.now(),
            default_region=self._choices.default_region,
            allow_v2=self._choices.allow_signature_v2,
            allow_sha1=self._choices.allow_sha1,
            allow_sessions=self._choices.any_credentials,
        )
        admission.check_place(signature)
        return signature

    async def _look_up(self, exchange: Exchange, signature: Signature) -> Exchange:
        principal = await self._find_principal(signature.access_key_id)
        return _verified(exchange, signature, principal)

    async def _find_principal(self, key: str) -> Principal:
        principal = await self._pools.look_up(partial(self._credentials.look_up, key))
        if principal is None:
            raise refusals.auth_failure("The access key does not exist.")
        return principal

    def _say_who_calls(self, exchange: Exchange) -> Exchange:
        """Answer a request to STS, whose one action needs only a signature."""
        if known(exchange.signature).service != "sts":
            return exchange
        form, principal = known(exchange.form), known(exchange.principal)
        body = identity.get_caller_identity(self._sts, form, principal, exchange.request_id)
        return exchange.answered(body, Executed("read"))

    def _spend(self, exchange: Exchange) -> Exchange | Awaitable[Exchange]:
        """Throttle, after the signature is proven: no caller can spend the rate of another."""
        bucket = bucket_of(self._choices.rates, exchange.action, known(exchange.form))
        if bucket is None:
            return exchange
        account, region = known(exchange.principal).account, known(exchange.signature).region
        spent = self._writer.spend(account, region, bucket)
        return exchange if spent is None else _after(spent, exchange)

    def _parse(self, exchange: Exchange) -> Exchange:
        admitted = self._brief.find(exchange) or admission.parse(
            known(exchange.form),
            self._ec2,
            principal=known(exchange.principal),
            region=known(exchange.signature).region,
            request_id=exchange.request_id,
        )
        return exchange._replace(admitted=admitted)

    def _authorise(self, exchange: Exchange) -> Exchange:
        admission.authorise(known(exchange.admitted))
        return exchange

    def _answer_dry_run(self, exchange: Exchange) -> Exchange | Awaitable[Exchange]:
        admitted = known(exchange.admitted)
        if admission.is_dry_run(admitted):
            return self._rehearse(admitted)
        return exchange._replace(admitted=admission.without_dry_run(admitted))

    async def _rehearse(self, admitted: Admitted) -> Exchange:
        """Raise DryRunOperation, or the refusal of what the request names and is not there."""
        look = partial(rehearsals.rehearse, action=admitted.action, request=admitted.request)
        await self._pools.read(admitted.request.account, lambda: self._store.read(look))
        raise refusals.dry_run()

    def _note_invocation(self, exchange: Exchange) -> Exchange:
        """Note the SDK's invocation; its id is a missing token's stand-in, if that was chosen."""
        stands_in = self._choices.dedupe_invocations
        return invocations.noted(exchange, self._ends.node, stands_in=stands_in)

    def _seed(self, exchange: Exchange) -> Exchange | Awaitable[Exchange]:
        request = known(exchange.admitted).request
        if self._seeding.is_done(request.account, request.region):
            return exchange
        return _after(self._seeding.seed(request.account, request.region), exchange)

    def _prepare(self, exchange: Exchange) -> Exchange | Awaitable[Exchange]:
        if not needs_preparing(known(exchange.admitted)):
            return exchange
        return self._prepare_apart(exchange)

    async def _prepare_apart(self, exchange: Exchange) -> Exchange:
        admitted = known(exchange.admitted)
        return exchange._replace(admitted=await self._pools.prepare(partial(prepare, admitted)))

    def _transact(self, exchange: Exchange) -> Exchange | Awaitable[Exchange]:
        """Read a snapshot, or change rows in the transaction that looks the token up."""
        action = known(exchange.admitted).action
        if not isinstance(action, Read):
            return self._execute(exchange)
        if action.hurries and self._brief.expects(exchange):
            try:
                return self._look(exchange, action, self._store.read_now)
            except WouldWait:
                self._brief.forget(exchange)
        return self._look_apart(exchange, action)

    async def _execute(self, exchange: Exchange) -> Exchange:
        admitted = known(exchange.admitted)
        executed = await self._writer.execute(admitted)
        if self._choices.after_termination == "error":
            executed = refusing_terminated(executed)
        return exchange._replace(executed=executed)

    async def _look_apart(self, exchange: Exchange, action: Read) -> Exchange:
        """Read and render in a reader's thread: a list may be megabytes long."""
        look = partial(self._look, exchange, action, self._store.read)
        answered = await self._pools.read(known(exchange.principal).account, look)
        if action.hurries:
            self._brief.note(answered)
        return answered

    def _look(
        self, exchange: Exchange, action: Read, read: Callable[[Callable[[Tx], Document]], Document]
    ) -> Exchange:
        admitted = known(exchange.admitted)
        request = admitted.request
        if action.prepare is not None and request.prepared is None:
            request = replace(request, prepared=action.prepare(request))
            exchange = exchange._replace(admitted=replace(admitted, request=request))
        result = read(lambda tx: action.run(tx, request))
        body = admitted.codec.render(result, exchange.request_id)
        return exchange.answered(body, Executed("read", result))

    def _render(self, exchange: Exchange) -> Exchange:
        """Render the result; a refusal that the transaction committed is raised only here."""
        executed = known(exchange.executed)
        if executed.error is not None:
            raise executed.error
        codec = known(exchange.admitted).codec
        return exchange.answered(codec.render(known(executed.result), exchange.request_id))


def _verified(exchange: Exchange, signature: Signature, principal: Principal) -> Exchange:
    """Raise unless the key's secret made the signature, in a version that its account allows."""
    if principal.secret is not None:
        signature.verify(principal.secret)
    if signature.signature_version == 2 and not principal.signature_v2:
        raise refusals.auth_failure(
            "Signature version 2 is switched off for this account. Sign with version 4."
        )
    return exchange._replace(signature=signature, principal=principal)


async def _after(waited: Awaitable[None], exchange: Exchange) -> Exchange:
    await waited
    return exchange


def _refused(exchange: Exchange, error: ServiceError | Transient) -> Exchange:
    if isinstance(error, ServiceError):
        return exchange.refused(error)
    log.warning("request %s: %s (ran=%s)", exchange.request_id, error, error.ran)
    return exchange.refused(refusals.unavailable())
