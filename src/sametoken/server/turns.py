"""Turns of one connection: its requests, answered one after another in the order they came.

A request is given whole to the endpoint, which replies at once or by a task. At the path of an ASGI
application it is a call, which begins with the request's headers. Either ends at once when nobody
waits for the reply any more. `connection` bounds the requests, and ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from sametoken.ec2.protocol.wire import WireRequest
from sametoken.server.asgi import CONTINUE, Application, Call, scope_of
from sametoken.server.replies import Answer, Part, parted, whole

log = logging.getLogger(__name__)

# A smaller reply fits the system's own buffers.
LARGE_BYTES = 64 * 1024
# A larger one never does, so it is written without another copy of it, its head before it.
PARTED_BYTES = 1024 * 1024


class Endpoint(Protocol):
    """The program that answers."""

    def route(self, path: str) -> Application | None:
        """Return the application that answers at `path`; None if `answer` does."""
        ...

    def answer(
        self, request: WireRequest, reply: Callable[[Answer], None]
    ) -> asyncio.Task[Any] | None:
        """Call `reply` with the answer at once, or return a task that does, unless cancelled."""
        ...


class Line(Protocol):
    """The connection, as far as its turns need it."""

    transport: asyncio.Transport
    tasks: set[asyncio.Task[Any]]

    def stamp(self) -> bytes:
        """Return the header lines that all replies share."""
        ...

    def is_last(self) -> bool:
        """Return whether the connection closes once no reply is due."""
        ...

    def make_room(self, count: int) -> None:
        """Make room for so many bytes of a reply, as far as others have not read theirs."""
        ...

    def turn_ended(self, *, keeps: bool) -> None:
        """Take note of a complete reply, after which only a connection that `keeps` goes on."""
        ...

    def turn_failed(self, *, sent: bool) -> None:
        """Take note of a reply that there will not be, or not all of it if some was `sent`."""
        ...


@dataclass(slots=True, eq=False)
class Asked:
    """A request as it is read. `call` is for requests to an ASGI application alone."""

    method: str
    path: bytes
    query: bytes
    application: Application | None
    headers: tuple[tuple[bytes, bytes], ...]
    version: str
    keeps: bool
    expects: bool  # its sender waits for "100 Continue"
    call: Call | None = None
    body: bytearray = field(default_factory=bytearray)
    is_whole: bool = False

    def wire(self) -> WireRequest:
        body = bytes(self.body)
        return WireRequest(self.method, self.path, self.query, self.headers, body)


class Turns:
    """Requests whose replies are not complete, the oldest first; at most one is being answered."""

    def __init__(self, endpoint: Endpoint, line: Line) -> None:
        self._endpoint = endpoint
        self._line = line
        self._due: deque[Asked] = deque()
        self._newest: Asked | None = None
        self._busy = False  # True while the oldest is being answered
        self._work: asyncio.Task[Any] | None = None
        self._call: Call | None = None  # in work
        self._is_readable = asyncio.Event()  # set while the caller reads what was written
        self._is_readable.set()

    def __len__(self) -> int:
        return len(self._due)

    # Requests, as they are read

    def add(self, asked: Asked) -> None:
        """Take a request of which only the headers have come."""
        if asked.application is not None:
            asked.call = Call(self, asked.method, asked.version, expects=asked.expects)
        self._due.append(asked)
        self._newest = asked

    def feed(self, part: bytes) -> None:
        """Take a part of the newest request's body."""
        asked = self._newest
        assert asked is not None, "a body follows its headers"
        if asked.call is None:
            asked.body += part
        else:
            asked.call.feed(part)

    def end(self) -> None:
        """Take note that the newest request is whole."""
        asked = self._newest
        assert asked is not None, "an end follows headers"
        asked.is_whole = True
        if asked.call is not None:
            asked.call.end()

    def give_up_newest(self) -> bool:
        """Forget the request whose body will not come. False if some of its reply was sent."""
        if not self._due or self._due[-1] is not self._newest:
            return False
        asked = self._due.pop()
        if not self._due:
            self._stop()
        return asked.call is None or not asked.call.sent

    def give_up(self) -> None:
        """Forget all requests: nobody waits for their replies."""
        self._due.clear()
        self._is_readable.set()
        self._stop()

    def _stop(self) -> None:
        work, call = self._work, self._call
        self._rest()
        if call is not None:
            call.leave()
        if work is not None:
            work.cancel()

    def _rest(self) -> None:
        self._busy = False
        self._work = self._call = None

    # The caller's reading

    def pause(self) -> None:
        """Hold replies back: the caller does not read those it has."""
        self._is_readable.clear()

    def resume(self) -> None:
        self._is_readable.set()
        self.proceed()

    async def drain(self) -> None:
        await self._is_readable.wait()

    # Replies

    def proceed(self) -> None:
        """Begin to answer the oldest request, if that can be."""
        if self._busy or not self._due or not self._is_readable.is_set():
            return
        asked = self._due[0]
        if asked.call is not None:
            self._busy = True
            self._begin(asked, asked.call)
        elif asked.is_whole:
            self._busy = True
            task = self._endpoint.answer(asked.wire(), self._reply)
            if task is not None:
                self._watch(task, asked)
        elif asked.expects:
            asked.expects = False
            self.write(CONTINUE)

    def _begin(self, asked: Asked, call: Call) -> None:
        assert asked.application is not None, "a call has its application"
        self._call = call
        scope = scope_of(asked.wire(), asked.version, self._line.transport)
        running = asked.application(scope, call.receive, call.send)
        self._watch(asyncio.ensure_future(running), asked)

    def _watch(self, task: asyncio.Task[Any], asked: Asked) -> None:
        self._work = task
        self._line.tasks.add(task)
        task.add_done_callback(partial(self._work_ended, asked))

    def _work_ended(self, asked: Asked, task: asyncio.Task[Any]) -> None:
        """Look after the end of a task that may have left its request without a reply."""
        self._line.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("%s %r: our bug", asked.method, asked.path, exc_info=error)
        if self._work is task:
            log.error("%s %r: left without a reply", asked.method, asked.path)
            self._due.clear()
            self._stop()
            self._line.turn_failed(sent=asked.call is not None and asked.call.sent)

    def _reply(self, answer: Answer) -> None:
        if not self._busy:
            return  # given up before its task could be cancelled
        if answer.after:
            self._work = None
            self._due[0].body = bytearray()
            asyncio.get_running_loop().call_later(answer.after, self._send, self._due[0], answer)
        else:
            self._send(self._due[0], answer)

    def _send(self, asked: Asked, answer: Answer) -> None:
        if not self._due or self._due[0] is not asked:
            return  # given up while it waited
        if answer.part is not None:
            self._cut(answer)
            return
        keeps, to_head = self.keeps(), asked.method == "HEAD"
        size = 0 if to_head else len(answer.body)
        if size > LARGE_BYTES:
            self._line.make_room(size)
        if size > PARTED_BYTES:
            for part in parted(answer, self.stamp(), keeps=keeps):
                self.write(part)
        else:
            self.write(whole(answer, self.stamp(), keeps=keeps, to_head=to_head))
        self.finish(keeps=keeps)

    def _cut(self, answer: Answer) -> None:
        """Send a part of a reply, and end the connection: a fault on purpose."""
        if answer.part is Part.HEAD:
            self.write(whole(answer, self.stamp(), keeps=False, to_head=True))
        self.finish(keeps=False)

    # Needs of a reply, here and in `asgi`

    def write(self, data: bytes | memoryview) -> None:
        if not self._line.transport.is_closing():
            self._line.transport.write(data)

    def stamp(self) -> bytes:
        return self._line.stamp()

    def keeps(self) -> bool:
        """Return whether the connection goes on after the reply that is due."""
        return self._due[0].keeps and not (len(self._due) == 1 and self._line.is_last())

    def finish(self, *, keeps: bool) -> None:
        """Take note that the oldest request has its whole reply."""
        self._due.popleft()
        self._rest()
        self._line.turn_ended(keeps=keeps)
