"""The history of a run, one event a line: a file that can be checked without the database.

Events, each with `n`, its place in the one order they were written in, and `at`, in seconds:

- `start`: seed, and the least that the run has to do.
- `asked`: one call of a client: `call` names it; account, region, action, token, parameters, and
  `about`, the ids it is to remove.
- `sent`: one try of a call, to a node.
- `told`: the outcome of a try: `made` with ids, `refused` with a code, or `lost`, which is unknown.
- `gave_up`: a client stopped asking.
- `fault`: its kind, and where it struck.
- `row`: one row of the database at the end, with its `table`.
- `end`: the history is whole.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

Event = dict[str, Any]


class Writer:
    """Appends events, from any thread. An event is on its line before the call returns."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._count = 0
        self._begun = time.monotonic()

    def write(self, event: str, **members: Any) -> None:
        with self._lock:
            self._count += 1
            at = round(time.monotonic() - self._begun, 3)
            line = {"n": self._count, "at": at, "event": event, **members}
            self._file.write(json.dumps(line, separators=(",", ":")) + "\n")


@dataclass(frozen=True, slots=True)
class Token:
    """A client token with its scope."""

    account: str
    region: str
    action: str
    token: str

    def __str__(self) -> str:
        return f"{self.action} {self.token} of {self.account} in {self.region}"


@dataclass(slots=True)
class Answer:
    """The answer to one try."""

    n: int
    outcome: str
    ids: tuple[str, ...] = ()
    code: str = ""


@dataclass(slots=True)
class Call:
    """A call with all its tries. `token` is None for a removal."""

    n: int
    account: str
    region: str
    action: str
    token: str | None
    parameters: dict[str, str]
    about: tuple[str, ...]
    sent: int = 0
    answers: list[Answer] = field(default_factory=list)
    gave_up: bool = False

    @property
    def named(self) -> Token:
        assert self.token is not None, "it has a token"
        return Token(self.account, self.region, self.action, self.token)


@dataclass(slots=True)
class History:
    """All events of a run, in order."""

    start: Event = field(default_factory=dict)
    calls: dict[int, Call] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    rows: dict[str, list[Event]] = field(default_factory=dict)
    end: Event | None = None

    def creates(self) -> Iterator[Call]:
        return (call for call in self.calls.values() if call.token is not None)

    def removals(self) -> Iterator[Call]:
        return (call for call in self.calls.values() if call.token is None)


def read(file: Path) -> History:
    """The history in a file."""
    with file.open() as lines:
        return gather(json.loads(line) for line in lines)


def gather(events: Iterable[Event]) -> History:
    """Gather events into a history. Raises KeyError for a call that was never asked."""
    found = History()
    for event in events:
        match event["event"]:
            case "start":
                found.start = event
            case "asked":
                found.calls[event["call"]] = Call(
                    event["n"], event["account"], event["region"], event["action"],
                    event["token"], event["parameters"], tuple(event["about"]),
                )  # fmt: skip
            case "sent":
                found.calls[event["call"]].sent += 1
            case "told":
                answer = Answer(
                    event["n"], event["outcome"], tuple(event.get("ids", ())),
                    event.get("code", ""),
                )  # fmt: skip
                found.calls[event["call"]].answers.append(answer)
            case "gave_up":
                found.calls[event["call"]].gave_up = True
            case "fault":
                found.faults[event["what"]] += event.get("count", 1)
            case "row":
                found.rows.setdefault(event["table"], []).append(event)
            case "end":
                found.end = event
            case other:
                raise AssertionError(f"no event of a history: {other}")
    return found
