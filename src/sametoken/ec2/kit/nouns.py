"""A noun of EC2's as data: from one declaration come its create, its describe and its delete.

What every noun shares is here, once: parents that must exist, quotas, tags at creation, the echo
of the token, replay after deletion, dependants that forbid deletion. A noun's own module in
a family declares it, and writes code only where EC2 has real logic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sametoken.ec2.kit.actions import (
    GENERAL_MISMATCH,
    GENERAL_TOKEN,
    NOT_INTENT,
    Change,
    Create,
    Read,
    Validate,
    regional,
)
from sametoken.ec2.kit.describing import PAGE_SIZES, Joins, PageSizes, describe
from sametoken.ec2.kit.parameters import Accepted, check_tag_specifications, refuse_unsupported
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.idempotency import Identities, Made, Rules, TokenGrammar
from sametoken.resources.kit import quotas, rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.kinds import Kind
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx

Parents = Mapping[str, Row]
# The members of a new resource's document, from the request and the parents it names.
Build = Callable[[Tx, Request, Parents], Document]
# A new resource's row, laid out but not inserted, where its document needs its id.
LayOut = Callable[[Tx, Request, Parents], Row]
# The resource that an equal request made before, for a create which is idempotent by nature.
Standing = Callable[[Tx, Request], Row | None]
# What else is to be done in the transaction that makes, or removes, the resource.
Follow = Callable[[Tx, Row], None]

# Members every create takes and no document keeps under these names.
_ENVELOPE: Accepted = {
    "ClientToken": None,
    "DryRun": None,
    "TagSpecifications": {"ResourceType": None, "Tags": {"Key": None, "Value": None}},
}
DELETED = (
    "The client token you have provided is associated with a resource that is already deleted. "
    "Please use a different client token."
)


@dataclass(frozen=True, slots=True)
class Noun:
    """One kind, and how EC2's actions spell it.

    `id` names the resource in requests and in its own form; `one` is the create's result member
    (None: the members are the result itself), `many` the describe's list, `ids` its parameter.
    `sizes` are what a page of them may hold. `parents` are parameters that name what must exist,
    and what the new resource stands under.
    `accepts` is what create takes beyond token, dry run and tags. `build` makes the new document,
    or `lay_out` the whole row. `shows` are the computed members
    of its EC2 form. `show` replaces the generic form; `joins` adds to it, for the rows of a page at
    once, the members that other rows tell. `filters` are paths into that form. `name` is the
    natural key of a new resource.
    `echoes_token` says whether the create's result has a ClientToken member; a test holds it
    against the model.
    """

    kind: Kind
    id: str
    one: str | None
    many: str
    ids: str
    filters: Mapping[str, str]
    parents: Mapping[str, Kind] = field(default_factory=dict)
    accepts: Accepted = field(default_factory=dict)
    build: Build | None = None
    lay_out: LayOut | None = None
    shows: frozenset[str] = frozenset({"OwnerId", "Tags"})
    show: Callable[[Row], Document] | None = None
    parent_filter: str | None = None
    initial: str = "available"
    created: Follow | None = None
    name: Callable[[Request, Document], str] | None = None
    joins: Joins | None = None
    also_tags: tuple[str, ...] = ()
    sizes: PageSizes = PAGE_SIZES
    echoes_token: bool = True

    def shown(self, row: Row) -> Document:
        """The resource's EC2 form."""
        if self.show is not None:
            return self.show(row)
        return generic_form(row, self.id, self.shows)

    def as_result(self, row: Row) -> Document:
        """The result of an action that answers with the resource."""
        return self.shown(row) if self.one is None else {self.one: self.shown(row)}

    def form(self, tx: Tx, row: Row) -> Document:
        """The same, with what `joins` adds."""
        more = {} if self.joins is None else self.joins(tx, [row])[0]
        return {**self.shown(row), **more}


def generic_form(row: Row, id_member: str, shows: frozenset[str]) -> Document:
    """The stored members, the id, and those computed ones that the shape has."""
    document = {name: value for name, value in row.doc.items() if name not in ("private", "Tags")}
    document[id_member] = row.id
    computed: dict[str, Any] = {
        "OwnerId": row.account,
        "State": row.state,
        "Tags": row.doc.get("Tags", []),
        "TagSet": row.doc.get("Tags", []),
        "AvailabilityZone": row.zone,
        "CreateTime": row.created_at,
    }
    return document | {name: value for name, value in computed.items() if name in shows}


def arn(row: Row) -> str:
    """The resource's Amazon Resource Name."""
    return f"arn:aws:ec2:{row.region}:{row.account}:{row.kind}/{row.id}"


def creating(
    noun: Noun,
    name: str,
    *,
    zone: Callable[[Tx, Request], str] = regional,
    grammar: TokenGrammar = GENERAL_TOKEN,
    ignored: frozenset[str] = NOT_INTENT,
    sets: frozenset[str] = frozenset(),
    secrets: frozenset[str] = frozenset(),
    defaults: Mapping[str, Any] | None = None,
    mismatch: str = GENERAL_MISMATCH,
    deleted: str = DELETED,
    validate: Validate | None = None,
) -> Create:
    """The action that makes one: new at the first time, viewed at each repeat.

    A repeat after the resource is gone is refused with `deleted`, and never makes another.
    """

    def perform(tx: Tx, request: Request) -> Made:
        row = make(tx, request, noun)
        return Made({"id": row.id}, resources=[row.id])

    def view(tx: Tx, request: Request, identities: Identities) -> Document:
        row = rows.find(tx, identities["id"])
        if row is None or row.gone_at is not None:
            raise ServiceError("IdempotentParameterMismatch", deleted)
        result = _result(tx, noun, row)
        token = request.params.get("ClientToken")
        if token is None or not noun.echoes_token:
            return result
        return {**result, "ClientToken": token}

    rules = Rules(ignored=ignored, sets=sets, secrets=secrets, defaults=dict(defaults or {}))
    return Create(
        name, perform, view, validate=_checks(noun, validate), zone=zone, grammar=grammar,
        rules=(rules,), mismatch=mismatch, deleted=deleted,
    )  # fmt: skip


def making(
    noun: Noun,
    name: str,
    *,
    validate: Validate | None = None,
    result: Callable[[Row], Document] | None = None,
    standing: Standing | None = None,
) -> Change:
    """The action that makes one and takes no client token: a repeat makes another, as with EC2.

    `result` is for actions that answer with less than the resource; `standing` for those that
    answer an equal request with what is there.
    """

    def run(tx: Tx, request: Request) -> Document:
        row = None if standing is None else standing(tx, request)
        row = row or make(tx, request, noun)
        return _result(tx, noun, row) if result is None else result(row)

    return Change(name, run, validate=_checks(noun, validate))


def _result(tx: Tx, noun: Noun, row: Row) -> Document:
    form = noun.form(tx, row)
    return form if noun.one is None else {noun.one: form}


def _checks(noun: Noun, more: Validate | None) -> Validate:
    """What can be said of a create's request by itself."""

    def check(request: Request) -> None:
        refuse_unsupported("", request.params, {**_ENVELOPE, **_accepted(noun)})
        check_tag_specifications(request.params, (noun.kind.name, *noun.also_tags))
        for parameter, kind in noun.parents.items():
            if parameter in request.params:
                kind.check_id(request.params[parameter])
        if more is not None:
            more(request)

    return check


def _accepted(noun: Noun) -> dict[str, Accepted | None]:
    return {**noun.accepts, **dict.fromkeys(noun.parents)}


def make(tx: Tx, request: Request, noun: Noun) -> Row:
    """Insert a new resource of the noun as the request asks. Raises EC2's refusals."""
    params = request.params
    parents = {
        parameter: living(tx, request, kind, params[parameter])
        for parameter, kind in noun.parents.items()
        if parameter in params
    }
    if noun.lay_out is not None:
        row = noun.lay_out(tx, request, parents)
    else:
        row = _lay_out(tx, request, noun, parents)
    quotas.check(tx, row)
    rows.insert(tx, [row])
    if noun.created is not None:
        noun.created(tx, row)
    return row


def living(tx: Tx, request: Request, kind: Kind, id: str, *, lock: bool = False) -> Row:
    """The resource of that id. One that has ended does not exist, although Describe may show it."""
    [row] = rows.get(tx, kind, request.account, request.region, [id], lock=lock)
    if row.gone_at is not None:
        raise kind.not_found([id])
    return row


def _lay_out(tx: Tx, request: Request, noun: Noun, parents: Parents) -> Row:
    params = request.params
    document = (
        noun.build(tx, request, parents)
        if noun.build is not None
        else {name: params[name] for name in params if name in noun.accepts or name in parents}
    )
    return Row(
        mint(tx, noun.kind.prefix),
        noun.kind.name,
        request.account,
        request.region,
        noun.initial,
        {**document, "Tags": requested_tags(request, noun.kind)},
        tx.now,
        zone=str(document.get("AvailabilityZone", "")),
        name=None if noun.name is None else noun.name(request, document),
        client_token=params.get("ClientToken"),
        parents=tuple(parent.id for parent in parents.values()),
    )


def requested_tags(request: Request, kind: Kind) -> list[Document]:
    """The tags that the request gives a new resource of `kind`."""
    return [
        {"Key": tag["Key"], "Value": tag.get("Value", "")}
        for specification in request.params.get("TagSpecifications", ())
        if specification["ResourceType"] == kind.name
        for tag in specification.get("Tags", ())
    ]


def describing(noun: Noun, name: str) -> Read:
    """The action that lists them, by id, by filter, a page at a time."""

    def run(tx: Tx, request: Request) -> Document:
        return describe(
            tx, request, noun.kind, noun.shown, noun.many, noun.filters,
            ids=noun.ids, parent_filter=noun.parent_filter, joins=noun.joins, sizes=noun.sizes,
        )  # fmt: skip

    return Read(name, run)


def deleting(
    noun: Noun,
    name: str,
    *,
    check: Follow | None = None,
    follow: Follow | None = None,
    result: Callable[[Row], Document] | None = None,
) -> Change:
    """The action that removes one. Refused while others stand under it, or `check` says no."""

    def validate(request: Request) -> None:
        noun.kind.check_id(request.params[noun.id])

    def run(tx: Tx, request: Request) -> Document:
        row = living(tx, request, noun.kind, request.params[noun.id], lock=True)
        if check is not None:
            check(tx, row)
        refuse_dependants(tx, row, noun.kind)
        ended = rows.change(tx, noun.kind, row, state=_final(noun.kind), cause=name)
        if follow is not None:
            follow(tx, row)
        return {} if result is None else result(ended)

    return Change(name, run, validate=validate)


def refuse_dependants(tx: Tx, row: Row, kind: Kind) -> None:
    """Raise `DependencyViolation`, naming who stands in the way."""
    standing = rows.children(tx, [row.id])[row.id]
    if standing:
        names = ", ".join(sorted(one.id for one in standing)[:5])
        raise ServiceError(
            "DependencyViolation",
            f"The {kind.noun} '{row.id}' has dependencies and cannot be deleted: {names}.",
        )


def _final(kind: Kind) -> str:
    [state] = kind.ends
    return state


def require_parameter(request: Request, name: str) -> Any:
    """A parameter the action cannot do without although the model calls it optional."""
    if name not in request.params:
        raise refusals.missing_parameter(name)
    return request.params[name]
