"""References to earlier answers in the parameters of a call: `${network.Vpc.VpcId}`. Pure.

The first word is the name of a call, the others lead to a member of its answer as boto3 has it; a
number is a place in a list, from 0. `$${` stands for `${`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from sametoken.errors import Misconfigured
from sametoken.nearest import did_you_mean

NAME = re.compile(r"[A-Za-z0-9_-]+")
_REFERENCE = re.compile(r"\$(\$)?\{(?(1)|([^}]*)\})")


def check(parameters: Any, known: Collection[str]) -> None:
    """Raise `Misconfigured` for a reference to a call that is not one of the `known`."""

    def seen(name: str, path: list[str]) -> str:
        if name not in known:
            raise Misconfigured(
                f"no call before this one has the name {name!r}.{did_you_mean(name, known)} Write "
                "$${ for ${ as it is."
            )
        if not path:
            raise Misconfigured(f"${{{name}}} leads to no member; write ${{{name}.Vpc.VpcId}}")
        return ""

    _replaced(parameters, seen)


def resolved(parameters: Any, answers: Mapping[str, Any]) -> Any:
    """Return the parameters with what the answers say. Raises `Misconfigured` for what is none."""
    return _replaced(parameters, partial(_found, answers))


def _replaced(value: Any, find: Callable[[str, list[str]], str]) -> Any:
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _text(match, find), value)
    if isinstance(value, dict):
        return {key: _replaced(one, find) for key, one in value.items()}
    if isinstance(value, list):
        return [_replaced(one, find) for one in value]
    return value


def _text(match: re.Match[str], find: Callable[[str, list[str]], str]) -> str:
    if match[1]:
        return "${"
    name, *path = match[2].split(".")
    return find(name, path)


def _found(answers: Mapping[str, Any], name: str, path: list[str]) -> str:
    value = answers[name]
    for depth, step in enumerate(path):
        inside: Any = dict(enumerate(value)) if isinstance(value, list) else value
        key = int(step) if isinstance(value, list) and step.isdecimal() else step
        if not isinstance(inside, Mapping) or key not in inside:
            where = ".".join((name, *path[:depth]))
            raise Misconfigured(f"the answer has no {step!r} at {where}.{_members(inside, step)}")
        value = inside[key]
    if not isinstance(value, str | int | float):
        where = ".".join((name, *path))
        raise Misconfigured(f"{where} is no single value of the answer.{_members(value, '')}")
    return str(value)


def _members(value: Any, step: str) -> str:
    if not isinstance(value, Mapping) or not value:
        return ""
    names = [str(name) for name in value]
    return f"{did_you_mean(step, names)} There are: {', '.join(names)}"
