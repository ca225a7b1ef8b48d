"""A toy noun, declared in place: a plugin of pytest (`-p exercises.toy`).

It is loaded before the suites, which then find toys in the catalogue as they find any noun, and an
exercise for them. The model of toys is `toy_model`'s: without it nothing here can be asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exercises import catalogue
from exercises.catalogue import Create, Does, Quota, Repeat
from exercises.exercise import Document, Exercise, changed, in_vpc, of, of_another
from exercises.requests import EXERCISES
from sametoken.ec2.kit.nouns import Noun, creating, describing, living
from sametoken.ec2.kit.packing import packed, unpacked
from sametoken.ec2.kit.request import Request
from sametoken.idempotency import Identities, Made
from sametoken.resources.kit import rows
from sametoken.resources.kit.kinds import Kind, states
from sametoken.resources.network.vpcs import VPC
from sametoken.store.port import Tx

TOYS = Noun(
    Kind(
        "toy", "toy", "InvalidToyID", "toy",
        states(available="enabled deleted", enabled="deleted", deleted=""),
    ),
    id="ToyId",
    one="Toy",
    many="Toys",
    ids="ToyIds",
    filters={"toy-id": "ToyId", "vpc-id": "VpcId", "colour": "Colour"},
    parents={"VpcId": VPC},
    accepts={"Colour": None},
    shows=frozenset({"OwnerId", "State", "Tags"}),
    echoes_token=False,
)  # fmt: skip


def _changing(name: str, change: Callable[[Request], dict[str, Any]]) -> Create:
    """An action on a toy that is there, with a client token: a repeat hears of the toy as it was
    after the first, which may have been its end."""

    def perform(tx: Tx, request: Request) -> Made:
        toy = living(tx, request, TOYS.kind, request.params["ToyId"], lock=True)
        after = rows.change(tx, TOYS.kind, toy, cause=name, **change(request))
        shown = packed(TOYS.shown(after))
        return Made({"id": toy.id, "shown": shown}, [] if after.gone_at else [toy.id])

    def view(tx: Tx, request: Request, identities: Identities) -> Document:
        return {"Toy": unpacked(identities["shown"])}

    return Create(name, perform, view)


catalogue.declare(
    "toy",
    TOYS.kind,
    Quota("ToyLimitExceeded", 10, per="VpcId"),
    (
        creating(TOYS, "CreateToy"),
        describing(TOYS, "DescribeToys"),
        _changing("ModifyToy", lambda request: {"Colour": request.params["Colour"]}),
        _changing("AssociateToy", lambda request: {"VpcId": request.params["VpcId"]}),
        _changing("EnableToy", lambda request: {"state": "enabled"}),
        _changing("DeleteToy", lambda request: {"state": "deleted"}),
    ),
    (
        Repeat("CreateToy", Does.DOUBLE, "MEM"),
        Repeat("ModifyToy", Does.SAME, "MEM"),
        Repeat("AssociateToy", Does.SAME, "MEM"),
        Repeat("EnableToy", Does.SAME, "MEM"),
        Repeat("DeleteToy", Does.CONFLICT, "MEM", "InvalidToyID.NotFound"),
    ),
)
EXERCISES.extend(
    (
        Exercise(
            kind="toy",
            make="CreateToy",
            ask=in_vpc,
            other=changed(Colour="red"),
            end="DeleteToy",
        ),
        Exercise(
            kind="toy",
            make="ModifyToy",
            ask=of("toy", "ToyId", Colour="blue"),
            other=changed(Colour="red"),
            makes=False,
        ),
        Exercise(
            kind="toy",
            make="AssociateToy",
            ask=lambda ground: {"ToyId": ground.own("toy"), "VpcId": ground.vpc()},
            other=changed(VpcId="vpc-00000000000000001"),
            makes=False,
        ),
        Exercise(
            kind="toy", make="EnableToy", ask=of("toy", "ToyId"), other=of_another, makes=False
        ),
    )
)
