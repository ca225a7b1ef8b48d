"""Statements to PostgreSQL that travel together, and are answered in their order.

A round trip takes longer than most statements do, on the node as on the server. So a statement is
only noted. It travels, with all before it, when somebody looks at its answer or at a later one, or
at the latest with the end of the transaction.

The rules, and the histories they prevent:

1. Every answer is read, also one that nobody looks at, and the first error is raised. (An insert
   fails; nobody looks; the caller is told that it was made.)
2. The server skips all that is under way behind a statement that failed, COMMIT included, and
   `Reply.skipped` tells so. Only the server's own word counts for that: a lost connection tells
   nothing. (A connection breaks, the COMMIT has arrived, and the transaction runs again.)
3. To look at the answer of a statement that failed or was skipped raises. (A claim is skipped, and
   looks like a claim that found its token taken.)
"""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import errors
from psycopg.adapt import Transformer
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus

from sametoken.store.pgconnect import Connection
from sametoken.store.pgvalues import array, numbered, of_columns, written
from sametoken.store.statements import Parameters, Prepared, Rows, Sent, Straight

# A connection's prepared statements: more than the program has, each with a few lengths of lists.
# Beyond this many, the oldest is forgotten.
PREPARED_MAX = 1_000
_SUCCEEDED = frozenset({ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.EMPTY_QUERY})

Translate = Callable[[str, Exception], BaseException]


class Reply:
    """The answer to a statement; to look at it is to wait for it. It has the face of a cursor.

    `skipped`: the server did not run the statement. `warned`: the server warned while it did.
    """

    __slots__ = ("_pipe", "_result", "error", "names", "skipped", "sql", "warned")

    def __init__(self, pipe: Pipe, sql: str, *, names: bool = False) -> None:
        self.sql = sql
        # Set for a statement's preparation: its name is of use only if this succeeds.
        self.names = names
        self.error: Exception | None = None
        self.skipped = False
        self.warned = False
        self._pipe = pipe
        self._result: Any = None

    def succeed(self, result: Any) -> None:
        self._result = result

    def _look(self) -> Any:
        if self._result is None and self.error is None:
            self._pipe.settle()
        if self.error is not None:
            raise self._pipe.translated(self.sql, self.error) from self.error
        return self._result

    @property
    def command(self) -> str:
        """The command that was carried out, as the server names it."""
        return str(self._look().command_status.decode())

    @property
    def rowcount(self) -> int:
        told = self._look().command_tuples
        return -1 if told is None else int(told)

    @property
    def description(self) -> list[tuple[None, int]]:
        """The types of the columns, each where a cursor has it."""
        result = self._look()
        return [(None, result.ftype(column)) for column in range(result.nfields)]

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._pipe.load(self._look())


class Pipe:
    """Sends statements on a connection of psycopg's, and lets others send there in between.

    `translated` makes the error to raise, of a statement and the driver's error.
    """

    def __init__(self, connection: Connection, translated: Translate) -> None:
        self.translated = translated
        self._pgconn = connection.pgconn
        connection.add_notice_handler(self._heed)
        connection.make_way = self._leave
        # psycopg forgets what it prepares, and then has the server forget all preparations.
        connection.prepare_threshold = None
        self._loader = Transformer(connection)
        # The names of prepared statements by their text, the oldest first.
        self._names: dict[str, bytes] = {}
        self._numbers = count()
        # Statements that are still to be handed to the driver, with their values.
        self._unsent: deque[tuple[Reply, list[bytes | None]]] = deque()
        # Statements under way, in the order in which they were sent; None for a synchronisation, at
        # which the server stops to skip.
        self._sent: deque[Reply | None] = deque()
        self._skips = False
        self._is_open = False
        self._readable, self._usable = select.poll(), select.poll()
        self._readable.register(self._pgconn.socket, select.POLLIN)
        self._usable.register(self._pgconn.socket, select.POLLIN | select.POLLOUT)

    def send(self, sql: str, values: Sequence[Any] = ()) -> Reply:
        """Send a statement, with `%s` for each value. Does not wait."""
        reply = Reply(self, sql)
        try:
            given = written(values)
        except psycopg.Error as error:
            raise self.translated(sql, error) from error
        self._unsent.append((reply, given))
        return reply

    def _prepare(self, sql: str) -> bytes:
        if len(self._names) >= PREPARED_MAX:
            oldest = next(iter(self._names))
            forget = b"DEALLOCATE " + self._names.pop(oldest)
            self._pgconn.send_query_params(forget, None)
            self._sent.append(Reply(self, forget.decode()))
        name = b"sametoken_%d" % next(self._numbers)
        self._pgconn.send_prepare(name, numbered(sql))
        self._sent.append(Reply(self, sql, names=True))
        self._names[sql] = name
        return name

    def flush(self) -> None:
        """Have the server carry out what was sent, and not skip what follows. Does not wait."""
        try:
            self._hand_over()
        except psycopg.Error as error:
            self._lose(error)
            raise self.translated("-", error) from error

    def _hand_over(self) -> None:
        """Give all to the driver, with a synchronisation behind it, in one go.

        In between, a server that waits for the rest holds its locks without a limit of time.
        """
        if not self._unsent:
            return
        if not self._is_open:
            self._pgconn.enter_pipeline_mode()
            self._is_open = True
        while self._unsent:
            reply, given = self._unsent[0]
            name = self._names.get(reply.sql) or self._prepare(reply.sql)
            self._pgconn.send_query_prepared(name, given)
            self._sent.append(reply)
            self._unsent.popleft()
        self._pgconn.pipeline_sync()
        self._sent.append(None)

    def settle(self) -> None:
        """Wait for all answers. Raises the first error, once they all have come."""
        failed: Reply | None = None
        try:
            self._hand_over()
            self._write()
            while self._sent:
                reply = self._receive()
                failed = failed or reply
        except psycopg.Error as error:
            lost = self._lose(error)
            failed = failed or lost
        if failed is not None and failed.error is not None:
            raise self.translated(failed.sql, failed.error) from failed.error

    def _leave(self) -> None:
        """Settle, and let others use the connection until a statement is sent again."""
        try:
            self.settle()
        except sa.exc.DBAPIError as error:
            # It is raised to whoever asked for a cursor, as the driver would raise it.
            raise error.orig or error from None
        if self._is_open:
            self._pgconn.exit_pipeline_mode()
            self._is_open = False

    @property
    def is_lost(self) -> bool:
        """Is the connection known to be broken?"""
        return self._pgconn.status != ConnStatus.OK

    def _heed(self, notice: errors.Diagnostic) -> None:
        """Note a warning. The driver tells of it while it reads the statement's answer."""
        reply = self._sent[0] if self._sent else None
        if reply is not None and notice.severity_nonlocalized == "WARNING":
            reply.warned = True

    def load(self, result: Any) -> list[tuple[Any, ...]]:
        self._loader.set_pgresult(result)
        return self._loader.load_rows(0, result.ntuples, tuple)

    def _write(self) -> None:
        """Hand all to the network. Reads meanwhile: the server may wait for that."""
        while self._pgconn.flush():
            for _, events in self._usable.poll():
                if events != select.POLLOUT:
                    self._pgconn.consume_input()

    def _next(self) -> Any:
        while self._pgconn.is_busy():
            self._readable.poll()
            self._pgconn.consume_input()
        return self._pgconn.get_result()

    def _receive(self) -> Reply | None:
        """Read the next answer; return its reply if that is the first that failed."""
        reply, result = self._sent[0], self._next()
        if result is None or _is_unsaid(result):
            raise psycopg.OperationalError("the connection was lost")
        if result.status == ExecStatus.PIPELINE_SYNC:
            self._sent.popleft()
            self._skips = False
            return None
        if reply is None:
            # Outside a transaction a statement commits, or fails to, when it is synchronised.
            reply = Reply(self, "-")
            reply.error = errors.error_from_result(result)
            return reply
        self._sent.popleft()
        if result.status in _SUCCEEDED:
            reply.succeed(result)
        else:
            self._fail(reply, errors.error_from_result(result))
        end = self._pgconn.get_result()
        assert end is None, "a statement has one answer"
        return None if reply.error is None or reply.skipped else reply

    def _fail(self, reply: Reply, error: Exception) -> None:
        """Note that the server told of an error, or else that it skips what follows one."""
        if self._skips:
            reply.skipped = True
            error = errors.InFailedSqlTransaction("skipped: a statement before it failed")
        self._skips = True
        reply.error = error
        if reply.names:
            self._names.pop(reply.sql, None)

    def _lose(self, error: Exception) -> Reply:
        """The connection is lost, and with it all answers that are still to come."""
        lost = Reply(self, "-")
        lost.error = error
        for reply in (*self._sent, *(reply for reply, _ in self._unsent)):
            if reply is None:
                self._skips = False
            else:
                reply.skipped, reply.error = self._skips, error
        self._sent.clear()
        self._unsent.clear()
        return lost


class Awaited:
    """A statement's rows and count, read once somebody looks at them: `Rows` or `Sent`."""

    __slots__ = ("_found", "_read")

    def __init__(self, read: Callable[[], Any]) -> None:
        self._read = read
        self._found: Any = None

    def _look(self) -> Any:
        if self._found is None:
            self._found = self._read()
        return self._found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._look(), name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._look())

    def __len__(self) -> int:
        return len(self._look())

    def __getitem__(self, place: int) -> Any:
        return self._look()[place]


class Piped(Straight):
    """A connection of the PostgreSQL store, whose statements travel together."""

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__(engine)
        self.pipe = Pipe(self._raw, self._translated)

    def _run(self, prepared: Prepared, given: Sequence[Parameters]) -> Any:
        rows = [prepared.bind(one) for one in given]
        if len(rows) == 1:
            reply = self.pipe.send(prepared.sql, rows[0])
            return Awaited(lambda: prepared.answer(reply))
        replies = self._send_many(prepared.sql, rows)
        return Awaited(lambda: Rows((), sum(reply.rowcount for reply in replies)))

    def _send_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> list[Reply]:
        """Send one statement with all rows where that has the same effect, else one for each."""
        together = of_columns(sql) if len(rows) > 1 else None
        if together is None or not together.takes(rows):
            return [self.pipe.send(sql, row) for row in rows]
        columns = [array(column) for column in zip(*rows, strict=True)]
        return [self.pipe.send(together.sql, columns)]

    def _write(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        self._send_many(sql, rows)

    def _send(self, sql: str, values: Sequence[Any]) -> Any:
        reply = self.pipe.send(sql, values)
        return Awaited(lambda: Sent(reply.fetchall(), reply.rowcount))

    def _command(self, sql: str) -> Any:
        """Run a savepoint's command. A failure inside the savepoint is told before its undoing."""
        try:
            if sql.startswith("ROLLBACK"):
                self.pipe.settle()
        finally:
            reply = self.pipe.send(sql)
        return Awaited(lambda: Rows((), reply.rowcount))


def _is_unsaid(result: Any) -> bool:
    """Is this an error of the driver's own, which the server has not told?"""
    if result.status != ExecStatus.FATAL_ERROR:
        return False
    return not result.error_field(DiagnosticField.SQLSTATE)
