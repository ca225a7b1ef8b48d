"""A toy noun with its exercise, declared by a plugin of pytest (`-p exercises.toy`).

pytest loads the plugin before the suites, which then find toys in the catalogue as they find any
noun. Its requests need the model of `toy_model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

from exercises import catalogue
from exercises.exercise import Exercise, changed, in_vpc, of, of_another
from exercises.requests import EXERCISES
from exercises.toy_model import with_toys
from sametoken.ec2.kit.nouns import Noun, named
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import changing, plain
from sametoken.ec2.protocol import model
from sametoken.resources.kit import rows
from sametoken.resources.kit.kinds import Kind, Quota, states
from sametoken.resources.kit.rows import Row
from sametoken.resources.network.vpcs import VPC
from sametoken.store.port import Tx

TOYS = Noun(
    Kind(
        "toy",
        "toy",
        "InvalidToyID",
        "toy",
        states(available="enabled deleted", enabled="deleted", deleted=""),
        quota=Quota(10, "ToyLimitExceeded", per="VpcId"),
    ),
    parents={"VpcId": VPC},
    accepts={"Colour": None},
)

_read = model.read_description


def _read_with_toys(service_name: str) -> Mapping[str, Any]:
    return with_toys(service_name, _read(service_name))


# The program reads botocore's own file, and not what a home adds to it. For this whole process:
patch.object(model, "read_description", _read_with_toys).start()


def _colour(tx: Tx, request: Request, toy: Row) -> Row:
    return rows.change(tx, TOYS.kind, toy, Colour=request.params["Colour"])


def _associate(tx: Tx, request: Request, toy: Row) -> Row:
    vpc = named(tx, request, VPC, "VpcId")
    return rows.change(tx, TOYS.kind, toy, VpcId=vpc.id)


def _enable(tx: Tx, request: Request, toy: Row) -> Row:
    return rows.change(tx, TOYS.kind, toy, state="enabled", cause="EnableToy")


catalogue.declare(
    "toy",
    TOYS,
    (
        *plain(TOYS),
        changing(TOYS, "ModifyToy", _colour),
        changing(TOYS, "AssociateToy", _associate),
        changing(TOYS, "EnableToy", _enable),
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
