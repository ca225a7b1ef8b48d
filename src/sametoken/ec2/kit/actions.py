"""Actions in the catalogue: each has one of three forms. No behaviour beyond composing them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sametoken.ec2.kit.repeats import Repeats
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol.documents import Document
from sametoken.idempotency import Identities, Made, Rules, TokenGrammar
from sametoken.store.port import Tx

# Stateless checks of one request, before anything is looked up. Raises `ServiceError`.
Validate = Callable[[Request], None]

# Outside every action's intent: the token itself, and what asks for no effect.
NOT_INTENT = frozenset({"ClientToken", "DryRun"})

# The wording seen most; actions known to say it differently carry their own.
GENERAL_MISMATCH = (
    "Arguments on this idempotent request are inconsistent with arguments used in previous "
    "request(s)."
)


def _accept(request: Request) -> None:
    """Check nothing beyond the input shape."""


@dataclass(frozen=True, slots=True)
class Read:
    """An action that changes nothing: `run` on a snapshot.

    If it `hurries`, it raises `WouldWait` rather than read much in a hurried transaction.
    `prepare` works on the parameters alone; its result is kept for repeats of the request, and
    `run` finds it as `request.prepared`, or makes it.
    """

    name: str
    run: Callable[[Tx, Request], Document]
    validate: Validate = _accept
    prepare: Callable[[Request], Any] | None = None
    hurries: bool = False
    mutates: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """An action without a client token: idempotent by nature, or not at all, as in EC2.

    `prepare` is pure work too slow for a transaction, which would keep every other request
    waiting: it is done before, in a thread of its own, and `run` finds its result, of plain values
    that can be sent to another process, as `request.prepared`. Raises `ServiceError`. An answer
    that is secret is never kept, not even where invocations stand in for tokens: no repeat can
    hear it again.
    """

    name: str
    run: Callable[[Tx, Request], Document]
    validate: Validate = _accept
    prepare: Callable[[Request], Document] | None = None
    answer_is_secret: bool = False
    repeats: Repeats = ()
    mutates: bool = True


def stateless(run: Callable[[Request], Document]) -> Callable[[Tx, Request], Document]:
    """Give an action on built-in data, which needs no store, the form of the others."""
    return lambda tx, request: run(request)


def regional(tx: Tx, request: Request) -> str:
    """The zone of actions that EC2 does not scope by zone."""
    return ""


def _rules() -> tuple[Rules, ...]:
    return (Rules(ignored=NOT_INTENT),)


@dataclass(frozen=True, slots=True)
class Tokened:
    """An action performed once under its client token, whatever its verb: each repeat views it.

    Where its model has no token, it is performed at each request.

    `zone` is the zone a request names, by itself or by what it names; "" for a Regional one.
    `grammar` is None where the token is as the model documents it. `mismatch` is EC2's wording for
    this action; `{token}` stands for the token. `deleted` is what a repeat is refused with once
    what it made is gone; None: it is answered with what is left. `shares`: it usually changes and
    locks no row that was there before, so requests of one account may share a transaction.
    `rehearse` is the part of a dry run beyond the ids that a request names; it changes nothing.
    """

    name: str
    perform: Callable[[Tx, Request], Made]
    view: Callable[[Tx, Request, Identities], Document]
    validate: Validate = _accept
    zone: Callable[[Tx, Request], str] = regional
    grammar: TokenGrammar | None = None
    rules: tuple[Rules, ...] = field(default_factory=_rules)
    mismatch: str = GENERAL_MISMATCH
    deleted: str | None = None
    repeats: Repeats = ()
    shares: bool = False
    rehearse: Callable[[Tx, Request], None] | None = None
    mutates: bool = True

    def token_grammar(self, characters_max: int | None) -> TokenGrammar:
        """The form of its tokens; `characters_max` is the model's, None where it does not say."""
        if self.grammar is not None:
            return self.grammar
        return TokenGrammar() if characters_max is None else TokenGrammar(characters_max)


Action = Read | Change | Tokened
