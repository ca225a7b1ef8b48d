"""botocore's own codecs, to compare ours with, and sample values for any shape of its models.

The samples are deterministic: the same shape always gets the same value. A recursive shape is cut
where it comes up inside itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

FORM = "application/x-www-form-urlencoded; charset=utf-8"
ENVELOPE = frozenset({"Action", "Version"})
MOMENT = datetime(2016, 11, 15, 12, 0, 0, 123000, tzinfo=UTC)


def described(description: Mapping[str, Any]) -> ServiceModel:
    return ServiceModel(description, description["metadata"]["endpointPrefix"])


@cache
def service(name: str) -> ServiceModel:
    return described(Loader().load_service_model(name, "service-2"))


def actions(name: str) -> list[str]:
    return sorted(service(name).operation_names)


def sample(shape: Shape, label: str = "", above: tuple[str, ...] = ()) -> Any:
    """Return a value with every member set, and two elements in every list."""
    match shape.type_name:
        case "structure":
            if shape.name in above:
                return None
            inside = {
                member: sample(inner, member, (*above, shape.name))
                for member, inner in shape.members.items()
            }
            return {member: value for member, value in inside.items() if value is not None}
        case "list":
            elements = [sample(shape.member, f"{label}{n}", above) for n in (1, 2)]
            return [element for element in elements if element is not None] or None
        case "string":
            return shape.enum[-1] if shape.enum else f" {label} <&> 100% + é\U0001f600=\n\t."
        case "timestamp":
            return MOMENT
    return {
        "integer": -(2**31),
        "long": 2**63 - 1,
        "float": 1.5,
        "double": -0.1,
        "boolean": len(label) % 2 == 0,
        "blob": b"\x00\xff" + label.encode(),
    }[shape.type_name]


def serialised(operation: OperationModel, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields botocore sends, in order, without Action and Version.

    The parameters are not validated, because samples ignore the model's minimum of a number.
    """
    protocol = operation.service_model.protocol
    request = create_serializer(protocol, include_validation=False).serialize_to_request(
        parameters, operation
    )
    return {name: value for name, value in request["body"].items() if name not in ENVELOPE}


def body_of(fields: Mapping[str, Any]) -> bytes:
    return urlencode(fields).encode()


def parsed(operation: OperationModel, body: bytes, status: int = 200) -> dict[str, Any]:
    """Parse an answer with botocore; of the metadata it adds, keep the request id alone."""
    protocol = operation.service_model.protocol
    answer: dict[str, Any] = create_parser(protocol).parse(
        {"status_code": status, "headers": {}, "body": body}, operation.output_shape
    )
    answer["ResponseMetadata"] = {"RequestId": answer["ResponseMetadata"]["RequestId"]}
    return answer
