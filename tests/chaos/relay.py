"""A process that passes connections on, and cuts them when told to.

It reads orders, a line each, from its standard input, and ends with it: `open NAME` (it prints the
port it listens on), `aim NAME PORT` (where new connections lead), `cut NAME` (reset every open one,
both ways). It is a process of its own, so that other work does not delay the connections.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

# Bytes that are read at once. A reply of ours has some kilobytes.
_PIECE_BYTES = 65_536
# Close with a reset, without sending the rest.
_RESET = struct.pack("ii", 1, 0)
_END_SECONDS_MAX = 10.0


class _Way:
    """A listening port, the port it leads to, and its open connections."""

    def __init__(self) -> None:
        self.port = 0
        self._open: set[asyncio.StreamWriter] = set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            there, onward = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            self._reset(writer)
            return
        self._open.add(onward)
        await asyncio.gather(self._copy(reader, onward), self._copy(there, writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(_PIECE_BYTES):
                writer.write(piece)
                await writer.drain()
        except OSError:
            self._reset(writer)
        else:
            writer.close()
        finally:
            self._open.discard(writer)

    def cut(self) -> None:
        for writer in list(self._open):
            self._reset(writer)

    def _reset(self, writer: asyncio.StreamWriter) -> None:
        self._open.discard(writer)
        line: socket.socket | None = writer.get_extra_info("socket")
        if line is not None and line.fileno() >= 0:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()


async def _obey() -> None:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    ways: dict[str, _Way] = {}
    while line := (await orders.readline()).decode().split():
        match line:
            case ["open", name]:
                ways[name] = _Way()
                server = await asyncio.start_server(ways[name].carry, "127.0.0.1", 0)
                sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
                sys.stdout.flush()
            case ["aim", name, port]:
                ways[name].port = int(port)
            case ["cut", name]:
                ways[name].cut()
            case _:
                raise AssertionError(f"not an order: {line}")


class Relay:
    """Starts the process for the block, and sends it orders."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(Path(__file__))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._process.kill()
        self._process.communicate(timeout=_END_SECONDS_MAX)

    def open(self, name: str) -> int:
        """Listen on a free port; it leads nowhere yet."""
        self._order("open", name)
        assert self._process.stdout is not None, "it is a pipe"
        return int(self._process.stdout.readline())

    def aim(self, name: str, port: int) -> None:
        """Lead new connections to a port of this machine."""
        self._order("aim", name, str(port))

    def cut(self, name: str) -> None:
        """Reset every open connection."""
        self._order("cut", name)

    def _order(self, *words: str) -> None:
        assert self._process.stdin is not None, "it is a pipe"
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()


if __name__ == "__main__":
    asyncio.run(_obey())
