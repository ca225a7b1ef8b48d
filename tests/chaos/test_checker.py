"""The checker's own tests: a good history passes, and each planted wrong is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from chaos import history, report
from chaos.__main__ import check
from chaos.checker import MISMATCH, Checker
from chaos.history import Event

_ACCOUNT, _REGION, _ZONE = "000000000001", "us-east-1", "us-east-1a"
# A plant puts a wrong into a history.
Plant = Callable[[list[Event]], None]
_ASKED = {"creates": 3, "kills": 1}


class Tale:
    """A history as it is written, event by event."""

    def __init__(self) -> None:
        self.events: list[Event] = [{"event": "start", "seed": 1, "asked": _ASKED}]

    def call(
        self, number: int, action: str, token: str | None, *told: Event, **parameters: str
    ) -> None:
        """Add a call of a client and the answers to its tries; a removal names its resource."""
        about = [parameters["VolumeId"]] if token is None else []
        self.events.append(
            {
                "event": "asked", "call": number, "account": _ACCOUNT, "region": _REGION,
                "action": action, "token": token, "parameters": parameters, "about": about,
            }
        )  # fmt: skip
        for one in told:
            self.events.append({"event": "sent", "call": number})
            self.events.append({"event": "told", "call": number, **one})

    def row(self, table: str, **members: Any) -> None:
        self.events.append({"event": "row", "table": table, **members})

    def resource(self, id: str, kind: str, state: str, *parents: str, **more: Any) -> None:
        members = {
            "account": _ACCOUNT, "region": _REGION, "zone": _ZONE, "gone": False, "token": None,
            "type": None, "parents": list(parents), **more,
        }  # fmt: skip
        self.row("resource", id=id, kind=kind, state=state, **members)

    def entry(self, action: str, token: str, *ids: str) -> None:
        self.row(
            "entry", account=_ACCOUNT, region=_REGION, action=action, token=token, settled=1,
            ids=list(ids),
        )  # fmt: skip

    def instance(self, id: str, token: str) -> None:
        """A running instance with all that its launch made."""
        self.resource(f"i-{id}", "instance", "running", token=token, type="t3.micro")
        self.resource(f"vol-of-{id}", "volume", "in-use", f"i-{id}")
        self.resource(f"eni-of-{id}", "network-interface", "in-use", f"i-{id}", "subnet-1")
        self.resource(f"placement-{id}", "placement", "reserved")
        self.row("machine", instance=f"i-{id}", state="running", boots=1)
        self.row("work", instance=f"i-{id}", plan="launch", step=0, due=False)
        self.row("address", holder=f"eni-of-{id}")


def made(*ids: str) -> Event:
    return {"outcome": "made", "ids": ids}


def refused(code: str) -> Event:
    return {"outcome": "refused", "code": code}


LOST: Event = {"outcome": "lost", "why": "ConnectionResetError"}


def good() -> list[Event]:
    """A good history: two instances of one token; volumes made, contradicted, removed, lost."""
    tale = Tale()
    two = {"MinCount": "2", "InstanceType": "t3.micro"}
    launched = made("r-1", "i-1", "i-2")
    tale.call(1, "RunInstances", "two", LOST, refused("Unavailable"), launched, **two)
    tale.call(2, "RunInstances", "two", launched, **two)
    tale.call(3, "CreateVolume", "kept", made("vol-1"), Size="1")
    tale.call(4, "CreateVolume", "kept", refused(MISMATCH), Size="2")
    tale.call(5, "CreateVolume", "removed", made("vol-2"), Size="1")
    tale.call(6, "DeleteVolume", None, LOST, refused("InvalidVolume.NotFound"), VolumeId="vol-2")
    tale.call(7, "CreateVolume", "removed", refused(MISMATCH), Size="1")
    tale.call(8, "CreateVolume", "unheard", LOST, Size="1")
    tale.events.append({"event": "fault", "what": "kill", "where": "node-1", "count": 1})
    tale.entry("RunInstances", "two", "i-1", "i-2")
    tale.entry("CreateVolume", "kept", "vol-1")
    tale.entry("CreateVolume", "removed", "vol-2")
    tale.instance("1", "two")
    tale.instance("2", "two")
    tale.resource("vol-1", "volume", "available", token="kept")
    tale.resource("vol-2", "volume", "deleted", token="removed", gone=True)
    tale.resource("rtb-1", "route-table", "available", "vpc-1")
    tale.row("counter", name=f"capacity/{_ZONE}/t3.micro", used=2)
    tale.row("counter", name=f"vcpus/{_ACCOUNT}/{_REGION}", used=4)
    tale.events.append({"event": "end", "seconds": {"under load": 1.0}})
    return tale.events


def numbered(events: list[Event]) -> list[Event]:
    return [{"n": n, **event} for n, event in enumerate(events, 1)]


def kinds(events: list[Event]) -> set[str]:
    """The kinds of violations that the checker finds."""
    found = history.gather(numbered(events))
    return {violation.kind for violation in Checker(found).violations()}


# -- planting -----------------------------------------------------------------------------------


def find(events: list[Event], **members: Any) -> Event:
    """Find the only event with these members."""
    [found] = [one for one in events if all(one.get(k) == v for k, v in members.items())]
    return found


def last(events: list[Event], **members: Any) -> Event:
    return [one for one in events if all(one.get(k) == v for k, v in members.items())][-1]


def without(**members: Any) -> Plant:
    def plant(events: list[Event]) -> None:
        events.remove(find(events, **members))

    return plant


def changed(found: dict[str, Any], **to: Any) -> Plant:
    return lambda events: find(events, **found).update(to)


def told(call: int, **to: Any) -> Plant:
    """Plant another answer to the last try of a call."""

    def plant(events: list[Event]) -> None:
        event = last(events, event="told", call=call)
        event.clear()
        event.update(event="told", call=call, **to)

    return plant


def another(like: dict[str, Any], **to: Any) -> Plant:
    """Plant a changed copy of an event."""
    return lambda events: events.insert(-1, {**find(events, **like), **to})


def twin(id: str, **to: Any) -> Plant:
    """Plant another resource like `id`."""
    return another({"id": id}, id=f"{id}-twin", **to)


def added(table: str, **members: Any) -> Plant:
    return lambda events: events.insert(-1, {"event": "row", "table": table, **members})


def both(*plants: Plant) -> Plant:
    def plant(events: list[Event]) -> None:
        for each in plants:
            each(events)

    return plant


_MINE = {"table": "entry", "token": "kept"}
_VCPUS = {"name": f"vcpus/{_ACCOUNT}/{_REGION}"}
# Wrongs by name: the kind that the checker must find, and the plant for the good history.
PLANTED: dict[str, tuple[str, Plant]] = {
    "an acknowledged volume that is not there": ("lost", without(id="vol-1")),
    "an acknowledged create without its entry": ("lost", without(table="entry", token="kept")),
    "an acknowledged volume that went by itself": ("lost", changed({"id": "vol-1"}, gone=True)),
    "an acknowledged instance that its launch gave up": (
        "lost",
        changed({"id": "i-1"}, state="terminated", gone=True),
    ),
    "an instance without its volume": ("lost", without(id="vol-of-1")),
    "a running instance without a machine": ("lost", without(table="machine", instance="i-1")),
    "half a launch": ("lost", changed({"table": "entry", "token": "two"}, ids=["i-1"])),
    "a second volume under one token": ("doubled", twin("vol-1")),
    "a second volume that the entry names": (
        "doubled",
        both(twin("vol-1"), changed(_MINE, ids=["vol-1", "vol-1-twin"])),
    ),
    "a third instance of two": ("doubled", twin("i-1")),
    "a second interface of one instance": ("doubled", twin("eni-of-1")),
    "a machine that booted twice": (
        "doubled",
        changed({"table": "machine", "instance": "i-1"}, boots=2),
    ),
    "a repeat that names another volume": (
        "changed",
        told(2, outcome="made", ids=["r-1", "i-1", "i-3"]),
    ),
    "a repeat that names instances in another order": (
        "changed",
        told(2, outcome="made", ids=["r-1", "i-2", "i-1"]),
    ),
    "a repeat that names another reservation": (
        "changed",
        told(2, outcome="made", ids=["r-2", "i-1", "i-2"]),
    ),
    "a mismatch for an equal request": ("changed", told(2, outcome="refused", code=MISMATCH)),
    "a mismatch for a request that had no other": (
        "changed",
        told(8, outcome="refused", code=MISMATCH),
    ),
    "an answer to other parameters": ("changed", told(4, outcome="made", ids=["vol-1"])),
    "a volume of no instance and no entry": ("orphaned", twin("vol-of-1", parents=["i-gone"])),
    "an interface of no instance and no entry": (
        "orphaned",
        twin("eni-of-1", parents=["subnet-1"]),
    ),
    "a route table more than came with the VPC": ("orphaned", twin("rtb-1")),
    "a host reserved for nobody": ("orphaned", twin("placement-1")),
    "an address of an interface that is gone": (
        "orphaned",
        added("address", holder="eni-0"),
    ),
    "a machine of an instance that is gone": (
        "orphaned",
        added("machine", instance="i-0", state="running", boots=1),
    ),
    "capacity held for nobody": (
        "orphaned",
        changed({"name": f"capacity/{_ZONE}/t3.micro"}, used=3),
    ),
    "capacity given back twice": ("orphaned", changed(_VCPUS, used=2)),
    "an entry that nobody asked for": (
        "orphaned",
        another(_MINE, token="nobody's"),
    ),
    "a removed volume that lives": (
        "orphaned",
        changed({"id": "vol-2"}, state="available", gone=False),
    ),
    "a launch that never ends": (
        "unfinished",
        changed({"table": "work", "instance": "i-1"}, due=True, step=2),
    ),
    "an instance that stays pending": ("unfinished", changed({"id": "i-1"}, state="pending")),
    "an entry without an outcome": ("unfinished", changed(_MINE, settled=0)),
    "a history that breaks off": ("unfinished", without(event="end")),
    "a valid create that is refused": (
        "refused",
        told(8, outcome="refused", code="VolumeLimitExceeded"),
    ),
}


def test_a_history_in_which_every_promise_was_kept_passes() -> None:
    found = history.gather(numbered(good()))
    assert Checker(found).violations() == []
    assert report.shortfalls(found) == []


@pytest.mark.parametrize("planted", PLANTED)
def test_the_checker_flags(planted: str) -> None:
    kind, plant = PLANTED[planted]
    events = deepcopy(good())
    plant(events)
    assert kind in kinds(events)


def test_a_run_that_did_less_than_was_asked_is_told() -> None:
    found = history.gather(numbered([e for e in good() if e["event"] != "fault"]))
    assert report.shortfalls(found) == ["kills: 0 of 1 asked"]


def test_a_history_file_is_judged_again_and_the_status_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = deepcopy(good())
    PLANTED["a second volume under one token"][1](bad)
    files = {0: good(), 1: bad}
    for status, events in files.items():
        file = tmp_path / f"{status}.jsonl"
        file.write_text("".join(json.dumps(event) + "\n" for event in numbered(events)))
        assert check(file) == status
    said = capsys.readouterr().out
    assert "creates acknowledged: 3" in said
    assert "doubled 1" in said
    assert "vol-1-twin" in said
