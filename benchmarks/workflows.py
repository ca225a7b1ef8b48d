"""DBOS as a subject: a process of its own that runs a round of workflows when asked."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import Run, Unmeasured
from processes import end
from servers import peer

_PROGRAM = Path(__file__).resolve().parent / "peer_dbos.py"


@contextmanager
def dbos(url: str, count: int, log: Path) -> Iterator[Callable[[], Run]]:
    """Start DBOS on a database; each call of the subject runs `count` workflows to their end.

    Where the peers are not installed, each call raises Unmeasured.
    """
    try:
        command = [peer("python"), str(_PROGRAM), url, str(count)]
    except Unmeasured as reason:
        missing = reason

        def unmeasured() -> Run:
            raise missing

        yield unmeasured
        return
    with log.open("w") as written:
        process = subprocess.Popen(
            command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=written
        )

        def run() -> Run:
            assert process.stdin is not None and process.stdout is not None, "both are pipes"
            process.stdin.write("\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                raise Unmeasured(f"DBOS has ended: {log.read_text()[-300:]}")
            return Run(**json.loads(line))

        try:
            yield run
        finally:
            if process.stdin is not None:
                process.stdin.close()
            end(process)
