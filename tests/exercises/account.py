"""Exercises of what an account has by itself: tags, and the lists of what EC2 has built in."""

from __future__ import annotations

from exercises.exercise import Document, Exercise, Ground, Live

# Paged lists of what nobody makes: they are as long as they are.
BUILT_IN = ("DescribeInstanceTypeOfferings", "DescribeInstanceTypes", "DescribePrefixLists")


def _tags(ground: Ground) -> Document:
    return {"Resources": [ground.vpc()], "Tags": [{"Key": "colour", "Value": "red"}]}


def _tagged(ground: Live) -> Document:
    asked = _tags(ground)
    ground.call("CreateTags", **asked)
    return asked


EXERCISES = (
    Exercise(
        kind="tag", make="CreateTags", ask=_tags, makes=False, changes={"DeleteTags": _tagged}
    ),
)
