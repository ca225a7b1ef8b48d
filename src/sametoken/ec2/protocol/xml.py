"""XML out: closures compiled per shape render a result in the model's names as bytes.

Bytes and values only, no I/O. Results come from our own actions, so a result that does not fit its
shape is our bug, an AssertionError. No module of the package parses XML.

Source: Smithy, "AWS EC2 query protocol" and "AWS query protocol"; native captures for the slash at
the end of the namespace, `<return>true</return>` and the empty elements of empty lists.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any, TypeAlias

from sametoken.errors import Misconfigured, ServiceError

# The shapes of a service model in botocore's own format.
Shapes: TypeAlias = Mapping[str, Mapping[str, Any]]
Render: TypeAlias = Callable[[Mapping[str, Any], str], bytes]
# Renders the content of a value's element; `_Element` renders the element with its tags.
_Content: TypeAlias = Callable[[Any], str]
_Element: TypeAlias = Callable[[Any], str]

CONTENT_TYPE = "text/xml;charset=UTF-8"
# The only service answered in the `query` protocol.
STS_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
# Markup, CR (which a parser would read as a line end), and characters that XML 1.0 cannot carry.
_SPECIAL = re.compile("[&<>\r]|[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_NOT_A_CHARACTER = "\ufffd"


# Stands for `Rendered` elements until all else is rendered. No escaped text has it.
_MARK = "\0"


@dataclass(frozen=True, slots=True)
class Rendered:
    """The elements of a list, rendered before: it may stand in the list's place, once a result."""

    pieces: Sequence[bytes]


# Stands for a list whose elements come later: see `around`.
LATER = Rendered((b"",))


def render_error(
    protocol: str, error: ServiceError, request_id: str, *, namespace: str = STS_NAMESPACE
) -> bytes:
    """Render a refusal. `namespace` is for the `query` protocol; EC2's errors have none."""
    code, message = escaped(error.code), escaped(error.message)
    if protocol == "query":
        kind = "Receiver" if error.retryable else "Sender"
        return (
            f'{_DECLARATION}<ErrorResponse xmlns="{namespace}">'
            f"<Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            f"<RequestId>{escaped(request_id)}</RequestId></ErrorResponse>"
        ).encode()
    return (
        f"{_DECLARATION}<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message>"
        f"</Error></Errors><RequestID>{escaped(request_id)}</RequestID></Response>"
    ).encode()


def escaped(text: str) -> str:
    """Escape `text` as the content of an element; characters XML cannot carry become U+FFFD."""
    # Search first: nearly every text needs no change, and a search is cheaper than a substitution.
    return text if _SPECIAL.search(text) is None else _SPECIAL.sub(_replacement, text)


def _replacement(found: re.Match[str]) -> str:
    return _ENTITIES.get(found[0], _NOT_A_CHARACTER)


class OutputCompiler:
    """Compiles output shapes into renderers, each shape once. Not for several threads at a time."""

    def __init__(self, shapes: Shapes, protocol: str, namespace: str) -> None:
        self._shapes = shapes
        self._protocol = protocol
        self._namespace = namespace
        self._structures: dict[str, _Content] = {}

    def compile(self, action: str, shape_name: str | None, wrapper: str | None) -> Render:
        """Return a renderer of results of `action`, whose structure is `shape_name`.

        With None the action has no modelled output: its result is empty. `wrapper` is the model's
        resultWrapper, of the query protocol. The renderer takes the result and the request id.
        """
        try:
            content = _nothing if shape_name is None else self._structure(shape_name)
        except Misconfigured:
            # Drop half-made renderers: another action would fail on the members they still lack.
            self._structures.clear()
            raise
        opening = f'{_DECLARATION}<{action}Response xmlns="{self._namespace}">'
        closing = f"</{action}Response>"
        if self._protocol == "query":
            result = _tagged(wrapper or f"{action}Result", content)

            def render_wrapped(value: Mapping[str, Any], request_id: str) -> bytes:
                return (
                    f"{opening}{result(value)}<ResponseMetadata><RequestId>{escaped(request_id)}"
                    f"</RequestId></ResponseMetadata>{closing}"
                ).encode()

            return render_wrapped
        if shape_name is None:
            closing = f"<return>true</return>{closing}"

        def render(value: Mapping[str, Any], request_id: str) -> bytes:
            body = content(value)
            text = f"{opening}<requestId>{escaped(request_id)}</requestId>{body}{closing}"
            return _filled(text, value)

        return render

    def element(self, shape_name: str, member: str) -> Callable[[Any], bytes]:
        """Return a renderer of single elements of the list that is a member of a structure."""
        listed = self._shapes[self._shapes[shape_name]["members"][member]["shape"]]
        element = self._element("member", listed["member"])
        return lambda value: element(value).encode()

    def _structure(self, shape_name: str) -> _Content:
        known = self._structures.get(shape_name)
        if known is not None:
            return known
        elements: list[tuple[str, _Element]] = []
        content = _structure_content(shape_name, elements)
        # Register before compiling the members, because a shape may contain itself.
        self._structures[shape_name] = content
        for member, reference in self._shapes[shape_name]["members"].items():
            elements.append((member, self._element(member, reference)))
        return content

    def _element(self, member: str, reference: Mapping[str, Any]) -> _Element:
        shape = self._shapes[reference["shape"]]
        traits = {**shape, **reference}
        tag = traits.get("locationName", member)
        if shape["type"] == "list" and traits.get("flattened"):
            item_tag = shape["member"].get("locationName", tag)
            return _list_content(_tagged(item_tag, self._content(shape["member"]["shape"])))
        return _tagged(tag, self._content(reference["shape"]))

    def _content(self, shape_name: str) -> _Content:
        shape = self._shapes[shape_name]
        match shape["type"]:
            case "structure":
                return self._structure(shape_name)
            case "list":
                # `member` is the protocol's default; EC2's model calls nearly every element `item`.
                return _list_content(self._element("member", shape["member"]))
            case kind if kind in _CONTENTS:
                return _CONTENTS[kind]
            case kind:
                raise Misconfigured(f"The shape {shape_name} is of a type unknown here: {kind}.")


def around(xml: bytes) -> tuple[bytes, bytes]:
    """Return what an element has before and after the elements of its list that was `LATER`."""
    head, mark, tail = xml.partition(_MARK.encode())
    assert mark, "a list is left out"
    return head, tail


def _filled(text: str, value: Mapping[str, Any]) -> bytes:
    """Encode a rendered result, with the `Rendered` elements of its `value` in their place."""
    head, mark, tail = text.partition(_MARK)
    if not mark:
        return head.encode()
    [rendered] = [one for one in value.values() if type(one) is Rendered]
    return b"".join((head.encode(), *rendered.pieces, tail.encode()))


def _tagged(tag: str, content: _Content) -> _Element:
    opening, closing, empty = f"<{tag}>", f"</{tag}>", f"<{tag}/>"

    def element(value: Any) -> str:
        text = content(value)
        return f"{opening}{text}{closing}" if text else empty

    return element


def _structure_content(shape_name: str, elements: list[tuple[str, _Element]]) -> _Content:
    def content(value: Any) -> str:
        assert isinstance(value, Mapping), f"{shape_name} is a structure, not {type(value)}"
        parts = []
        known = 0
        for member, element in elements:
            if member in value:
                known += 1
                item = value[member]
                if item is not None:
                    parts.append(element(item))
        if known != len(value):
            strange = sorted(value.keys() - {member for member, _ in elements})
            raise AssertionError(f"{shape_name} has no member {', '.join(map(str, strange))}")
        return "".join(parts)

    return content


def _list_content(element: _Element) -> _Content:
    def content(value: Any) -> str:
        if type(value) is Rendered:
            return _MARK if value.pieces else ""
        assert isinstance(value, list | tuple), f"a list is expected, not {type(value)}"
        return "".join([element(item) for item in value])

    return content


def _nothing(value: Any) -> str:
    assert not value, f"the action has no output, and a result with {', '.join(value)}"
    return ""


def _string(value: Any) -> str:
    assert isinstance(value, str), f"a string is expected, not {type(value)}"
    return escaped(value)


def _integer(value: Any) -> str:
    # Refuse a bool, which is an int to Python: no client reads `True` as a number.
    assert isinstance(value, int) and not isinstance(value, bool), f"not an integer: {value!r}"
    return str(int(value))


def _float(value: Any) -> str:
    assert isinstance(value, float | int) and not isinstance(value, bool), (
        f"not a number: {value!r}"
    )
    assert isfinite(value), f"XML has no word for {value!r}"
    return repr(float(value))


def _boolean(value: Any) -> str:
    assert isinstance(value, bool), f"a boolean is expected, not {type(value)}"
    return "true" if value else "false"


def _timestamp(value: Any) -> str:
    """Render a moment with milliseconds and a Z, as EC2 does."""
    assert isinstance(value, datetime) and value.utcoffset() is not None, f"not aware: {value!r}"
    moment = value.astimezone(UTC).replace(tzinfo=None)
    return f"{moment.isoformat(timespec='milliseconds')}Z"


def _blob(value: Any) -> str:
    assert isinstance(value, bytes), f"bytes are expected, not {type(value)}"
    return base64.b64encode(value).decode("ascii")


_CONTENTS: Mapping[str, _Content] = {
    "string": _string,
    "integer": _integer,
    "long": _integer,
    "float": _float,
    "double": _float,
    "boolean": _boolean,
    "timestamp": _timestamp,
    "blob": _blob,
}
