"""A service's model, compiled: for each action a parser of forms and a renderer of XML.

The model is botocore's description of the service; no other part of botocore is used. An action is
compiled when it is first asked for. Only the parts of the description that codecs and nouns need
are kept, and two facts of its documentation. No I/O after `load`; this module does not know what an
action does.

Traits that EC2's model never uses (timestampFormat, xmlAttribute, streaming) are ignored. Tests
compare every action with botocore's own codecs, so a model that begins to use a trait is noticed.
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from sys import intern
from types import MappingProxyType
from typing import Any

import botocore
import orjson

from sametoken.ec2.protocol import documented
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.protocol.query import Form, InputCompiler, Shapes, form_name
from sametoken.ec2.protocol.xml import OutputCompiler, Render
from sametoken.errors import Misconfigured

PROTOCOLS = ("ec2", "query")
# Names of instance types change by the month, so the catalogue lists them and not the model. A new
# interface may be called `interface`, and an account has more attributes than two: EC2 accepts both
# and its model does not list them.
OPEN_ENUMS = frozenset({"AccountAttributeName", "InstanceType", "NetworkInterfaceCreationType"})

# Traits that are kept of a shape and a member. Nine tenths of a description are documentation.
_SHAPE_TRAITS = frozenset(
    {
        "type", "required", "flattened", "locationName", "queryName", "sensitive",
        "min", "max", "pattern",
    }
)  # fmt: skip
_MEMBER_TRAITS = frozenset({"shape", "flattened", "locationName", "queryName"})


@dataclass(frozen=True, slots=True)
class Codec:
    """The parser and the renderer of one action, and facts that its shapes state.

    `parse` takes the fields of a form without Action, Version and the signature's, and returns
    parameters in the model's names; raises ServiceError. `render` takes a result in the model's
    names and a request id. `input_members` maps each parameter to the name it is sent by.
    `token_characters_max` is None where the model does not say. `documented_filters` are the names
    of its Filters parameter, without those of tags. `secrets` are the
    paths of parameters that the model calls sensitive, written as `Rules.secrets` are.
    """

    name: str
    has_client_token: bool
    echoes_client_token: bool
    token_characters_max: int | None
    documented_filters: tuple[str, ...]
    has_dry_run: bool
    input_members: Mapping[str, str]
    secrets: frozenset[str]
    parse: Callable[[Form], Document]
    render: Render


class ServiceModel:
    """Codecs of one service's actions. May be used by several threads at once."""

    def __init__(
        self,
        description: Mapping[str, Any],
        *,
        open_enums: frozenset[str] = OPEN_ENUMS,
        holds_bounds: bool = True,
    ) -> None:
        """Copy what is needed of a `service-2` description, which is not changed.

        Shapes named in `open_enums` accept texts that the model does not list. Without
        `holds_bounds` values of any length and size parse. Raises Misconfigured for a protocol
        other than `ec2` and `query`.
        """
        metadata = description["metadata"]
        self.name: str = metadata["endpointPrefix"]
        self.protocol: str = metadata["protocol"]
        if self.protocol not in PROTOCOLS:
            raise Misconfigured(f"{self.name} speaks {self.protocol}, not one of {PROTOCOLS}.")
        self.api_version: str = metadata["apiVersion"]
        # A namespace in the real service's answers ends in a slash; in the model some do not.
        self.namespace: str = metadata["xmlNamespace"].rstrip("/") + "/"
        self.action_names = frozenset(description["operations"])
        self._shapes = _LeanShapes(description["shapes"])
        self._declared = {
            name: (
                declared.get("input", {}).get("shape"),
                declared.get("output", {}).get("shape"),
                declared.get("output", {}).get("resultWrapper"),
            )
            for name, declared in description["operations"].items()
        }
        self._inputs = InputCompiler(
            self._shapes, self.protocol, open_enums, holds_bounds=holds_bounds
        )
        self._outputs = OutputCompiler(self._shapes, self.protocol, self.namespace)
        self._elements: dict[tuple[str, str], Callable[[Any], bytes]] = {}
        self._codecs: dict[str, Codec] = {}
        # Compilers keep half-made shapes while they recurse, so one action is compiled at a time.
        self._compiling = threading.Lock()

    @classmethod
    @cache
    def load(cls, service_name: str) -> ServiceModel:
        """Load the model of a service by botocore's name for it, such as `ec2` or `sts`.

        Cached for this process: loading EC2's takes a tenth of a second.
        """
        return cls(read_description(service_name))

    def codec(self, name: str) -> Codec:
        """Return the codec of the action `name`; raises KeyError if the service has none."""
        codec = self._codecs.get(name)
        if codec is not None:
            return codec
        with self._compiling:
            if name not in self._codecs:
                self._codecs[name] = self._compile(name)
            return self._codecs[name]

    def _compile(self, name: str) -> Codec:
        input_shape, output_shape, wrapper = self._declared[name]
        token_characters_max, documented_filters = _read_documentation(
            self._shapes.described, input_shape
        )
        taken = self._members(input_shape)
        return Codec(
            name=name,
            has_client_token="ClientToken" in taken,
            echoes_client_token=not {"ClientToken", "clientToken"}.isdisjoint(
                self._members(output_shape)
            ),
            token_characters_max=token_characters_max,
            documented_filters=documented_filters,
            has_dry_run="DryRun" in taken,
            input_members=MappingProxyType(
                {
                    member: form_name(self._shapes, self.protocol, member, reference)
                    for member, reference in taken.items()
                }
            ),
            secrets=frozenset(self._sensitive("", taken)),
            parse=self._inputs.compile(input_shape),
            render=self._outputs.compile(name, output_shape, wrapper),
        )

    def element(self, shape: str, member: str) -> Callable[[Any], bytes]:
        """Return a renderer of single elements of a list, `member` of a structure; cached."""
        known = self._elements.get((shape, member))
        if known is None:
            with self._compiling:
                known = self._elements[shape, member] = self._outputs.element(shape, member)
        return known

    def input_of(self, name: str) -> Mapping[str, Mapping[str, Any]]:
        """Map each parameter of an action to the model's traits of it, its `shape` among them."""
        return self._members(self._declared[name][0])

    def output_of(self, name: str) -> Mapping[str, Mapping[str, Any]]:
        """Map each member of an action's result in the same way."""
        return self._members(self._declared[name][1])

    def output_shape(self, name: str) -> str | None:
        """Return the name of the shape of an action's result; None if it has no result."""
        shape: str | None = self._declared[name][1]
        return shape

    def shape(self, name: str) -> Mapping[str, Any]:
        """Return the traits of a shape: its `type`, `members`, `member`, `min`, `max` and more."""
        return self._shapes[name]

    def _sensitive(
        self,
        path: str,
        members: Mapping[str, Mapping[str, Any]],
        above: frozenset[str] = frozenset(),
    ) -> Iterator[str]:
        """The paths, under `path`, of members whose values must not be shown."""
        for member, reference in members.items():
            name, here = reference["shape"], f"{path}.{member}" if path else member
            while self._shapes[name]["type"] == "list":
                name, here = self._shapes[name]["member"]["shape"], f"{here}[]"
            if self._shapes[name].get("sensitive"):
                yield here
            elif name not in above:
                inner = self._shapes[name].get("members", {})
                yield from self._sensitive(here, inner, above | {name})

    def _members(self, shape_name: str | None) -> Mapping[str, Mapping[str, Any]]:
        if shape_name is None:
            return {}
        members: Mapping[str, Mapping[str, Any]] = self._shapes[shape_name]["members"]
        return members


def read_description(service_name: str) -> Mapping[str, Any]:
    """Read the newest description of a service that botocore has.

    Reads the file itself: `botocore.loaders` imports an HTTP client, looks through the folders of
    all services, and keeps the order of each object's members, in three times the time. It also
    reads descriptions in the user's home, which are not what this program was tested with.
    """
    folder = Path(botocore.__file__).parent / "data" / service_name
    newest = max(file for file in folder.glob("*/service-2.json.gz"))
    described: Mapping[str, Any] = orjson.loads(gzip.decompress(newest.read_bytes()))
    return described


def _read_documentation(
    shapes: Mapping[str, Any], input_shape: str | None
) -> tuple[int | None, tuple[str, ...]]:
    token = documented.member_text(shapes, input_shape, "ClientToken")
    filters = (documented.member_text(shapes, input_shape, one) for one in ("Filters", "Filter"))
    text = next((one for one in filters if one is not None), "")
    characters_max = None if token is None else documented.token_characters_max(token)
    return characters_max, tuple(dict.fromkeys(documented.filter_names(text)))


class _LeanShapes(dict[str, Mapping[str, Any]]):
    """The shapes of a description, each reduced when it is first asked for."""

    def __init__(self, described: Shapes) -> None:
        super().__init__()
        self.described = described

    def __missing__(self, name: str) -> Mapping[str, Any]:
        return self.setdefault(name, _lean_shape(self.described[name]))


def _lean_shape(shape: Mapping[str, Any]) -> Mapping[str, Any]:
    lean = _lean(shape, _SHAPE_TRAITS)
    if "enum" in shape:
        lean["enum"] = tuple(shape["enum"])
    if "member" in shape:
        lean["member"] = _lean(shape["member"], _MEMBER_TRAITS)
    if "members" in shape:
        lean["members"] = {
            intern(member): _lean(reference, _MEMBER_TRAITS)
            for member, reference in shape["members"].items()
        }
    return lean


def _lean(described: Mapping[str, Any], traits: frozenset[str]) -> dict[str, Any]:
    return {
        trait: intern(value) if isinstance(value, str) else value
        for trait, value in described.items()
        if trait in traits
    }
