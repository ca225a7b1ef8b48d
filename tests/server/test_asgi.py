"""ASGI applications behind the edge: bodies in as they come, replies out as they are made.

Each application here is a plain coroutine function, as any framework's is one.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from sametoken.server.asgi import Application, Message, Receive, Send, send_whole
from server.running import running
from server.wire import (
    GET,
    HASTY,
    KIB,
    PATIENCE_SECONDS,
    POST,
    UNHURRIED,
    Asgi,
    assert_refused,
    exchange,
    read_body,
    wire,
)

CHUNKED = b"transfer-encoding: chunked\r\n\r\n"


async def start(send: Send, status: int = 200, **headers: str) -> None:
    pairs = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


async def say(send: Send, body: bytes, *, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


def ask(application: Application, data: bytes = GET) -> bytes:
    """Send bytes to the application, and return all that it sent until the connection closed."""
    with running(Asgi(application), UNHURRIED) as where, wire(where) as client:
        client.send(data)
        return client.read_to_end()


CLOSING = b"GET /a%20b/c?x=%20y HTTP/1.1\r\nHost: x\r\nconnection: close\r\n\r\n"


def test_an_application_is_told_what_was_asked() -> None:
    scopes = list[Message]()

    async def note(scope: Message, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await send_whole(send, 200, "text/plain", b"noted")

    reply = ask(note, CLOSING)
    [scope] = scopes
    head, _, body = reply.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert (lines[0], body) == (b"HTTP/1.1 200 OK", b"noted")
    assert {b"content-type: text/plain", b"content-length: 5", b"connection: close"} < {*lines}
    assert (scope["path"], scope["raw_path"]) == ("/a b/c", b"/a%20b/c")
    assert (scope["query_string"], scope["http_version"]) == (b"x=%20y", "1.1")
    assert (scope["type"], scope["method"], scope["scheme"]) == ("http", "GET", "http")
    assert list(scope["headers"]) == [(b"host", b"x"), (b"connection", b"close")]
    assert (scope["server"][0], scope["client"][0]) == ("127.0.0.1", "127.0.0.1")


def test_a_body_is_handed_on_as_it_comes() -> None:
    parts: list[bytes] = []
    came = threading.Semaphore(0)

    async def read_in_parts(scope: Message, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            more = message["more_body"]
            parts.append(message["body"])
            came.release()
        await send_whole(send, 200, "text/plain", b"".join(parts))
        assert await receive() == {"type": "http.disconnect"}

    endpoint = Asgi(read_in_parts)
    with running(endpoint, UNHURRIED) as where, wire(where) as client:
        client.send(POST + CHUNKED)
        for part in (b"one", b"two"):
            client.send(b"%x\r\n%b\r\n" % (len(part), part))
            assert came.acquire(timeout=PATIENCE_SECONDS)
        client.send(b"0\r\n\r\n")
        assert client.read_reply()[2] == b"onetwo"
    assert parts == [b"one", b"two", b""]


def test_an_application_that_reads_slowly_gets_all_of_it() -> None:
    door = threading.Event()

    async def wait_first(scope: Message, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(door.wait, PATIENCE_SECONDS)
        body = await read_body(receive)
        await send_whole(send, 200, "text/plain", str(len(body)).encode())

    length = UNHURRIED.body_bytes_max
    with (
        running(Asgi(wait_first), UNHURRIED) as where,
        wire(where) as client,
    ):
        client.send(POST + b"content-length: %d\r\n\r\n" % length + b"x" * length)
        door.set()
        assert client.read_reply()[2] == str(length).encode()
        client.send(GET)
        assert client.read_reply()[2] == b"0"


def test_a_reply_is_sent_as_it_is_made_and_the_connection_goes_on() -> None:
    async def talk(scope: Message, receive: Receive, send: Send) -> None:
        await start(send)
        for part in (b"one", b"", b"two"):
            await say(send, part, more=True)
            await asyncio.to_thread(doors[part].wait, PATIENCE_SECONDS)
        await say(send, b"")

    doors = {part: threading.Event() for part in (b"one", b"", b"two")}
    doors[b""].set()
    with (
        running(Asgi(talk), UNHURRIED) as where,
        wire(where) as client,
    ):
        for _ in range(2):
            client.send(GET)
            [head] = client.read_heads(1)
            assert b"\r\ntransfer-encoding: chunked" in head
            for part in (b"one", b"two"):
                assert client.read_until(part + b"\r\n") == b"3\r\n" + part + b"\r\n"
                doors[part].set()
            assert client.read_until(b"\r\n\r\n") == b"0\r\n\r\n"


def test_a_reply_to_http_1_0_ends_with_its_connection() -> None:
    async def talk(scope: Message, receive: Receive, send: Send) -> None:
        await start(send)
        await say(send, b"one", more=True)
        await say(send, b"two")

    head, _, body = ask(talk, b"GET / HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert body == b"onetwo"


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
def test_a_reply_that_has_no_body_gets_none(method: bytes, status: int) -> None:
    async def talk(scope: Message, receive: Receive, send: Send) -> None:
        await start(send, status, connection="close", transfer_encoding="chunked")
        await say(send, b"one", more=True)
        await say(send, b"two")

    head, _, body = ask(talk, method + b" / HTTP/1.1\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in head
    assert b"transfer-encoding" not in head
    assert body == b""


# Applications that fail


async def fail_at_once(scope: Message, receive: Receive, send: Send) -> None:
    raise ZeroDivisionError("secret detail")


async def fail_before_the_body(scope: Message, receive: Receive, send: Send) -> None:
    await start(send, content_length="4")
    raise ZeroDivisionError("secret detail")


async def leave(scope: Message, receive: Receive, send: Send) -> None:
    await read_body(receive)


async def begin_and_leave(scope: Message, receive: Receive, send: Send) -> None:
    await start(send)


async def give_up(scope: Message, receive: Receive, send: Send) -> None:
    raise asyncio.CancelledError


async def begin_twice(scope: Message, receive: Receive, send: Send) -> None:
    await start(send)
    await start(send)
    await say(send, b"")


async def say_before_the_start(scope: Message, receive: Receive, send: Send) -> None:
    await say(send, b"early")


async def forge_a_header(scope: Message, receive: Receive, send: Send) -> None:
    await start(send, x="y\r\nx-forged: 1")
    await say(send, b"")


async def forge_a_name(scope: Message, receive: Receive, send: Send) -> None:
    head = [(b"x: y\r\nx-forged", b"1")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await say(send, b"")


async def promise_less(scope: Message, receive: Receive, send: Send) -> None:
    await start(send, content_length="2")
    await say(send, b"more")


async def promise_more(scope: Message, receive: Receive, send: Send) -> None:
    await start(send, content_length="9")
    await say(send, b"less")


@pytest.mark.parametrize(
    "application",
    [
        fail_at_once, fail_before_the_body, leave, begin_and_leave, give_up, begin_twice,
        say_before_the_start, forge_a_header, forge_a_name, promise_less, promise_more,
    ],
)  # fmt: skip
def test_an_application_that_fails_before_any_body_is_a_500(application: Application) -> None:
    reply = ask(application)
    assert_refused(reply, 500, "InternalError")
    for hidden in (b"secret", b"forged", b"200 OK"):
        assert hidden not in reply


def test_an_application_that_fails_shows_no_traceback() -> None:
    reply = exchange(Asgi(fail_at_once), GET)
    assert_refused(reply, 500, "InternalError")
    assert b"secret" not in reply
    assert b"Traceback" not in reply


def test_an_application_that_fails_in_the_midst_of_its_reply_is_cut_off() -> None:
    async def fail(scope: Message, receive: Receive, send: Send) -> None:
        await start(send)
        await say(send, b"half", more=True)
        await asyncio.to_thread(heard.wait, PATIENCE_SECONDS)
        raise ZeroDivisionError

    heard = threading.Event()
    with running(Asgi(fail), UNHURRIED) as where, wire(where) as client:
        client.send(GET + GET)
        client.read_heads(1)
        assert client.read_until(b"half\r\n") == b"4\r\nhalf\r\n"
        heard.set()
        assert client.read_to_end() == b"", "neither the end of this reply, nor another"


def test_an_application_that_fails_after_its_reply_costs_nobody_a_reply() -> None:
    async def fail_late(scope: Message, receive: Receive, send: Send) -> None:
        await send_whole(send, 200, "text/plain", b"done")
        raise ZeroDivisionError

    endpoint = Asgi(fail_late)
    with running(endpoint, UNHURRIED) as where, wire(where) as client:
        for _ in range(2):
            client.send(GET)
            assert client.read_reply()[2] == b"done"


# Callers that go


@pytest.mark.parametrize("begins", [False, True])
def test_an_application_is_cancelled_when_its_caller_goes(begins: bool) -> None:
    entered, cancelled = threading.Event(), threading.Event()

    async def wait(scope: Message, receive: Receive, send: Send) -> None:
        if begins:
            await start(send)
            await say(send, b"so far", more=True)
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with running(Asgi(wait), UNHURRIED) as where:
        with wire(where) as client:
            client.send(GET)
            assert entered.wait(PATIENCE_SECONDS)
        assert cancelled.wait(PATIENCE_SECONDS)


def test_who_goes_on_although_cancelled_is_told_that_the_caller_has_gone() -> None:
    entered, ended = threading.Event(), threading.Event()
    told: list[Any] = []

    async def insist(scope: Message, receive: Receive, send: Send) -> None:
        entered.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append(await receive())
            try:
                await start(send)
            except OSError as error:
                told.append(type(error))
        ended.set()

    with running(Asgi(insist), UNHURRIED) as where:
        with wire(where) as client:
            client.send(GET)
            assert entered.wait(PATIENCE_SECONDS)
        assert ended.wait(PATIENCE_SECONDS)
    assert told == [{"type": "http.disconnect"}, ConnectionResetError]


def test_an_application_waits_for_a_caller_that_never_reads_and_is_cancelled() -> None:
    ended = threading.Event()
    sent = 0

    async def talk(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200})
        try:
            while True:
                sent += 64 * KIB
                await send(
                    {"type": "http.response.body", "body": b"x" * 64 * KIB, "more_body": True}
                )
        finally:
            ended.set()

    with running(Asgi(talk), HASTY) as where, wire(where) as client:
        client.send(GET)
        assert ended.wait(PATIENCE_SECONDS), "the application waits for a reader that never comes"
        assert len(client.read_to_end()) < 32 * KIB * KIB
    assert sent < 32 * KIB * KIB
