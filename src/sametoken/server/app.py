"""The request path, top to bottom: bytes in, one transaction, bytes out.

Nothing is sent, no refusal either, before the fate of the request's transaction is known. This is
one of the two places that catch every exception: a bug is answered 500, logged, and ends there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from sametoken import faults
from sametoken.ec2.kit.actions import Read
from sametoken.ec2.protocol import refusals, signing
from sametoken.ec2.protocol.model import ServiceModel
from sametoken.ec2.protocol.query import split_form
from sametoken.ec2.protocol.wire import WireRequest
from sametoken.ec2.protocol.xml import CONTENT_TYPE, render_error
from sametoken.errors import ServiceError, Transient
from sametoken.faults import Point
from sametoken.idempotency import Engine
from sametoken.resources.account import regions
from sametoken.resources.network import default_vpc
from sametoken.server import admission, identity, invocations, probes
from sametoken.server.admission import Admitted
from sametoken.server.choices import DEFAULT_CHOICES, Choices
from sametoken.server.credentials import Credentials, Principal
from sametoken.server.edge import ClientGone, Message, Receive, Send, read_body
from sametoken.server.execution import (
    execute,
    needs_preparing,
    prepare,
    refusing_terminated,
)
from sametoken.server.limits import DEFAULT_LIMITS
from sametoken.server.throttling import Throttle
from sametoken.store.port import Store, Tx
from sametoken.world import World, mint_uuid

log = logging.getLogger("sametoken.requests")
T = TypeVar("T")

PLAIN_TEXT = "text/plain;charset=UTF-8"

# A third of the 60 s after which SDKs stop listening: they shall hear a 503, not a silence.
ANSWER_SECONDS_MAX = 20.0
# Requests in work at once; more would only wait in memory for the one writer.
REQUESTS_MAX = 1024
# Reads are bound by the interpreter: more threads only pass its lock around, and one alone would
# have the short reads wait for the long.
READ_THREADS = 2
# Key pairs are all that is prepared; two cores' worth of them at once, and reads go on beside.
PREPARE_THREADS = 2


@dataclass(slots=True)
class Line:
    """What the log says of one request, gathered on its way."""

    request_id: str
    action: str = "-"
    account: str = "-"
    token: str = "-"  # noqa: S105 - a dash stands for "none" in the log
    outcome: str = "refused"
    code: str = "-"
    differing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes


@dataclass(slots=True)
class App:
    """An ASGI application: EC2's Query API, and sts GetCallerIdentity, at `/`."""

    store: Store
    engine: Engine
    credentials: Credentials
    world: World
    choices: Choices = DEFAULT_CHOICES
    ec2: ServiceModel = field(default_factory=lambda: ServiceModel.load("ec2"))
    sts: ServiceModel = field(default_factory=lambda: ServiceModel.load("sts"))
    _readers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(READ_THREADS, "reader")
    )
    _preparers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(PREPARE_THREADS, "preparer")
    )
    _seeded: set[tuple[str, str]] = field(default_factory=set)
    # False once the node was told to stop: it answers on, but shall not be sent more.
    is_ready: bool = True
    _in_work: int = 0
    _throttle: Throttle = field(init=False)

    def __post_init__(self) -> None:
        self._throttle = Throttle(self.choices.rates, self.world)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["path"] in (probes.HEALTH, probes.READY):
            await self._probe(scope["path"], send)
            return
        line = Line(mint_uuid(self.world))
        began = self.world.monotonic()
        try:
            body = await read_body(receive, DEFAULT_LIMITS.body_bytes_max)
            reply = await self._reply(_wire(scope, body), line)
        except ClientGone:
            return
        except ServiceError as error:
            reply = _refusal("ec2", error, line)
        self._log(line, reply, self.world.monotonic() - began)
        faults.reach(Point.REPLY_READY)
        named = (b"x-amzn-requestid", line.request_id.encode())
        await _send(send, reply, CONTENT_TYPE, named)

    async def _probe(self, path: str, send: Send) -> None:
        def look() -> Awaitable[object]:
            return self._in_reader(lambda: self.store.read(lambda tx: tx.now))

        status, text = await probes.probe(path, is_ready=self.is_ready, look=look)
        await _send(send, Reply(status, text), PLAIN_TEXT)

    async def _reply(self, wire: WireRequest, line: Line) -> Reply:
        """Answer, whatever happens: a refusal, a 503, or a 500 for a bug of ours."""
        if self._in_work >= REQUESTS_MAX:
            return _refusal("ec2", refusals.request_limit_exceeded(), line)
        self._in_work += 1
        protocol = "ec2"
        try:
            form = split_form(wire.query, wire.body, _header(wire, "content-type"), wire.method)
            protocol = "query" if identity.is_for_sts(form) else "ec2"
            return Reply(200, await self._answer(wire, form, line))
        except ServiceError as refused:
            error = refused
        except Transient as busy:
            log.warning("request %s: %s (ran=%s)", line.request_id, busy, busy.ran)
            error = refusals.unavailable()
        except Exception:
            log.exception("request %s: our bug", line.request_id)
            error = refusals.internal_error()
        finally:
            self._in_work -= 1
        return _refusal(protocol, error, line)

    async def _answer(self, wire: WireRequest, form: admission.Form, line: Line) -> bytes:
        fields = dict(form)
        line.action = fields.get("Action", "-")[:64]
        line.token = fields.get("ClientToken", "-")[:64]
        claim = signing.read_claim(
            wire,
            form,
            now=self.world.now(),
            default_region=self.choices.default_region,
            allow_v2=self.choices.allow_signature_v2,
            allow_sha1=self.choices.allow_sha1,
        )
        principal = await self._principal(claim)
        line.account = principal.account
        if claim.service == "sts":
            line.outcome = "read"
            return identity.get_caller_identity(self.sts, form, principal, line.request_id)
        self._throttle.spend(principal.account, claim.region, line.action)
        admitted = admission.admit(
            form, self.ec2, principal=principal, region=claim.region, request_id=line.request_id
        )
        if self.choices.dedupe_invocations and admitted.client_token is None:
            invocation = invocations.token_of(_header(wire, invocations.HEADER))
            admitted = replace(admitted, client_token=invocation)
        await self._seed(principal.account, claim.region)
        if needs_preparing(admitted):
            admitted = await self._prepare(admitted)
        if isinstance(admitted.action, Read):
            body = await self._in_reader(lambda: self._read(admitted, line.request_id))
            line.outcome = "read"
            return body
        place = (principal.account, claim.region)
        outcome = await self._write(lambda tx: execute(tx, self.engine, admitted), place)
        if self.choices.after_termination == "error":
            outcome = refusing_terminated(outcome)
        line.outcome, line.differing = outcome.attempt, outcome.differing
        if outcome.error is not None:
            raise outcome.error
        assert outcome.result is not None, "an outcome without error has a result"
        return admitted.operation.render(outcome.result, line.request_id)

    async def _principal(self, claim: signing.Claim) -> Principal:
        admission.check_place(claim)
        principal = self.credentials.remembered(claim.access_key_id)
        if principal is None:
            principal = await self._in_reader(lambda: self.credentials.look_up(claim.access_key_id))
        if principal is None:
            raise refusals.auth_failure("The access key does not exist.")
        claim.verify(principal.secret)
        if claim.signature_version == 2 and not principal.signature_v2:
            raise refusals.auth_failure(
                "Signature version 2 is switched off for this account. Sign with version 4."
            )
        return principal

    def close(self) -> None:
        """End the threads that read and prepare. Nothing may be asked any more."""
        self._readers.shutdown()
        self._preparers.shutdown()

    async def _seed(self, account: str, region: str) -> None:
        """Give the account its default VPC in a Region it has not used before."""
        place = (account, region)
        if place not in self._seeded:
            if not await self._in_reader(lambda: self._is_seeded(place)):
                await self._write(lambda tx: default_vpc.seed(tx, account, region), place)
            self._seeded.add(place)

    def _is_seeded(self, place: tuple[str, str]) -> bool:
        return self.store.read(lambda tx: regions.is_seeded(tx, *place))

    async def _prepare(self, admitted: Admitted) -> Admitted:
        """Off the loop, which has others to answer; not begun at all once nobody waits for it."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                return await loop.run_in_executor(self._preparers, prepare, admitted)
        except TimeoutError:
            raise Transient("not prepared in time", ran=False) from None

    def _read(self, admitted: Admitted, request_id: str) -> bytes:
        """The whole answer, written in a reader's thread too: a list may be megabytes long."""
        outcome = self.store.read(lambda tx: execute(tx, self.engine, admitted))
        assert outcome.result is not None, "a read answers or raises"
        return admitted.operation.render(outcome.result, request_id)

    async def _in_reader(self, fn: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, fn)

    async def _write(self, fn: Callable[[Tx], T], place: tuple[str, str]) -> T:
        """Run `fn` in a transaction; give up in time to say so, taking the job back if we can.

        Whatever changes one account's Region takes turns anyway: see `regions.lock_region`.
        """
        job = self.store.submit(fn, lane="/".join(place))
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            raise Transient("no answer in time", ran=not job.cancelled()) from None

    def _log(self, line: Line, reply: Reply, seconds: float) -> None:
        differing = f" differs={','.join(line.differing)}" if line.differing else ""
        log.info(
            "action=%s account=%s token=%s outcome=%s status=%d code=%s ms=%.1f request=%s%s",
            _plain(line.action), line.account, _plain(line.token), line.outcome, reply.status,
            line.code, seconds * 1000, line.request_id, differing,
        )  # fmt: skip


def _refusal(protocol: str, error: ServiceError, line: Line) -> Reply:
    line.code = error.code
    return Reply(error.http_status, render_error(protocol, error, line.request_id))


def _plain(text: str) -> str:
    """A caller's text as one word of a log line: nothing that could forge another, or a line."""
    if text.isascii() and text.isprintable() and " " not in text:
        return text
    return ascii(text).replace(" ", r"\x20")


def _wire(scope: Message, body: bytes) -> WireRequest:
    if scope["path"] != "/":
        raise ServiceError("InvalidRequest", "EC2's API is at the path /.", http_status=404)
    return WireRequest(
        scope["method"],
        scope["raw_path"].decode("latin-1"),
        scope["query_string"].decode("latin-1"),
        tuple(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ),
        body,
    )


def _header(wire: WireRequest, name: str) -> str | None:
    values = wire.values(name)
    return values[-1] if values else None


async def _send(send: Send, reply: Reply, content_type: str, *more: tuple[bytes, bytes]) -> None:
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(reply.body)).encode()),
        *more,
    ]
    start: dict[str, Any] = {"type": "http.response.start", "status": reply.status}
    await send({**start, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
