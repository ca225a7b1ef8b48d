"""Checks of parameters that many actions share: what is accepted, and EC2's rules for tags. Pure.

Every member of an action's model is either accepted (used, or stored and shown where EC2 shows it)
or refused by name; nothing is silently dropped, because a caller who asked for it would be misled.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError

# An accepted member: None takes any value of its shape, a mapping only the members it names.
Accepted = Mapping[str, "Accepted | None"]

_Network = TypeVar("_Network", bound=ipaddress.IPv4Network | ipaddress.IPv6Network)
# A block names its size in bits: Python would take an address alone, or a netmask, as well.
_SIZED = re.compile(r"[^/]+/[0-9]{1,3}\Z")

# EC2's own limits: tags a resource, and their lengths.
TAGS_MAX = 50
TAG_KEY_CHARACTERS_MAX = 128
TAG_VALUE_CHARACTERS_MAX = 256


def refuse_unsupported(path: str, value: Any, accepted: Accepted | None) -> None:
    """Raise for the first member that `accepted` does not name."""
    if accepted is None:
        return
    if isinstance(value, list):
        for element in value:
            refuse_unsupported(path, element, accepted)
        return
    for name, inner in value.items():
        inner_path = f"{path}.{name}" if path else name
        if name not in accepted:
            raise refusals.unsupported(inner_path)
        refuse_unsupported(inner_path, inner, accepted[name])


def exactly_one(*names: str) -> Callable[[Request], None]:
    """A check that a request has one of these parameters, and no two."""

    def check(request: Request) -> None:
        given = [name for name in names if name in request.params]
        if not given:
            raise refusals.missing_parameter(" or ".join(names))
        if len(given) > 1:
            raise refusals.invalid_combination(f"Give one of {', '.join(given)}, not both.")

    return check


def check_tag_specifications(params: Mapping[str, Any], taggable: Sequence[str]) -> None:
    """The tags a create gives what it makes: only kinds it makes, at least one tag each."""
    given = [one.get("ResourceType") for one in params.get("TagSpecifications", ())]
    for twice in sorted({str(one) for one in given if given.count(one) > 1}):
        raise refusals.invalid_value("tagSpecification", twice, "It is given twice.")
    for specification in params.get("TagSpecifications", ()):
        resource_type = specification.get("ResourceType")
        if resource_type not in taggable:
            raise refusals.invalid_value(
                "tagSpecification", resource_type, f"Tag one of: {', '.join(taggable)}."
            )
        if not specification.get("Tags"):
            raise ServiceError(
                "InvalidParameterValue", "Tag specification must have at least one tag"
            )
        check_tags(specification["Tags"])


def check_tags(tags: list[Document]) -> None:
    """EC2's rules for tags: count, lengths, the reserved prefix, no key twice."""
    keys = [tag.get("Key", "") for tag in tags]
    if len(keys) > TAGS_MAX:
        raise ServiceError("TagLimitExceeded", f"At most {TAGS_MAX} tags; {len(keys)} were given.")
    for tag, key in zip(tags, keys, strict=True):
        if not key or len(key) > TAG_KEY_CHARACTERS_MAX:
            raise refusals.invalid_value(
                "Tag.Key", key[:200], f"A tag key has 1 to {TAG_KEY_CHARACTERS_MAX} characters."
            )
        if key.lower().startswith("aws:"):
            raise refusals.invalid_value("Tag.Key", key, "The prefix aws: is reserved.")
        if len(tag.get("Value", "")) > TAG_VALUE_CHARACTERS_MAX:
            raise refusals.invalid_value(
                "Tag.Value",
                tag["Value"][:200],
                f"A tag value has at most {TAG_VALUE_CHARACTERS_MAX} characters.",
            )
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise refusals.invalid_value("Tag.Key", twice, "It is given twice.")


def parse_block(network: type[_Network], text: str) -> _Network:
    """A CIDR block with its host bits cleared, as EC2 stores it. Raises `ValueError`."""
    if not _SIZED.match(text):
        raise ValueError(f"{text} is no block")
    return network(text, strict=False)


def asked_block(parameter: str, network: type[_Network], text: str) -> _Network:
    """The block that a parameter gives, as `parse_block` reads it. Raises EC2's refusal."""
    try:
        return parse_block(network, text)
    except ValueError:
        raise refusals.invalid_value(
            parameter[0].lower() + parameter[1:], text[:200], "This is not a valid CIDR block."
        ) from None
