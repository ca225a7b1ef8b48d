"""Bounds of the model and its documentation are held: the last value passes, the next does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from sametoken.ec2.catalog import ACTIONS
from sametoken.ec2.protocol.bounds import TOLD, Bounds, bounds_of
from sametoken.ec2.protocol.model import ServiceModel
from sametoken.errors import ServiceError

EC2 = ServiceModel.load("ec2")


def refused(action: str, form: dict[str, str]) -> ServiceError | None:
    """The refusal of a form; None when it parses, or only lacks something else."""
    try:
        EC2.codec(action).parse(form)
    except ServiceError as error:
        return None if error.code == "MissingParameter" else error
    return None


def held() -> Iterator[tuple[str, str, str, str, Bounds]]:
    """Every parameter at the top of a served action that has bounds, with how it is sent."""
    for action in sorted(ACTIONS):
        shape = EC2._declared[action][0]  # the name of the request's shape is nobody else's matter
        for member, reference in EC2.input_of(action).items():
            bounds = bounds_of(shape, member, EC2.shape(reference["shape"]))
            if bounds is not None:
                sent = EC2.codec(action).input_members[member]
                yield action, member, sent, EC2.shape(reference["shape"])["type"], bounds


def of_scalars(action: str, member: str) -> bool:
    """False for a list of structures, which is shown by itself below."""
    shape = EC2.shape(EC2.input_of(action)[member]["shape"])
    return shape["type"] != "list" or bool(EC2.shape(shape["member"]["shape"])["type"] == "string")


HELD = [one for one in held() if of_scalars(*one[:2])]


def filled(sent: str, kind: str, size: int) -> dict[str, str]:
    """A form whose parameter has that size."""
    match kind:
        case "string":
            return {sent: "a" * size}
        case "list":
            return {f"{sent}.{number}": "a" for number in range(1, size + 1)}
    return {sent: str(size)}


@pytest.mark.parametrize(
    ("action", "member", "sent", "kind", "bounds"), HELD, ids=[f"{one[0]}.{one[1]}" for one in HELD]
)
def test_a_value_at_the_bound_passes_and_one_beyond_is_refused(
    action: str, member: str, sent: str, kind: str, bounds: Bounds
) -> None:
    beyond = []
    if bounds.least is not None and bounds.least > (0 if kind in ("integer", "long") else 1):
        beyond.append(bounds.least - 1)
        if bounds.pattern is None or kind != "string":
            assert refused(action, filled(sent, kind, bounds.least)) is None
    if bounds.most is not None:
        beyond.append(bounds.most + 1)
        if not (bounds.pattern and bounds.pattern.startswith("^arn")):
            assert refused(action, filled(sent, kind, bounds.most)) is None
    for size in beyond:
        error = refused(action, filled(sent, kind, size))
        assert error is not None
        assert error.code == bounds.code
        assert f"for parameter {sent} is invalid. Use " in error.message


@pytest.mark.parametrize("name", ["a:b c", "ab", "x" * 129, "naïve"])
def test_the_name_of_a_template_is_what_ec2_takes(name: str) -> None:
    error = refused("CreateLaunchTemplate", {"LaunchTemplateName": name})
    assert error is not None
    assert error.code == "InvalidLaunchTemplateName.MalformedException"
    assert refused("CreateLaunchTemplate", {"LaunchTemplateName": "web/blue-(2).x_1"}) is None


@pytest.mark.parametrize("name", ["it", "an image!", "x" * 129])
def test_the_name_of_an_image_is_what_ec2_takes(name: str) -> None:
    for action in ("CreateImage", "RegisterImage", "CopyImage"):
        error = refused(action, {"Name": name})
        assert error is not None
        assert error.code == "InvalidAMIName.Malformed"
        assert refused(action, {"Name": "bob's [image] @ (1)/2.3-4_5"}) is None


def test_elements_and_members_of_structures_are_held_too() -> None:
    many: dict[str, str] = {f"Entry.{n}.Cidr": f"10.0.{n}.0/24" for n in range(1, 102)}
    error = refused("CreateManagedPrefixList", many)
    assert error is not None
    assert "Value (101) for parameter Entry is invalid. Use 0 to 100 elements." in error.message
    requirements = "LaunchTemplateData.InstanceRequirements"
    named = {f"{requirements}.AllowedInstanceType.1": "t3 or so"}
    inner = refused("CreateLaunchTemplate", {**named, "LaunchTemplateName": "web"})
    assert inner is not None
    assert (
        f"Value (t3 or so) for parameter {requirements}.AllowedInstanceType.1 is" in inner.message
    )


def test_what_is_told_in_prose_names_members_that_there_are() -> None:
    for structure, member in TOLD:
        shape: Any = EC2.shape(structure)
        assert member in shape["members"]


def test_a_pattern_of_the_model_compiles() -> None:
    for *_, bounds in HELD:
        re.compile(bounds.pattern or "")
