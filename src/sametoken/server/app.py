"""The application behind the HTTP edge: ASGI in, ASGI out, and the probes.

`pipeline` turns a request into its reply. A result or a refusal is sent only after the request's
transaction has ended, or has been given up with a 503.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from sametoken import faults
from sametoken.ec2.protocol.wire import WireRequest
from sametoken.ec2.protocol.xml import CONTENT_TYPE
from sametoken.errors import ServiceError
from sametoken.faults import Point
from sametoken.idempotency import Engine
from sametoken.server import probes, request_log
from sametoken.server.bounds import DEFAULT_BOUNDS
from sametoken.server.choices import DEFAULT_CHOICES, Choices
from sametoken.server.credentials import Credentials
from sametoken.server.edge import ClientGone, Message, Receive, Send, read_body
from sametoken.server.exchange import Exchange, Reply, known
from sametoken.server.pipeline import Pipeline
from sametoken.server.pools import Pools
from sametoken.store.port import Store
from sametoken.workflow.backlog import Backlog
from sametoken.world import World, mint_uuid

PLAIN_TEXT = "text/plain;charset=UTF-8"


class App:
    """An ASGI application: EC2's Query API, and sts GetCallerIdentity, at `/`."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        credentials: Credentials,
        world: World,
        backlog: Backlog,
        choices: Choices = DEFAULT_CHOICES,
    ) -> None:
        self.store = store
        # False once the node was told to stop: it still answers, but asks for no more requests.
        self.is_ready = True
        self._world = world
        self._pools = Pools(store)
        self.pipeline = Pipeline(store, engine, credentials, world, choices, self._pools, backlog)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["path"] in (probes.HEALTH, probes.READY):
            await self._probe(scope["path"], send)
            return
        began = self._world.monotonic()
        request_id = mint_uuid(self._world)
        try:
            body = await read_body(receive, DEFAULT_BOUNDS.body_bytes_max)
        except ClientGone:
            return
        except ServiceError as too_large:
            exchange = Exchange(request_id).refused(too_large)
        else:
            exchange = await self.pipeline.answer(Exchange(request_id, _wire(scope, body)))
        request_log.write_line(exchange, self._world.monotonic() - began)
        faults.reach(Point.REPLY_READY)
        named = (b"x-amzn-requestid", request_id.encode())
        await _send(send, known(exchange.reply), CONTENT_TYPE, named)

    async def _probe(self, path: str, send: Send) -> None:
        def look() -> Awaitable[object]:
            return self._pools.read(lambda: self.store.read(lambda tx: tx.now))

        status, text = await probes.probe(path, is_ready=self.is_ready, look=look)
        await _send(send, Reply(status, text), PLAIN_TEXT)

    def close(self) -> None:
        """End the threads that read and prepare. Call it after the last request."""
        self._pools.close()


def _wire(scope: Message, body: bytes) -> WireRequest:
    path, query, headers = scope["raw_path"], scope["query_string"], tuple(scope["headers"])
    return WireRequest(scope["method"], path, query, headers, body)


async def _send(send: Send, reply: Reply, content_type: str, *more: tuple[bytes, bytes]) -> None:
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(reply.body)).encode()),
        *more,
    ]
    start: dict[str, Any] = {"type": "http.response.start", "status": reply.status}
    await send({**start, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
