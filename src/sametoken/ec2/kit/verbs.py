"""Verbs that make an action of a noun: create, describe, change and delete.

The model says whether an action takes a client token. An action that does is performed once under
it, through the engine, with every verb alike; each repeat is viewed from what the first one named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sametoken.ec2.kit.actions import (
    GENERAL_MISMATCH,
    NOT_INTENT,
    Action,
    Read,
    Tokened,
    Validate,
    regional,
)
from sametoken.ec2.kit.describing import describe
from sametoken.ec2.kit.nouns import Hook, Noun, make, named
from sametoken.ec2.kit.packing import packed, unpacked
from sametoken.ec2.kit.parameters import Accepted, check_tag_specifications, refuse_unsupported
from sametoken.ec2.kit.repeats import Repeats, conflicts, doubles, same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.protocol.model import ServiceModel
from sametoken.errors import ServiceError
from sametoken.idempotency import Identities, Made, Rules, TokenGrammar
from sametoken.resources.kit import endings, rows
from sametoken.resources.kit.kinds import Kind
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx

# Finds the resource that an equal request made before, for creates that are idempotent by nature.
Standing = Callable[[Tx, Request], Row | None]
# Writes what a request asks of the locked row it names; the row as it is then.
Write = Callable[[Tx, Request, Row], Row]

# Members that every create takes and no document keeps under these names.
ENVELOPE: Accepted = {
    "ClientToken": None,
    "DryRun": None,
    "TagSpecifications": {"ResourceType": None, "Tags": {"Key": None, "Value": None}},
}
# The texts of a repeat after the resource is gone, as captured from EC2.
DELETED = (
    "The client token you have provided is associated with a resource that is already deleted. "
    "Please use a different client token."
)


def plain(
    noun: Noun, *, validate: Validate | None = None, repeats: Repeats | None = None
) -> tuple[Action, ...]:
    """The three actions of a noun without logic of its own; the arguments are the create's."""
    return (
        creating(noun, validate=validate, repeats=repeats), describing(noun), deleting(noun),
    )  # fmt: skip


def creating(
    noun: Noun,
    name: str | None = None,
    *,
    zone: Callable[[Tx, Request], str] = regional,
    grammar: TokenGrammar | None = None,
    ignored: frozenset[str] = NOT_INTENT,
    sets: frozenset[str] = frozenset(),
    defaults: Mapping[str, Any] | None = None,
    mismatch: str = GENERAL_MISMATCH,
    deleted: str = DELETED,
    validate: Validate | None = None,
    result: Callable[[Tx, Row], Document] | None = None,
    standing: Standing | None = None,
    repeats: Repeats | None = None,
) -> Tokened:
    """The action that makes one: new at the first time, viewed at each repeat of its token.

    A repeat after the resource is gone is refused with `deleted`, and never makes another.
    `result` is for actions that answer otherwise than with the resource; `standing` for those that
    answer an equal request with what is there, token or not.
    """

    def perform(tx: Tx, request: Request) -> Made:
        row = None if standing is None else standing(tx, request)
        row = row or make(tx, request, noun)
        return Made({"id": row.id}, resources=[row.id])

    def view(tx: Tx, request: Request, identities: Identities) -> Document:
        if "answer" in identities:
            # 0.1.0 kept the whole answer of a create without token, by the SDK's invocation.
            kept: Document = unpacked(identities["answer"])
            return kept
        row = _still_there(tx, identities["id"], deleted)
        answer = noun.result(tx, row) if result is None else result(tx, row)
        return _echoing(answer, request)

    rules = Rules(ignored=ignored, sets=sets, defaults=dict(defaults or {}))
    return Tokened(
        name or f"Create{noun.word}", perform, view, validate=_checks(noun, validate), zone=zone,
        grammar=grammar, rules=(rules,), mismatch=mismatch, deleted=deleted,
        repeats=doubles("DER") if repeats is None else repeats,
    )  # fmt: skip


def _still_there(tx: Tx, id: str, deleted: str) -> Row:
    row = rows.find(tx, id)
    if row is None or row.gone_at is not None:
        raise ServiceError("IdempotentParameterMismatch", deleted)
    return row


def _echoing(answer: Document, request: Request) -> Document:
    """The answer, with the token where the action's result has a member for it."""
    token = request.params.get("ClientToken")
    if token is None or not _model().codec(request.action).echoes_client_token:
        return answer
    return {**answer, "ClientToken": token}


def _model() -> ServiceModel:
    return ServiceModel.load("ec2")


def _checks(noun: Noun, more: Validate | None) -> Validate:
    """Make the checks of a create that need no state."""

    def check(request: Request) -> None:
        accepted = {**ENVELOPE, **noun.accepts, **dict.fromkeys(noun.parents)}
        refuse_unsupported("", request.params, accepted)
        check_tag_specifications(request.params, (noun.kind.name, *noun.also_tags))
        for parameter, kind in noun.parents.items():
            if parameter in request.params:
                kind.check_id(request.params[parameter])
        if more is not None:
            more(request)

    return check


def describing(noun: Noun) -> Read:
    """The action that lists them, by id, by filter, a page at a time."""

    def run(tx: Tx, request: Request) -> Document:
        return describe(
            tx, request, noun.kind, noun.shown, noun.many, noun.filters,
            ids=noun.ids, parents=noun.shown_parents, joins=noun.joins, sizes=noun.sizes,
        )  # fmt: skip

    return Read(noun.describe, run)


def deleting(
    noun: Noun,
    name: str | None = None,
    *,
    check: Hook | None = None,
    follow: Hook | None = None,
    repeats: Repeats | None = None,
) -> Tokened:
    """The action that removes one. Refused while others stand under it, or `check` says no.

    A repeat of its token hears the first answer, which cannot change: the resource has ended.
    """
    action = name or f"Delete{noun.word}"

    def perform(tx: Tx, request: Request) -> Made:
        row = named(tx, request, noun.kind, noun.id, lock=True)
        if check is not None:
            check(tx, row)
        ended = endings.end(tx, noun.kind, row, cause=action)
        if follow is not None:
            follow(tx, row)
        return Made({"answer": packed(_told(tx, noun, action, ended))})

    def view(tx: Tx, request: Request, identities: Identities) -> Document:
        answer: Document = unpacked(identities["answer"])
        return _echoing(answer, request)

    gone = noun.kind.not_found(["…"]).code
    return Tokened(
        action, perform, view, validate=_naming(noun.kind, lambda: noun.id),
        repeats=conflicts(gone, "MEM") if repeats is None else repeats,
    )  # fmt: skip


def _naming(kind: Kind, parameter: Callable[[], str]) -> Validate:
    def check(request: Request) -> None:
        kind.check_id(request.params[parameter()])

    return check


def _told(tx: Tx, noun: Noun, action: str, row: Row) -> Document:
    """The result of an action on one resource: the resource, its id, a yes, as its shape has it."""
    members = _model().output_of(action)
    known: Document = {"Return": True, "ReturnCode": True, noun.id: row.id}
    found = {name: value for name, value in known.items() if name in members}
    if any(one["shape"] == noun.element for one in members.values()):
        found |= noun.result(tx, row)
    return found


def changing(
    noun: Noun,
    name: str,
    write: Write,
    *,
    accepts: Accepted | None = None,
    validate: Validate | None = None,
    result: Callable[[Tx, Row], Document] | None = None,
    deleted: str = DELETED,
    repeats: Repeats | None = None,
) -> Tokened:
    """An action on one living resource that its id parameter names: modify, associate, enable …

    `write` changes the locked row; the answer shows the row as it is then, at a repeat of the
    token as it is by then. `accepts` are the parameters beyond the id, token and dry run.
    """

    def perform(tx: Tx, request: Request) -> Made:
        row = write(tx, request, named(tx, request, noun.kind, noun.id, lock=True))
        # An entry kept for a resource that has ended already would never hear of its end.
        assert row.gone_at is None, f"{name} ends {row.id}: make it by `deleting`"
        return Made({"id": row.id}, resources=[row.id])

    def view(tx: Tx, request: Request, identities: Identities) -> Document:
        row = _still_there(tx, identities["id"], deleted)
        answer = _told(tx, noun, name, row) if result is None else result(tx, row)
        return _echoing(answer, request)

    def check(request: Request) -> None:
        if accepts is not None:
            own: Accepted = {"ClientToken": None, "DryRun": None, noun.id: None, **accepts}
            refuse_unsupported("", request.params, own)
        noun.kind.check_id(request.params[noun.id])
        if validate is not None:
            validate(request)

    return Tokened(
        name, perform, view, validate=check, deleted=deleted,
        repeats=same("DER") if repeats is None else repeats,
    )  # fmt: skip
