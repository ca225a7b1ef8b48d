"""Stories of launches, beside Describes of the same rows: by the reading threads of a store.

A story tells an instance, its volume and its interface, and so they are described: by their ids,
one Describe each. Both are made to the bytes that are sent.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import msgspec
from launches import drive, unfinished
from measure import Run, Stopwatch
from stores import DRIVERS, Plane

from sametoken.operate.opened import Opened
from sametoken.operate.story.telling import tell
from sametoken.server.admission import Admitted
from sametoken.settings import database_of

# Launches that are asked for in turns.
_LAUNCHES = 64
# The Describe of each kind, and the parameter that has its ids. A placement is nobody's to see.
_DESCRIBES = {
    "instance": ("DescribeInstances", "InstanceIds"),
    "volume": ("DescribeVolumes", "VolumeIds"),
    "network-interface": ("DescribeNetworkInterfaces", "NetworkInterfaceIds"),
}


@dataclass(frozen=True, slots=True)
class Stories:
    """Launches of a plane that run, by their tokens, with the Describes of what each has made."""

    plane: Plane
    here: Opened[Any]
    asked: dict[str, list[Admitted]]

    def told(self, count: int) -> Run:
        watch = Stopwatch()
        for token in islice(cycle(self.asked), count):
            [story] = tell(self.here, token, account=self.plane.account)
            msgspec.json.encode(story)
        return watch.stop(count)

    def described(self, count: int) -> Run:
        watch = Stopwatch()
        for asked in islice(cycle(self.asked.values()), count):
            for one in asked:
                action: Any = one.action
                result = self.plane.store.read(lambda tx, a=action, r=one.request: a.run(tx, r))
                one.codec.render(result, one.request.request_id)
        return watch.stop(count)


def launched(plane: Plane) -> Stories:
    """Launch, and drive all of it; what others have launched is driven before."""
    if left := unfinished(plane):
        drive(plane, left, DRIVERS)
    tokens = [uuid.uuid4().hex for _ in range(_LAUNCHES)]
    for token in tokens:
        plane.store.run(plane.launch(token))
    drive(plane, _LAUNCHES, DRIVERS)
    assert isinstance(plane.database, Path), "it is a file"
    here = Opened(database_of(plane.database), plane.store)
    return Stories(plane, here, {token: _describes(plane, here, token) for token in tokens})


def _describes(plane: Plane, here: Opened[Any], token: str) -> list[Admitted]:
    [story] = tell(here, token, account=plane.account)
    made = [one for one in story.resources if one.kind in _DESCRIBES]
    assert len(made) == len(_DESCRIBES), "a launch has made one of each"
    return [
        _prepared(plane.admit(action, **{member: [one.id]}))
        for one in made
        for action, member in [_DESCRIBES[one.kind]]
    ]


def _prepared(asked: Admitted) -> Admitted:
    action: Any = asked.action
    if action.prepare is None:
        return asked
    request = replace(asked.request, prepared=action.prepare(asked.request))
    return replace(asked, request=request)
