"""Shapes of a toy noun, added to botocore's model of EC2 by botocore's own means.

botocore merges `….sdk-extras.json` files of the folder `~/.aws/models` into a service's model. Only
a process whose home is the test's folder sees a model with toys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import botocore

Document = dict[str, Any]
_EC2 = Path("ec2", "2016-11-15")
# Filters are documented in EC2's form, which the test of documented filters reads.
_FILTERS = "<ul>{}</ul>".format(
    "".join(
        f"<li><p><code>{name}</code> - A filter.</p></li>"
        for name in ("toy-id", "vpc-id", "colour", "tag:&lt;key&gt;", "tag-key")
    )
)


def _structure(*required: str, **members: Document) -> Document:
    return {"type": "structure", "required": list(required), "members": members}


def _shown(shape: str, name: str, **more: Any) -> Document:
    """Declare a member of an answer, with the name that EC2 gives it in XML."""
    return {"shape": shape, "locationName": name, **more}


def _list(member: str, name: str) -> Document:
    return {"type": "list", "member": {"shape": member, "locationName": name}}


_TOKEN: Document = {"shape": "String", "idempotencyToken": True}
_ASKED: Document = {"ClientToken": _TOKEN, "DryRun": {"shape": "Boolean"}}
_ID: Document = {"shape": "String"}
_ONE = _structure(Toy=_shown("Toy", "toy"))
_SHAPES: Document = {
    "Toy": _structure(
        ToyId=_shown("String", "toyId"),
        VpcId=_shown("String", "vpcId"),
        Colour=_shown("String", "colour"),
        State=_shown("String", "state"),
        OwnerId=_shown("String", "ownerId"),
        Tags=_shown("TagList", "tagSet"),
    ),
    "ToyIdList": _list("String", "ToyId"),
    "ToyList": _list("Toy", "item"),
    # Replaces EC2's TagSpecification, whose enum of resource types has no toy.
    "ToyTags": _structure(
        ResourceType={"shape": "String"}, Tags=_shown("TagList", "Tag", queryName="Tag")
    ),
    "ToyTagsList": _list("ToyTags", "item"),
    "ToyMaxResults": {"type": "integer", "max": 1000, "min": 5},
    "CreateToyRequest": _structure(
        "VpcId",
        VpcId=_ID,
        Colour={"shape": "String"},
        TagSpecifications=_shown("ToyTagsList", "TagSpecification"),
        **_ASKED,
    ),
    "DescribeToysRequest": _structure(
        ToyIds=_shown("ToyIdList", "ToyId"),
        Filters=_shown("FilterList", "Filter", documentation=_FILTERS),
        MaxResults={"shape": "ToyMaxResults"},
        NextToken={"shape": "String"},
        DryRun={"shape": "Boolean"},
    ),
    "DescribeToysResult": _structure(
        Toys=_shown("ToyList", "toySet"), NextToken=_shown("String", "nextToken")
    ),
    "ModifyToyRequest": _structure("ToyId", ToyId=_ID, Colour={"shape": "String"}, **_ASKED),
    "EnableToyRequest": _structure("ToyId", ToyId=_ID, **_ASKED),
    "AssociateToyRequest": _structure("ToyId", "VpcId", ToyId=_ID, VpcId=_ID, **_ASKED),
    "DeleteToyRequest": _structure("ToyId", ToyId=_ID, **_ASKED),
    **{f"{verb}ToyResult": _ONE for verb in ("Create", "Modify", "Enable", "Associate", "Delete")},
}
_NAMES = ("CreateToy", "DescribeToys", "ModifyToy", "EnableToy", "AssociateToy", "DeleteToy")
_OPERATIONS = {
    name: {
        "name": name,
        "http": {"method": "POST", "requestUri": "/"},
        "input": {"shape": f"{name}Request"},
        "output": {"shape": f"{name}Result"},
    }
    for name in _NAMES
}
_PAGINATORS = {
    "DescribeToys": {
        "input_token": "NextToken",
        "limit_key": "MaxResults",
        "output_token": "NextToken",
        "result_key": "Toys",
    }
}


_ADDED: Document = {"shapes": _SHAPES, "operations": _OPERATIONS}


def with_toys(service_name: str, described: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a service's description; that of EC2 with toys."""
    if service_name != _EC2.parts[0]:
        return described
    return {**described, **{part: {**described[part], **more} for part, more in _ADDED.items()}}


def write_model(home: Path) -> None:
    """Add toys to EC2's model for the botocore of processes whose home this is."""
    folder = home / ".aws" / "models" / _EC2
    folder.mkdir(parents=True)
    _write(folder, "service-2", _ADDED)
    _write(folder, "paginators-1", {"pagination": _PAGINATORS})


def _write(folder: Path, what: str, more: Document) -> None:
    """Write extras merged with botocore's own: of two files of one name it reads only one."""
    name = f"{what}.sdk-extras.json"
    own = Path(botocore.__file__).parent / "data" / _EC2 / name
    merged: Document = json.loads(own.read_text())["merge"] if own.exists() else {}
    for part, added in more.items():
        merged[part] = {**merged.get(part, {}), **added}
    (folder / name).write_text(json.dumps({"version": 1.0, "merge": merged}))
