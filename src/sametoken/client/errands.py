"""Errands: what a block of a program is about, from which boto3's calls in it get their tokens.

boto3 fills in a random token where the caller gave none. It protects the call's own retries, and
nothing beyond: a call that is made again, after a crash or a reply that was cut, has another one.
`fill_tokens` puts a token there that follows from the errand instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sametoken.client.tokens import Part, stable_token

# Emitted before botocore looks which members it has to fill in by itself, which is a handler of
# the same event: the parameters are still the caller's.
_EVENT = "before-parameter-build"
# EC2's model does not mark every token; each is called so.
_NAME = "ClientToken"

_errand: ContextVar[tuple[Part, ...]] = ContextVar("sametoken.client.errand", default=())


class NoErrand(RuntimeError):
    """A call that takes a token was made outside of any errand, and none was given."""


@contextmanager
def errand(*identity: Part) -> Iterator[None]:
    """Say what the calls of the block are for: `with errand("order", 4711): …`.

    A block inside a block adds its parts. Each action has a token of its own in it, so a block may
    make an instance and a volume. It makes *one* of each: an action that is called twice is a
    repeat, and is answered as one; with other parameters it is `IdempotentParameterMismatch`. Name
    two of a kind by two blocks: `with errand("disk", 1): …`.

    Tasks of asyncio inherit the errand, other threads do not. Raises as `stable_token` does.
    """
    stable_token(*identity)
    reset = _errand.set((*_errand.get(), *identity))
    try:
        yield
    finally:
        _errand.reset(reset)


def fill_tokens(on: Any, *, required: bool = False) -> None:
    """From now on fill the tokens of `on`'s calls from the errand that each is made in.

    `on` is a boto3 client, or a session (boto3's or botocore's) whose later clients are meant. The
    token of a call is `stable_token(*errand, service, action)`. It is put wherever botocore's model
    has a token: members with the trait `idempotencyToken`, members called `ClientToken` without it
    (as in CreateFlowLogs, for which boto3 itself fills in none), and those one level down (as in
    RequestSpotFleet). A token that the caller gave stays, and outside of errands boto3 does as it
    always does; with `required` such a call raises `NoErrand`, and nothing is sent.
    """

    def fill(params: dict[str, Any], model: Any, **_: object) -> None:
        for path in token_paths(model):
            _fill(params, path, model, required)

    register = on.meta.events.register_first if hasattr(on, "meta") else _emitter(on).register_first
    register(_EVENT, fill)


def token_paths(model: Any) -> Iterator[tuple[str, ...]]:
    """Yield where a botocore `OperationModel` has a token: (member,) or (outer, inner).

    An action may have several; most have none.
    """
    shape = model.input_shape
    for name, member in ({} if shape is None else shape.members).items():
        if _is_token(name, member):
            yield (name,)
        elif member.type_name == "structure":
            yield from (
                (name, inner) for inner, below in member.members.items() if _is_token(inner, below)
            )


def _emitter(session: Any) -> Any:
    """Return the events of a session: boto3 names them, botocore has them as a component."""
    return session.events if hasattr(session, "events") else session.get_component("event_emitter")


def _is_token(name: str, shape: Any) -> bool:
    return bool(name == _NAME or shape.metadata.get("idempotencyToken"))


def _fill(params: dict[str, Any], path: tuple[str, ...], model: Any, required: bool) -> None:
    *outer, name = path
    holder = params
    if outer:
        given = params.get(outer[0])
        if not isinstance(given, Mapping):
            return  # An optional structure that was left out, or a mistake for botocore to name.
        # A copy: what is inside the parameters belongs to the caller.
        holder = dict(given)
    if name in holder:
        return
    identity = _errand.get()
    if identity:
        holder[name] = stable_token(*identity, model.service_model.service_name, model.name)
        if outer:
            params[outer[0]] = holder
    elif required:
        raise NoErrand(
            f"{model.name} takes a token: call it in `with errand(…):`, or give {'.'.join(path)}"
        )
