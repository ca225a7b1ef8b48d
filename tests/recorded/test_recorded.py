"""EC2's recorded answers, held against ours: each difference is a row of docs/differences.md.

Skipped where `SAMETOKEN_RECORDED` names no folder of recordings: no repository of ours has any.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ec2.ground import Ground
from exercises.catalogue import ACTIONS
from plane import Plane
from recorded import differences, recording, scenes, shapes
from recorded.comparing import differences as told
from recorded.recording import Call
from recorded.replay import Here, refusals, replay

# Members that EC2 has returned since the recordings of their actions were made, by the captures of
# September 2026 (stackd's availability_zones.json).
NEWER = ("AvailabilityZones[].Geography is", "AvailabilityZones[].SubGeography is")


def needs(source: str) -> pytest.MarkDecorator:
    lacking = recording.lacking(source)
    return pytest.mark.skipif(bool(lacking), reason=lacking)


def of_custodian(plane: Plane) -> Iterator[str]:
    calls = [tape.calls[0] for tape in recording.tapes("cloud-custodian")]
    for number, call in enumerate(one for one in calls if one.code and one.action in ACTIONS):
        ground = Ground(plane, plane.account(f"custodian {number}"))
        params = scenes.asked_again(call, ground)
        assert params is not None, f"write a scene: {call}"
        given = scenes.called(ground, call.action, params)
        yield from (f"{call.action} {one}" for one in refusals(call, given.code, given.text))


def of_localstack(plane: Plane) -> Iterator[str]:
    for number, tape in enumerate(recording.tapes("localstack")):
        scene = scenes.LOCALSTACK.get(tape.name)
        if scene is None:
            continue
        ground = Ground(plane, plane.account(f"localstack {number}"))
        recorded = {one.label: one for one in tape.calls}
        ids: dict[str, str] = {}
        for label, action, params in scene(ground):
            given = scenes.called(ground, action, params)
            yield from (f"{label}: {one}" for one in _of_step(recorded[label], given, ground, ids))


def _of_step(call: Call, given: Call, ground: Ground, ids: dict[str, str]) -> Iterator[str]:
    if call.code or given.code:
        yield from refusals(call, given.code, given.text)
        return
    shown = scenes.with_policy(scenes.only(call.label, given.answer))
    expected = scenes.with_policy(scenes.regional(call.answer, ground.region))
    yield from told("", expected, shown, ids)


def of_stackd(plane: Plane) -> Iterator[str]:
    for tape in recording.tapes("stackd"):
        grounds: dict[str, Ground] = {}

        def ground(
            caller: str, name: str = tape.name, known: dict[str, Ground] = grounds
        ) -> Ground:
            return known.setdefault(caller, Ground(plane, plane.account(f"{name} {caller}")))

        here = Here(
            lambda caller: ground(caller).client,
            lambda caller: ground(caller).account,
            ground("").later,
            lambda call: scenes.instead(call, ground(call.caller)),
        )
        yield from replay(tape, here)


SOURCES = {
    "cloud-custodian": of_custodian, "localstack": of_localstack, "stackd": of_stackd,
}  # fmt: skip


@pytest.mark.parametrize("source", [pytest.param(name, marks=needs(name)) for name in SOURCES])
def test_every_difference_from_a_recording_is_a_row(still: Plane, source: str) -> None:
    found = [one for one in SOURCES[source](still) if not any(new in one for new in NEWER)]
    assert not differences.unexplained(found)
    assert not differences.unshown(source, found)


@pytest.mark.skipif(
    bool(recording.lacking("cloud-custodian")), reason=recording.lacking("cloud-custodian")
)
def test_the_rules_of_shapes_are_what_the_recordings_tell() -> None:
    calls = [tape.calls[0] for tape in recording.tapes("cloud-custodian")]
    answers = [(one.action, one.answer) for one in calls if not one.code and one.action in ACTIONS]
    told = shapes.written(shapes.rules(shapes.of(answers)))
    assert told == shapes.FILE.read_text(), "write it anew"
