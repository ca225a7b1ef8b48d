"""Power is lost at each fault point in turn: acknowledged effects stay, others leave no trace."""

from __future__ import annotations

import pytest

from sametoken.faults import POINTS, Point
from simulation.acts import on_instances
from simulation.scheduler import NodeCrash
from simulation.staging import LAUNCH, Stage, staged


def _crash_at(stage: Stage, wanted: Point, occurrence: int) -> list[str]:
    """Crash the node that reaches `wanted` when it is reached for the `occurrence`-th time."""
    crashed: list[str] = []
    reached = 0

    def at_point(point: Point) -> None:
        nonlocal reached
        if point is wanted:
            reached += 1
            if reached == occurrence:
                crashed.append(point.value)
                raise NodeCrash(point.value)

    stage.hazards.at_point = at_point
    return crashed


@pytest.mark.parametrize("calls", [False, True], ids=["taken", "called"])
@pytest.mark.parametrize("occurrence", [1, 2])
@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_the_point_loses_nothing_and_makes_nothing_twice(
    point: Point, occurrence: int, *, calls: bool
) -> None:
    with staged(calls=calls) as stage:
        crashed = _crash_at(stage, point, occurrence)
        answers = stage.send(LAUNCH)
        stage.run()
        assert len(answers) == 1, "the caller's repeats are answered in the end"
        result = answers[0].result
        assert result is not None, answers
        stage.auditor.check_settled()
        ids = [one["InstanceId"] for one in result["Instances"]]
        assert [stage.state(id) for id in ids] == ["running"]
        again = stage.send(LAUNCH)
        stage.run()
        assert again[0].result is not None
        assert [one["InstanceId"] for one in again[0].result["Instances"]] == ids
        ended = stage.send(on_instances("TerminateInstances", LAUNCH.account, LAUNCH.region, *ids))
        stage.run()
        assert ended[0].status == 200
        stage.auditor.check_settled()
        assert [stage.state(id) for id in ids] == ["terminated"]
        assert crashed == [point.value], f"{point} is never reached {occurrence} times"
