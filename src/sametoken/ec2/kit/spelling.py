"""How EC2's actions spell a noun, read from the service model. Pure.

A noun's stem, such as `CarrierGateway`, names its actions and members: `CreateCarrierGateway`
answers with a `CarrierGateway`, `DescribeCarrierGateways` takes `CarrierGatewayIds`. Where EC2
spells one otherwise, the noun declares the exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from sametoken.ec2.protocol.model import ServiceModel

# The bounds of MaxResults in most Describe actions.
PAGE_MINIMUM, PAGE_MAXIMUM = 5, 1000
# The least and the most it may be: EC2's model has other bounds for some actions.
PageSizes = tuple[int, int]
PAGE_SIZES: PageSizes = (PAGE_MINIMUM, PAGE_MAXIMUM)

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Endings that a list's name has beyond its element's: Associations[], CidrBlockAssociationSet[].
_PLURALS = ("s", "es", "-set")


def stem_of(kind_name: str) -> str:
    """`carrier-gateway` → `CarrierGateway`."""
    return "".join(word.capitalize() for word in kind_name.split("-"))


def kebab(member: str) -> str:
    """`VpcId` → `vpc-id`, as filters spell members."""
    return _WORDS.sub("-", member).lower()


def describe_action(stem: str) -> str:
    """The action that lists them: `Describe` and the stem's plural."""
    if stem.endswith("y") and stem[-2] not in "aeiou":
        return f"Describe{stem[:-1]}ies"
    if stem.endswith("ss"):
        return f"Describe{stem}es"
    return f"Describe{stem}" if stem.endswith("s") else f"Describe{stem}s"


def list_member(model: ServiceModel, describe: str) -> str:
    """The member of a Describe's result that is the list, such as `Vpcs` of `DescribeVpcs`."""
    lists = [name for name, one in model.output_of(describe).items() if _type(model, one) == "list"]
    own = [name for name in lists if f"Describe{name}" == describe]
    return _one(own or lists, f"member of {describe}'s result is the list")


def element_shape(model: ServiceModel, describe: str, many: str) -> str:
    """The shape of what the list holds."""
    listed = model.shape(model.output_of(describe)[many]["shape"])
    return str(listed["member"]["shape"])


def id_member(model: ServiceModel, element: str, stem: str) -> str:
    """The member that is the resource's id."""
    members = model.shape(element)["members"]
    return _one([name for name in (f"{stem}Id",) if name in members], f"of {element} is its id")


def ids_parameter(model: ServiceModel, describe: str, id_member: str) -> str:
    """The parameter of a Describe that names resources by their ids."""
    wanted = f"{id_member}s"
    return _one(
        [name for name in model.input_of(describe) if name == wanted],
        f"parameter of {describe} is {wanted}",
    )


def result_member(model: ServiceModel, create: str, element: str) -> str | None:
    """The member of a create's result that is the resource; None when the result itself is it."""
    found = [name for name, one in model.output_of(create).items() if one["shape"] == element]
    if model.output_shape(create) == element:
        return None
    return _one(found, f"member of {create}'s result is a {element}")


def page_sizes(model: ServiceModel, describe: str) -> PageSizes:
    """The least and the most that MaxResults may be."""
    taken = model.input_of(describe).get("MaxResults")
    size = {} if taken is None else model.shape(taken["shape"])
    return int(size.get("min", PAGE_MINIMUM)), int(size.get("max", PAGE_MAXIMUM))


def filter_paths(
    model: ServiceModel, describe: str, element: str, exceptions: Mapping[str, str]
) -> dict[str, str]:
    """The filters of a Describe: those it documents, each with its path into the resource's form.

    Most names are a path in kebab-case; `exceptions` have the others, and those that EC2 takes and
    does not document. A documented name without a path is left out: a model newer than this
    release may have one, and the list goes on to be served.
    """
    found: dict[str, str] = {}
    for name in model.codec(describe).documented_filters:
        if name not in exceptions:
            with suppress(LookupError):
                found[name] = _path(model, element, name.split("."))
    return found | dict(exceptions)


def _path(model: ServiceModel, shape: str, steps: list[str]) -> str:
    """The members that a filter's words lead through."""
    members = model.shape(shape).get("members", {})
    name = _one(
        [one for one in members if _is_spelled(kebab(one), steps[0])],
        f"member of {shape} is called {steps[0]} by a filter: declare the filter's path",
    )
    reached = members[name]["shape"]
    listed = model.shape(reached)["type"] == "list"
    if listed:
        reached = model.shape(reached)["member"]["shape"]
    path = f"{name}[]" if listed else name
    return path if len(steps) == 1 else f"{path}.{_path(model, reached, steps[1:])}"


def _is_spelled(member: str, step: str) -> bool:
    spelled = [step, *(f"{step}{plural}" for plural in _PLURALS), f"{step[:-1]}ies"]
    return member in spelled


def _type(model: ServiceModel, reference: Mapping[str, Any]) -> str:
    return str(model.shape(reference["shape"])["type"])


def _one(found: Iterable[str], what: str) -> str:
    listed = list(found)
    if len(listed) != 1:
        raise LookupError(f"{listed or 'no'} {what}: spell it in the noun's record")
    return listed[0]
