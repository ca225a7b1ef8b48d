"""Exercises of an account's own features: tags, and the lists of EC2's built-in resources."""

from __future__ import annotations

from exercises.exercise import Document, Exercise, Ground, Live

# Paged lists of built-in resources, which no exercise can make longer.
BUILT_IN = (
    "DescribeInstanceTypeOfferings", "DescribeInstanceTypes", "DescribePrefixLists",
    "DescribeVpcEndpointServices",
)  # fmt: skip


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
