"""Processes that use the same file, for tests that need real ones: `python -m store.processes`.

    hold PATH           take the gate, say "in", and never leave
    serve PATH          be the one server, say "in", and never leave
    write PATH NAME N   write N notes, one commit each, saying each name
    create PATH N [POINT COUNT]
                        create under tokens t0 … tN-1 from four threads, saying token and id; be
                        killed where POINT is reached for that time

Each line is printed only after its write has committed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sametoken.faults import kills
from sametoken.faults.board import Board
from sametoken.faults.kinds import Kind
from sametoken.faults.rules import Rule
from sametoken.store.gate import Gate, register_node
from sametoken.store.sqlite import SqliteStore
from sametoken.world import RealWorld
from store.creating import Caller, call
from store.stores import write

THREADS = 4


def say(*words: str) -> None:
    """Print a line in one system call, so that a kill never leaves half of it."""
    os.write(sys.stdout.fileno(), (" ".join(words) + "\n").encode())


def hold(path: Path) -> None:
    with Gate(path).turn():
        say("in")
        threading.Event().wait()


def serve(path: Path) -> None:
    register_node(path)
    say("in")
    threading.Event().wait()


def write_notes(path: Path, name: str, count: int) -> None:
    store = SqliteStore(path, RealWorld())
    for number in range(count):
        say(store.run(write(f"{name}-{number:03}")))
    store.close()


def create(path: Path, count: int) -> None:
    store = SqliteStore(path, RealWorld())
    caller = Caller(store)

    def create_some(first: int) -> None:
        for number in range(first, count, THREADS):
            say(f"t{number}", caller.create(call(f"t{number}", P=number)))

    threads = [threading.Thread(target=create_some, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()


@contextmanager
def process(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run this program in a process of its own; kill it at the block's end if it still runs."""
    command = [sys.executable, "-m", "store.processes", *map(str, arguments)]
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def next_line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def rest(child: subprocess.Popen[str]) -> list[str]:
    """Read the lines that it still prints until it ends."""
    assert child.stdout is not None
    return [line.strip() for line in child.stdout]


def main(command: str, path: str, *arguments: str) -> None:
    file = Path(path)
    match command:
        case "hold":
            hold(file)
        case "serve":
            serve(file)
        case "write":
            write_notes(file, arguments[0], int(arguments[1]))
        case "create":
            if arguments[1:]:
                point, count = arguments[1:]
                rule = Rule(Kind.KILL, point=point, skip=int(count) - 1, times=1)
                kills.watch(Board(lambda: 0.0, [rule], owns_process=True))
            create(file, int(arguments[0]))
        case other:
            raise AssertionError(f"no command {other}")


if __name__ == "__main__":
    main(*sys.argv[1:])
