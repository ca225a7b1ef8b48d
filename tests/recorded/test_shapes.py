"""Shapes of our answers: all that EC2 always returns is returned, and what it leaves out is not.

The rules are in `shapes.txt`, as recordings of EC2 told them; the answers are those to the
exercises' requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ec2.census import LISTS
from ec2.ground import Ground, Switched
from exercises import requests
from exercises.catalogue import own
from plane import Plane
from recorded import shapes
from recorded.shapes import Document

TOLD = shapes.read(shapes.FILE.read_text())
ACTIONS = {action for action, _ in TOLD}
# Lists that rules tell of.
_LISTS = [name for name in LISTS if name in ACTIONS]


@dataclass
class Listening(Ground):
    """A ground that keeps every answer it hears."""

    heard: list[tuple[str, Document]] = field(default_factory=list)

    def call(self, action: str, **params: object) -> Document:
        answer = super().call(action, **params)
        shown = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
        self.heard.append((action, shown))
        return answer


def heard(plane: Plane) -> Iterator[tuple[str, Document]]:
    """Make the exercises' requests, list what there is before and after a while, yield answers."""
    switched = Switched(plane)
    for asked, one in sorted(requests.requests().items()):
        if one.action not in ACTIONS and not asked.startswith(("Associate", "Create")):
            continue
        ground = Listening(plane, plane.account(f"shape of {asked}"), switched)
        ground.call(one.action, **one.ask(ground))
        for _ in range(2):
            for name in _LISTS:
                ground.call(name, **own(name))
            ground.later()
        yield from ground.heard
    ground = Listening(plane, plane.account("built-in images"), switched)
    ground.call("DescribeImages", Owners=["amazon"])
    yield from ground.heard


def test_answers_have_all_that_ec2s_have_and_no_list_that_it_leaves_out(still: Plane) -> None:
    here = shapes.of(heard(still))
    assert not list(shapes.missing(TOLD, here))
    assert not list(shapes.emptied(TOLD, here))
    assert len(TOLD.keys() & here.keys()) >= 0.7 * len(TOLD), "most rules are tried"
