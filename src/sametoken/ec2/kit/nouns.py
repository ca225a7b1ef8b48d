"""Nouns of EC2 as records: from one declaration come a noun's actions.

Shared by every noun, and here once: parents that must exist, quotas, tags at creation, the echo of
the token, replay after deletion, dependants that forbid deletion. How EC2 spells the noun is read
from its model (`spelling`). A family's module declares the noun, and writes code only where EC2
has logic of its own. The verbs that make actions of a noun are in `verbs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sametoken.ec2.kit import spelling
from sametoken.ec2.kit.describing import Joins
from sametoken.ec2.kit.parameters import Accepted
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.protocol.model import ServiceModel
from sametoken.resources.kit import quotas, rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.kinds import KINDS, Kind
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx

Parents = Mapping[str, Row]
# Makes the members of a new resource's document, from the request and the parents it names.
Build = Callable[[Tx, Request, Parents], Document]
# Lays out the row of a new resource, not inserted yet, where its document needs its id.
LayOut = Callable[[Tx, Request, Parents], Row]
# Called with a row after its insert, or before or after its end. May raise a refusal.
Hook = Callable[[Tx, Row], None]


@dataclass(frozen=True)
class Noun:
    """A kind with what EC2's actions on it share.

    `stem` is EC2's word in action names, by default the kind's name in camel case. `spelled` has
    the members and actions that do not follow from the stem: `describe`, `id`, `ids`, `many` and
    `one` (see the properties of these names). `paths` are filters that are not the kebab-case of a
    path into the resource's form, or that EC2 takes and does not document: "" for what resources
    here never have, `=text` for a constant.

    `parents` are parameters that name what must exist, and what the new resource stands under.
    `under` are paths in the form that show other rows which it stands under: filters on them narrow
    a listing, as those on `parents` do. `accepts` is what a create takes beyond `parents`, token,
    dry run and tags; those members are stored, unless `build` makes the document, or `lay_out` the
    whole row. `show` replaces the generic form; `joins` adds to it, for the rows of a page at once,
    members that other rows tell. `created` is called with the new row, `name` gives its natural
    key. `also_tags` are other kinds that the create's tags may be for.
    """

    kind: Kind
    stem: str = ""
    spelled: Mapping[str, str | None] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, Kind] = field(default_factory=dict)
    accepts: Accepted = field(default_factory=dict)
    build: Build | None = None
    lay_out: LayOut | None = None
    show: Callable[[Row], Document] | None = None
    under: frozenset[str] = frozenset()
    initial: str = "available"
    created: Hook | None = None
    name: Callable[[Request, Document], str] | None = None
    joins: Joins | None = None
    also_tags: tuple[str, ...] = ()

    @cached_property
    def word(self) -> str:
        """EC2's word for it in action names."""
        return self.stem or spelling.stem_of(self.kind.name)

    @cached_property
    def describe(self) -> str:
        """The action that lists them."""
        return self.spelled.get("describe") or spelling.describe_action(self.word)

    @cached_property
    def many(self) -> str:
        """The member of that action's result that is the list."""
        return self.spelled.get("many") or spelling.list_member(_model(), self.describe)

    @cached_property
    def element(self) -> str:
        """The shape of what the list holds: the resource's form."""
        return spelling.element_shape(_model(), self.describe, self.many)

    @cached_property
    def id(self) -> str:
        """The member, and the parameter, that is its id."""
        return self.spelled.get("id") or spelling.id_member(_model(), self.element, self.word)

    @cached_property
    def ids(self) -> str:
        """The parameter that names several by their ids."""
        return self.spelled.get("ids") or spelling.ids_parameter(_model(), self.describe, self.id)

    @cached_property
    def one(self) -> str | None:
        """The member of a result that is the resource; None: the result itself is it."""
        if "one" in self.spelled:
            return self.spelled["one"]
        return spelling.result_member(_model(), f"Create{self.word}", self.element)

    @cached_property
    def sizes(self) -> spelling.PageSizes:
        """The least and the most that a page may hold."""
        return spelling.page_sizes(_model(), self.describe)

    @cached_property
    def filters(self) -> Mapping[str, str]:
        """The filters of its Describe: name → path into the form."""
        return spelling.filter_paths(_model(), self.describe, self.element, self.paths)

    @cached_property
    def shown_parents(self) -> frozenset[str]:
        """The paths in its form that show rows which it stands under, for as long as it does."""
        # A tombstone that is still shown stands under nothing any more.
        assert not (self.under and self.kind.lingers), f"{self.word}: declare traits instead"
        return frozenset() if self.kind.lingers else self.under | self.parents.keys()

    @cached_property
    def computed(self) -> frozenset[str]:
        """The members of its form that are not stored in the document."""
        return frozenset(_COMPUTED) & frozenset(_model().shape(self.element)["members"])

    def shown(self, row: Row) -> Document:
        """The resource's EC2 form, but for what `joins` adds."""
        return self.generic(row) if self.show is None else self.show(row)

    def generic(self, row: Row) -> Document:
        """The stored members, the id, and those computed ones that the shape has."""
        computed = {name: _COMPUTED[name](row) for name in self.computed}
        known = {name: value for name, value in computed.items() if value is not None}
        stored = {name: value for name, value in shown_members(row).items() if name != "Tags"}
        return {**stored, self.id: row.id, **known}

    def form(self, tx: Tx, row: Row) -> Document:
        """The resource's EC2 form, whole."""
        more = {} if self.joins is None else self.joins(tx, [row])[0]
        return {**self.shown(row), **more}

    def result(self, tx: Tx, row: Row) -> Document:
        """The result of an action that answers with the resource."""
        form = self.form(tx, row)
        return form if self.one is None else {self.one: form}


def _model() -> ServiceModel:
    return ServiceModel.load("ec2")


def _tags(row: Row) -> list[Document] | None:
    """The tags that EC2 shows; None where it shows no such member."""
    tags: list[Document] = row.doc.get("Tags", [])
    return None if not tags and KINDS[row.kind].hides_no_tags else tags


# Members that many shapes have and no document stores.
_COMPUTED: Mapping[str, Callable[[Row], Any]] = {
    "OwnerId": lambda row: row.account,
    "State": lambda row: row.state,
    "Tags": _tags,
    "TagSet": _tags,
    "AvailabilityZone": lambda row: row.zone or None,
    "CreateTime": lambda row: row.created_at,
}


def shown_members(row: Row) -> Document:
    """The members of the document that EC2 shows, as they are stored."""
    shown = dict(row.doc)
    shown.pop("private", None)
    if _tags(row) is None:
        shown.pop("Tags", None)
    return shown


def arn(row: Row) -> str:
    """The resource's Amazon Resource Name."""
    return f"arn:aws:ec2:{row.region}:{row.account}:{row.kind}/{row.id}"


def make(tx: Tx, request: Request, noun: Noun) -> Row:
    """Insert a new resource of the noun as the request asks. Raises EC2's refusals."""
    parents = {
        parameter: named(tx, request, kind, parameter)
        for parameter, kind in noun.parents.items()
        if parameter in request.params
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


def named(tx: Tx, request: Request, kind: Kind, parameter: str, *, lock: bool = False) -> Row:
    """The caller's own resource that a parameter names by its id.

    Raises the kind's refusals for ids that are malformed, unknown, another account's or another
    Region's, and for a resource that has ended, although Describe may still show it.
    """
    return living(tx, request, kind, request.params[parameter], lock=lock)


def living(tx: Tx, request: Request, kind: Kind, id: str, *, lock: bool = False) -> Row:
    """As `named`, for an id that stands elsewhere in the request."""
    [row] = rows.get(tx, kind, request.account, request.region, [id], lock=lock)
    if row.gone_at is not None:
        raise kind.not_found([id])
    return row


def _lay_out(tx: Tx, request: Request, noun: Noun, parents: Parents) -> Row:
    document = (
        noun.build(tx, request, parents)
        if noun.build is not None
        else accepted_members(noun, request)
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
        client_token=request.params.get("ClientToken"),
        parents=tuple(parent.id for parent in parents.values()),
    )


def accepted_members(noun: Noun, request: Request) -> Document:
    """The parameters that a create of the noun stores as they are."""
    names = {*noun.accepts, *noun.parents}
    return {name: value for name, value in request.params.items() if name in names}


def requested_tags(request: Request, kind: Kind) -> list[Document]:
    """The tags that the request gives a new resource of `kind`."""
    return [
        {"Key": tag["Key"], "Value": tag.get("Value", "")}
        for specification in request.params.get("TagSpecifications", ())
        if specification["ResourceType"] == kind.name
        for tag in specification.get("Tags", ())
    ]
