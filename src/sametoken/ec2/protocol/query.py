"""Forms in: closures compiled per shape parse the bytes of a request to typed parameters.

Values only, no I/O; whatever is sent, the answer is a value or a `ServiceError`.

Lists and structures of the `query` protocol are parsed, but no maps, and no flattened lists that
are renamed: the only service answered in that protocol is STS, which has neither.

Source: Smithy, "AWS EC2 query protocol"; native captures for what it leaves open (lists may be
sparse; of a repeated key GET takes the first value, POST the last).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.bounds import bounded, bounds_of
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.protocol.scalars import Node, Parse, scalar_parser, shown, unknown
from sametoken.errors import Misconfigured, ServiceError

# The shapes of a service model in botocore's own format.
Shapes: TypeAlias = Mapping[str, Mapping[str, Any]]
# A request's fields, decoded, each name once, in the order they were first sent.
Form: TypeAlias = Mapping[str, str]
# Returned by a parser for a structure or a list in which all that was sent is empty.
_ABSENT: Final = object()

# A thousand rules of six fields each fit, and no documented limit of EC2's asks for more.
FIELDS_MAX = 10_000
# The longest key of EC2's model has 153 characters (RequestSpotFleet), with indexes of five digits.
FIELD_NAME_BYTES_MAX = 256
# The largest value EC2 documents is 64,000 characters (the UEFI variable store of RegisterImage).
FIELD_VALUE_BYTES_MAX = 128 * 1024
# EC2's deepest key has 11 steps; bounding them bounds every recursion over a form.
FIELD_DEPTH_MAX = 16
# Lists may be sparse, so an index may exceed the list's length, but not the most fields of a form.
LIST_INDEX_MAX = FIELDS_MAX

FORM_CONTENT_TYPE = "application/x-www-form-urlencoded"

# Characters that XML 1.0 cannot carry (section 2.2, Char): no answer could repeat them.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


def split_form(query: bytes, body: bytes, content_type: str | None, method: str) -> Form:
    """Split a request into its fields. If a name repeats, GET keeps the first value, POST the last.

    `query` is percent-encoded, as in `WireRequest`. A GET has only its query, a POST the query's
    fields and then the body's. Raises ServiceError for everything malformed or too large; the
    server has bounded the size of the whole request before.
    """
    if method not in ("GET", "POST"):
        raise ServiceError("InvalidRequest", "Send a GET or a POST request.", http_status=405)
    # Count before splitting, so that a body of separators does not become a long list.
    if sum(part.count(b"&") + 1 for part in (query, body) if part) > FIELDS_MAX:
        raise ServiceError("InvalidRequest", f"A request has at most {FIELDS_MAX} parameters.")
    pieces = _text(query).split("&")
    if body:
        _check_body_allowed(method, content_type)
        pieces += _text(body).split("&")
    first_wins = method == "GET"
    fields: dict[str, str] = {}
    for piece in pieces:
        if not piece:
            continue
        raw_name, _, raw_value = piece.partition("=")
        name = _decoded(raw_name, FIELD_NAME_BYTES_MAX, "The name of a parameter")
        value = _decoded(raw_value, FIELD_VALUE_BYTES_MAX, f"The value of {shown(name)}")
        if not name:
            raise _malformed("A parameter has no name.")
        if not (first_wins and name in fields):
            fields[name] = value
    return fields


def _check_body_allowed(method: str, content_type: str | None) -> None:
    if method == "GET":
        raise ServiceError("InvalidRequest", "A GET request has no body. Send it as a POST.")
    media_type, _, parameters = (content_type or "").partition(";")
    if media_type.strip().lower() != FORM_CONTENT_TYPE:
        raise ServiceError(
            "InvalidRequest",
            f"The Content-Type ({shown(content_type or 'none')}) of the request is not supported. "
            f"Use {FORM_CONTENT_TYPE}; charset=utf-8.",
        )
    for parameter in parameters.lower().split(";"):
        key, _, charset = parameter.partition("=")
        if key.strip() == "charset" and charset.strip(' "') not in ("utf-8", "utf8", "us-ascii"):
            raise ServiceError("InvalidRequest", "The form must be encoded in UTF-8.")


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed("The request is not valid UTF-8.") from None


def _decoded(raw: str, bytes_max: int, what: str) -> str:
    # Do not decode a text that cannot fit: at most three characters encode a byte.
    if len(raw) > 3 * bytes_max:
        raise _too_long(what, bytes_max)
    text = raw.replace("+", " ") if "+" in raw else raw
    if "%" in text:
        if _BAD_ESCAPE.search(text) is not None:
            raise _malformed("A percent sign is not followed by two hexadecimal digits.")
        try:
            text = unquote(text, errors="strict")
        except UnicodeDecodeError:
            raise _malformed("A percent-encoded character is not valid UTF-8.") from None
    # Counting bytes costs a copy; an ASCII text has as many bytes as characters.
    if (len(text) if text.isascii() else len(text.encode())) > bytes_max:
        raise _too_long(what, bytes_max)
    if not text.isprintable() and _NOT_XML.search(text) is not None:
        raise ServiceError(
            "InvalidCharacter",
            "Your request contains an invalid XML character and can not be processed.",
        )
    return text


def _malformed(why: str) -> ServiceError:
    return ServiceError("MalformedQueryString", f"The query string contains a syntax error. {why}")


def _too_long(what: str, bytes_max: int) -> ServiceError:
    return ServiceError(
        "InvalidParameterValue", f"{what} is too long. It has at most {bytes_max} bytes."
    )


def form_name(shapes: Shapes, protocol: str, member: str, reference: Mapping[str, Any]) -> str:
    """Return the step of a key by which `member`, declared by `reference`, is sent."""
    traits = {**shapes[reference["shape"]], **reference}
    name: str = traits.get("locationName", member)
    if protocol == "query":
        return name
    sent: str = traits.get("queryName", name[0].upper() + name[1:])
    return sent


class InputCompiler:
    """Compiles input shapes into parsers, each shape once. Not for several threads at a time."""

    def __init__(
        self, shapes: Shapes, protocol: str, open_enums: frozenset[str], *, holds_bounds: bool
    ) -> None:
        self._holds_bounds = holds_bounds
        self._shapes = shapes
        self._protocol = protocol
        self._open_enums = open_enums
        self._structures: dict[str, Parse] = {}

    def compile(self, shape_name: str | None) -> Callable[[Form], Document]:
        """Return a parser of forms whose parameters are the members of `shape_name`.

        With None the action takes no parameters. The parser raises only ServiceError.
        """
        try:
            parse_root = self._structure(shape_name, is_root=True)
        except Misconfigured:
            # Drop half-made parsers: another action would refuse the members they still lack.
            self._structures.clear()
            raise

        def parse(form: Form) -> Document:
            document: Document = parse_root(_nested(form), "")
            return document

        return parse

    def _parser(self, shape_name: str) -> Parse:
        shape = self._shapes[shape_name]
        match shape["type"]:
            case "structure":
                return self._structures.get(shape_name) or self._structure(shape_name)
            case "list":
                return self._list(shape["member"])
            case _:
                open_enum = shape_name in self._open_enums
                return scalar_parser(shape_name, shape, open_enum=open_enum)

    def _structure(self, shape_name: str | None, *, is_root: bool = False) -> Parse:
        shape = {"members": {}} if shape_name is None else self._shapes[shape_name]
        members: Mapping[str, Mapping[str, Any]] = shape["members"]
        names = {
            member: form_name(self._shapes, self._protocol, member, reference)
            for member, reference in members.items()
        }
        required = [(member, names[member]) for member in shape.get("required", ())]
        # Maps the form name of a member to (member, parser, whether an empty text is a value).
        fields: dict[str, tuple[str, Parse, bool]] = {}
        if is_root:
            parse = _root_parser(fields, required)
            # Keep an empty Value, which empties an attribute, in both of its forms:
            # `Attribute=userData&Value=`, and below `UserData.Value=`, which boto3 sends for `b""`
            # and the CLI for `Value=`.
            kept = {"ClientToken"} | ({"Value"} if "Attribute" in members else set())
        else:
            # Keep the empty value of a tag, and the empty NoDevice that leaves a device out
            # ("specify an empty string", EC2 API reference). Elsewhere clients send an empty text
            # for "not given".
            is_wrapper = members.keys() == {"Value"}
            kept = {"Value"} if is_wrapper or {"Key", "Value"} <= members.keys() else set()
            kept |= {"NoDevice"} & members.keys()
            parse = _structure_parser(fields, required, bool(kept) and not is_wrapper)
            # Register before compiling the members, because a shape may contain itself.
            assert shape_name is not None
            self._structures[shape_name] = parse
        for member, reference in members.items():
            is_text = self._shapes[reference["shape"]]["type"] in ("string", "blob")
            parse_member = self._bounded(shape_name, member, reference["shape"])
            fields[names[member]] = (member, parse_member, is_text and member in kept)
        return parse

    def _bounded(self, structure: str | None, member: str, shape_name: str) -> Parse:
        """The parser of a member, or of an element of a list, which is held to its bounds."""
        parse, shape = self._parser(shape_name), self._shapes[shape_name]
        bounds = bounds_of(structure, member, shape) if self._holds_bounds else None
        return parse if bounds is None else bounded(bounds, shape, parse)

    def _list(self, element: Mapping[str, Any]) -> Parse:
        parse = _list_parser(
            self._bounded(None, "", element["shape"]),
            of_structures=self._shapes[element["shape"]]["type"] == "structure",
        )
        if self._protocol == "ec2":
            return parse
        return _wrapped_list_parser(parse, {"member", element.get("locationName", "member")})


def _nested(form: Form) -> dict[str, Node]:
    """Return the tree of a form. Refuses a name that is both a leaf and the start of another."""
    root: dict[str, Node] = {}
    for name, value in form.items():
        *steps, last = name.split(".")
        if len(steps) >= FIELD_DEPTH_MAX:
            raise refusals.unknown_parameter(shown(name))
        node = root
        for step in steps:
            child = node.get(step)
            if child is None:
                child = node[step] = {}
            elif isinstance(child, str):
                raise _ambiguous(name)
            node = child
        if last in node:
            raise _ambiguous(name)
        node[last] = value
    return root


def _ambiguous(name: str) -> ServiceError:
    return refusals.invalid_combination(
        f"The parameter {shown(name)} is given both as a value and as a structure."
    )


def _read_members(
    node: dict[str, Node], prefix: str, fields: Mapping[str, tuple[str, Parse, bool]]
) -> Document:
    document: Document = {}
    for step, child in node.items():
        field = fields.get(step)
        if field is None:
            raise unknown(child, prefix + step)
        member, parse, keeps_empty = field
        if child == "" and not keeps_empty:
            continue
        value = parse(child, prefix + step)
        if value is not _ABSENT:
            document[member] = value
    return document


# EC2's refusals call some parameters by other names than its requests do (captured).
_CALLED = {"ResourceId": "resourceIdSet"}


def _check_required(document: Document, prefix: str, required: Sequence[tuple[str, str]]) -> None:
    for member, step in required:
        if member not in document:
            name = shown(prefix + step)
            raise refusals.missing_parameter(_CALLED.get(name, name))


def _root_parser(
    fields: Mapping[str, tuple[str, Parse, bool]], required: Sequence[tuple[str, str]]
) -> Parse:
    def parse(node: Node, name: str) -> Document:
        assert isinstance(node, dict), "a form is a tree"
        document = _read_members(node, "", fields)
        _check_required(document, "", required)
        return document

    return parse


def _structure_parser(
    fields: Mapping[str, tuple[str, Parse, bool]],
    required: Sequence[tuple[str, str]],
    keeps_empty: bool,
) -> Parse:
    def parse(node: Node, name: str) -> Any:
        if isinstance(node, str):
            if not node:
                return _ABSENT
            # Do not repeat the value: it may be a secret that was meant for a member.
            raise ServiceError(
                "InvalidParameterValue",
                f"The parameter {shown(name)} is a structure. "
                f"Give its members, such as {shown(name)}.{next(iter(fields), 'Name')}.",
            )
        prefix = f"{name}."
        document = _read_members(node, prefix, fields)
        if not document or (keeps_empty and all(value == "" for value in document.values())):
            return _ABSENT
        _check_required(document, prefix, required)
        return document

    return parse


# Some clients count from 0 (fog-aws, apache-libcloud). An index tells the order and no more.
_INDEX = re.compile("0|[1-9][0-9]*")


def _list_parser(parse_element: Parse, *, of_structures: bool) -> Parse:
    def parse(node: Node, name: str) -> Any:
        if isinstance(node, str):
            if not node:
                return _ABSENT
            if not of_structures:
                # A value without an index is a list of one (seen: `Owner=self` in EC2's own pages).
                return [parse_element(node, name)]
            raise ServiceError(
                "InvalidParameterValue",
                f"The parameter {shown(name)} is a list. "
                f"Number its elements, such as {shown(name)}.1.",
            )
        indexed = [(_index(step, child, name), step) for step, child in node.items()]
        indexed.sort()
        elements = [parse_element(node[step], f"{name}.{step}") for _, step in indexed]
        return [element for element in elements if element is not _ABSENT] or _ABSENT

    return parse


def _index(step: str, child: Node, name: str) -> int:
    # EC2 does not know `01`, `-1` or digits of other scripts.
    if _INDEX.fullmatch(step) is None:
        raise unknown(child, f"{name}.{step}")
    # Compare the length first: int() refuses a text of thousands of digits with another error.
    if len(step) > len(str(LIST_INDEX_MAX)) or int(step) > LIST_INDEX_MAX:
        raise refusals.invalid_value(
            shown(name), shown(step), f"Its elements are numbered up to {LIST_INDEX_MAX}."
        )
    return int(step)


def _wrapped_list_parser(parse: Parse, wrappers: set[str]) -> Parse:
    """Parse a list of the query protocol, `Name.member.1`, which may also be flat, `Name.1`."""

    def parse_wrapped(node: Node, name: str) -> Any:
        if isinstance(node, dict) and len(node) == 1:
            step, child = next(iter(node.items()))
            if step in wrappers:
                return _ABSENT if child == "" else parse(child, f"{name}.{step}")
        return parse(node, name)

    return parse_wrapped
