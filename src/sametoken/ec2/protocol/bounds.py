"""Bounds on what a form's members may hold: lengths, characters, counts and ranges.

Values only, no I/O. Bounds stand in the model, as `min`, `max` and `pattern` of a shape; where only
its documentation tells them, in `TOLD`. SDKs check minima alone, so a server must check the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.scalars import Parse, shown
from sametoken.errors import ServiceError

# Members with words of EC2's own for what is out of bounds: `kit.paging` and the token's grammar.
_CHECKED_ELSEWHERE: Final = frozenset({"MaxResults", "ClientToken"})
_UNITS: Final = {"string": "characters", "list": "elements"}


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the most of a value: of its characters, its elements, or the number itself.

    `pattern` must match a whole text; `allowed` says so to people. `code` refuses.
    """

    least: int | None = None
    most: int | None = None
    pattern: str | None = None
    allowed: str = ""
    code: str = "InvalidParameterValue"

    def told(self, unit: str) -> str:
        """Say what to do, as a sentence."""
        of = f" {unit}" if unit else ""
        match self.least, self.most:
            case None, None:
                text = f"Use{of}"
            case None, most:
                text = f"Use at most {most}{of}"
            case least, None:
                text = f"Use at least {least}{of}"
            case least, most:
                text = f"Use {least} to {most}{of}"
        return f"{text} of {self.allowed}." if self.allowed else f"{text}."


_TEMPLATE_NAME: Final = Bounds(
    3, 128, r"[a-zA-Z0-9().\-/_]+", "letters, digits and ( ) . - / _",
    "InvalidLaunchTemplateName.MalformedException",
)  # fmt: skip
_IMAGE_NAME: Final = Bounds(
    3, 128, r"[a-zA-Z0-9()\[\] ./\-'@_]+", "letters, digits, spaces and ( ) [ ] . / - ' @ _",
    "InvalidAMIName.Malformed",
)  # fmt: skip
# TOLD has the bounds, by the structure and its member, that the API reference tells in prose, and
# those whose code is in "Error codes for the Amazon EC2 API".
TOLD: Final[Mapping[tuple[str, str], Bounds]] = {
    **{
        (structure, "LaunchTemplateName"): _TEMPLATE_NAME
        for structure in (
            "CreateLaunchTemplateRequest",
            "CreateLaunchTemplateVersionRequest",
            "DeleteLaunchTemplateRequest",
            "DeleteLaunchTemplateVersionsRequest",
            "DescribeLaunchTemplateVersionsRequest",
            "ModifyLaunchTemplateRequest",
        )
    },
    ("CreateImageRequest", "Name"): _IMAGE_NAME,
    ("CopyImageRequest", "Name"): _IMAGE_NAME,
    ("RegisterImageRequest", "Name"): _IMAGE_NAME,
    ("CreatePlacementGroupRequest", "GroupName"): Bounds(1, 255, r"[ -~]+", "ASCII characters"),
    ("CreateManagedPrefixListRequest", "PrefixListName"): Bounds(1, 255),
    ("CreateFlowLogsRequest", "ResourceIds"): Bounds(1, 300),
    ("CreateTagsRequest", "Resources"): Bounds(1, 1000),
    ("DeleteTagsRequest", "Resources"): Bounds(1, 1000),
    ("DeleteTagsRequest", "Tags"): Bounds(1, 1000),
    ("DeleteFlowLogsRequest", "FlowLogIds"): Bounds(1, 1000),
    ("DescribeFlowLogsRequest", "FlowLogIds"): Bounds(1, 1000),
    ("DeleteLaunchTemplateVersionsRequest", "Versions"): Bounds(1, 200),
    ("DescribeInstanceCreditSpecificationsRequest", "InstanceIds"): Bounds(1, 1000),
    ("DescribeInstanceStatusRequest", "InstanceIds"): Bounds(1, 100),
    ("TerminateInstancesRequest", "InstanceIds"): Bounds(1, 1000),
}


def bounds_of(structure: str | None, member: str, shape: Mapping[str, Any]) -> Bounds | None:
    """Return the bounds of a member of that shape, or None if it has none to be held to."""
    if member in _CHECKED_ELSEWHERE:
        return None
    if structure is not None and (told := TOLD.get((structure, member))):
        return told
    least, most, pattern = shape.get("min"), shape.get("max"), shape.get("pattern")
    if least is None and most is None and pattern is None:
        return None
    return Bounds(least, most, pattern, f"the pattern {pattern}" if pattern else "")


def bounded(bounds: Bounds, shape: Mapping[str, Any], parse: Parse) -> Parse:
    """Return a parser that refuses what `parse` returns where it is out of bounds."""
    unit = _UNITS.get(shape["type"], "")
    hidden = bool(shape.get("sensitive"))
    pattern = None if bounds.pattern is None else re.compile(bounds.pattern)

    def parse_bounded(node: Any, name: str) -> Any:
        value = parse(node, name)
        size = len(value) if unit and isinstance(value, str | list) else value
        if not isinstance(size, int):
            # An absent member has no size.
            return value
        fits = (bounds.least is None or size >= bounds.least) and (
            bounds.most is None or size <= bounds.most
        )
        if fits and (pattern is None or pattern.fullmatch(value)):
            return value
        what = "hidden" if hidden else size if isinstance(value, list) else shown(str(value))
        refused = refusals.invalid_value(shown(name), what, bounds.told(unit))
        raise ServiceError(bounds.code, refused.message)

    return parse_bounded
