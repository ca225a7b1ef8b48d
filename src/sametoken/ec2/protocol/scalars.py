"""Scalars of a form, typed by their shapes: text in; a number, a moment or bytes out.

Values only, no I/O. A parser returns a value or raises a `ServiceError` that names the parameter as
it was sent. A message repeats the value cut short, and never if its shape is sensitive.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any, TypeAlias

from sametoken.ec2.protocol import refusals
from sametoken.errors import Misconfigured, ServiceError

# Shows enough of a value to recognise it; an answer must not grow with a hostile request.
SHOWN_CHARACTERS_MAX = 200
# Shows some of the allowed values; a thousand instance types would help no reader.
_SHOWN_ENUM_VALUES_MAX = 10

# A form as a tree: `Filter.1.Name=x` is {"Filter": {"1": {"Name": "x"}}}.
Node: TypeAlias = "str | dict[str, Node]"
# Takes a node and its name as sent.
Parse: TypeAlias = Callable[[Node, str], Any]


def shown(text: str) -> str:
    """Cut `text` to what a message may repeat of it."""
    return text if len(text) <= SHOWN_CHARACTERS_MAX else f"{text[:SHOWN_CHARACTERS_MAX]}…"


def unknown(node: Node, name: str) -> ServiceError:
    """Refuse a node, naming the first full name under it, as it was sent."""
    while isinstance(node, dict):
        step, node = next(iter(node.items()))
        name = f"{name}.{step}"
    return refusals.unknown_parameter(shown(name))


def scalar_parser(shape_name: str, shape: Mapping[str, Any], *, open_enum: bool) -> Parse:
    """Return the parser of a shape that is neither structure nor list.

    With `open_enum` it accepts every text, not only those the model lists. Raises Misconfigured for
    a type that these protocols do not define, such as a map.
    """
    hidden = bool(shape.get("sensitive"))
    kind = shape["type"]
    if kind == "string" and shape.get("enum") and not open_enum:
        return _enum_parser(tuple(shape["enum"]), hidden=hidden)
    if kind == "blob":
        return _blob_parser(hidden=hidden)
    if kind not in _PARSERS:
        raise Misconfigured(f"The shape {shape_name} is of a type unknown here: {kind}.")
    return _PARSERS[kind]


def _scalar(node: Node, name: str) -> str:
    """The text of a node. A list of one will do, as boto 2 asks for the output of a console."""
    if isinstance(node, dict):
        only = node.get("1")
        if len(node) > 1 or not isinstance(only, str):
            raise unknown(node, name)
        return only
    return node


def _enum_parser(allowed: tuple[str, ...], *, hidden: bool) -> Parse:
    known = frozenset(allowed)
    some = ", ".join(allowed[:_SHOWN_ENUM_VALUES_MAX])
    more = ", …" if len(allowed) > _SHOWN_ENUM_VALUES_MAX else ""

    def parse(node: Node, name: str) -> str:
        text = _scalar(node, name)
        if text not in known:
            value = "hidden" if hidden else shown(text)
            raise refusals.invalid_value(shown(name), value, f"Use one of: {some}{more}.")
        return text

    return parse


def _blob_parser(*, hidden: bool) -> Parse:
    def parse(node: Node, name: str) -> bytes:
        text = _scalar(node, name)
        try:
            # Accept line ends: the usual tools wrap the base64 that they write.
            return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
        except ValueError:
            value = "hidden" if hidden else shown(text)
            raise refusals.invalid_value(shown(name), value, "Encode it in base64.") from None

    return parse


_DIGITS = re.compile("-?[0-9]{1,19}")


def _integer_parser(bits: int) -> Parse:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def parse(node: Node, name: str) -> int:
        text = _scalar(node, name)
        # Match first: int() alone would accept blanks, underscores and digits of other scripts.
        if _DIGITS.fullmatch(text) is None or not low <= (number := int(text)) <= high:
            why = f"Give a whole number from {low} to {high}."
            raise refusals.invalid_value(shown(name), shown(text), why)
        return number

    return parse


_DECIMAL = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")


def _float(node: Node, name: str) -> float:
    text = _scalar(node, name)
    if _DECIMAL.fullmatch(text) is None or not isfinite(number := float(text)):
        raise refusals.invalid_value(shown(name), shown(text), "Give a decimal number.")
    return number


def _boolean(node: Node, name: str) -> bool:
    text = _scalar(node, name)
    match text.lower():
        case "true":
            return True
        case "false":
            return False
    raise refusals.invalid_value(shown(name), shown(text), "Use true or false.")


_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[-+][0-9]{2}:?[0-9]{2})?)?"
)


def _timestamp(node: Node, name: str) -> datetime:
    """Parse ISO 8601; a moment without an offset is UTC, a date alone is its first moment."""
    text = _scalar(node, name)
    try:
        if _MOMENT.fullmatch(text) is None:
            raise ValueError(text)
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise refusals.invalid_value(
            shown(name), shown(text), "Use ISO 8601, such as 2016-11-15T12:00:00Z."
        ) from None


_PARSERS: Mapping[str, Parse] = {
    "string": _scalar,
    "integer": _integer_parser(32),
    "long": _integer_parser(64),
    "float": _float,
    "double": _float,
    "boolean": _boolean,
    "timestamp": _timestamp,
}
