"""Recordings of EC2: what was asked, by whom, and what EC2 answered. Readers of three formats.

None is in the repository: `SAMETOKEN_RECORDED` names a folder with copies of public repositories.

- `stackd` (radkawar/stackd, `testdata/aws/ec2/*.json`): requests with their answers.
- `cloud-custodian` (its `tests/data/placebo`): answers of single actions, without requests.
- `localstack` (its `tests/aws/services/ec2`): answers of tests, with names for what varies.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

Document = dict[str, Any]

FOLDER_VARIABLE = "SAMETOKEN_RECORDED"
# Where each source has its recordings, below the folder.
PLACES = {
    "cloud-custodian": "tests/data/placebo",
    "localstack": "tests/aws/services/ec2",
    "stackd": "testdata/aws/ec2",
}


@dataclass(frozen=True)
class Call:
    """Hold an answer of EC2's. `params` is None where the recording has no request.

    `code` is "" for a success, and `text` the message of a refusal. `pause` is how many seconds
    passed since the call before.
    """

    action: str
    answer: Document = field(default_factory=dict)
    code: str = ""
    text: str = ""
    params: Document | None = None
    caller: str = ""
    label: str = ""
    pause: float = 0.0
    of_ec2: bool = True


@dataclass(frozen=True)
class Tape:
    """Calls that were made one after another, on one account or several."""

    source: str
    name: str
    calls: tuple[Call, ...]
    account: str = ""


def folder() -> Path | None:
    """Return the folder of recordings; None where the variable names none."""
    named = os.environ.get(FOLDER_VARIABLE, "")
    return Path(named) if named else None


def lacking(source: str) -> str:
    """Say what is missing before recordings of the source can be read; "" if nothing is."""
    found = folder()
    if found is None:
        return f"{FOLDER_VARIABLE} names no folder: tests/README.md says how to fill one"
    place = found / source / PLACES[source]
    return "" if place.is_dir() else f"{place} is not there: copy that folder of {source} to it"


def tapes(source: str) -> list[Tape]:
    """Read all recordings of a source, which must be there."""
    found = folder()
    assert found is not None, FOLDER_VARIABLE
    return list(_READERS[source](found / source / PLACES[source]))


def of_stackd(place: Path) -> Iterator[Tape]:
    for path in sorted(place.glob("*.json")):
        read = json.loads(path.read_text())
        calls, before = [], None
        for one in read.get("calls", ()):
            at = datetime.fromisoformat(one["started_at"]) if "started_at" in one else None
            pause = (at - before).total_seconds() if at and before else 0.0
            before = at or before
            error = one.get("error") or {}
            calls.append(
                Call(
                    _action(one["operation"]),
                    one.get("output") or {},
                    error.get("Code", ""),
                    error.get("Message", ""),
                    one.get("input") or {},
                    one.get("caller", ""),
                    one.get("label", ""),
                    pause,
                    one.get("service", "ec2") == "ec2",
                )
            )
        if calls:
            yield Tape("stackd", path.stem, tuple(calls), read.get("account", ""))


def _action(operation: str) -> str:
    """The action of an operation, which some captures spell as the CLI does."""
    return "".join(word[0].upper() + word[1:] for word in operation.split("-"))


_RECORDED_BY_ACTION = re.compile(r"ec2\.([A-Za-z0-9]+)_\d+\.json\Z")


def of_custodian(place: Path) -> Iterator[Tape]:
    for path in sorted(place.glob("*/ec2.*.json")):
        named = _RECORDED_BY_ACTION.match(path.name)
        if named is None:
            continue
        data = json.loads(path.read_text(), object_hook=_dated).get("data") or {}
        data.pop("ResponseMetadata", None)
        error = data.pop("Error", {})
        call = Call(named[1], data, error.get("Code", ""), error.get("Message", ""))
        yield Tape("cloud-custodian", f"{path.parent.name}/{path.stem}", (call,))


def _dated(found: Document) -> Any:
    """Read a moment, which placebo writes as a document, as a text."""
    return "a moment" if found.get("__class__") == "datetime" else found


def of_localstack(place: Path) -> Iterator[Tape]:
    for path in sorted(place.rglob("*.snapshot.json")):
        for name, test in json.loads(path.read_text()).items():
            content = test.get("recorded-content", {})
            calls = [_labelled(label, shown) for label, shown in content.items()]
            yield Tape("localstack", name.rpartition("::")[2], tuple(calls))


def _labelled(label: str, shown: Any) -> Call:
    content = shown if isinstance(shown, dict) else {"": shown}
    told = {name: value for name, value in content.items() if name != "ResponseMetadata"}
    error = told.pop("Error", {})
    return Call("", told, error.get("Code", ""), error.get("Message", ""), label=label)


_READERS = {
    "cloud-custodian": of_custodian,
    "localstack": of_localstack,
    "stackd": of_stackd,
}
