"""CPU credits of burstable instances: ModifyInstanceCreditSpecification, under its client token.

The answer tells for each instance whether it was changed. A repeat hears the same, and changes
nothing, even if the instances or their credits have changed since.
"""

from __future__ import annotations

from sametoken.ec2.kit.actions import NOT_INTENT, Action, Tokened
from sametoken.ec2.kit.repeats import same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.idempotency import Identities, Made, Rules
from sametoken.resources.compute import instances
from sametoken.resources.compute.instances import INSTANCE, InstanceState
from sametoken.resources.kit import rows
from sametoken.store.port import Tx

_CHOICES = ("standard", "unlimited")
# A code that the model lists for an instance that cannot be changed.
_UNSUPPORTED = "InstanceCreditSpecification.NotSupported"


def _validate(request: Request) -> None:
    given = request.params["InstanceCreditSpecifications"]
    for one in given:
        if "CpuCredits" not in one:
            raise refusals.missing_parameter("InstanceCreditSpecification.CpuCredits")
        if one["CpuCredits"] not in _CHOICES:
            raise ServiceError(
                "InvalidCpuCredits",
                f"The CpuCredits '{one['CpuCredits'][:200]}' is none of: {', '.join(_CHOICES)}.",
            )
    ids = [one["InstanceId"] for one in given]
    for id in ids:
        if ids.count(id) > 1:
            raise ServiceError(
                "InvalidInstanceCreditSpecification.DuplicateInstanceId",
                f"The instance '{id[:200]}' is given twice.",
            )


def _perform(tx: Tx, request: Request) -> Made:
    done, refused = [], []
    for one in sorted(
        request.params["InstanceCreditSpecifications"], key=lambda one: str(one["InstanceId"])
    ):
        try:
            _set(tx, request, one["InstanceId"], one["CpuCredits"])
        except ServiceError as refusal:
            refused.append((one["InstanceId"], refusal.code, refusal.message))
        else:
            done.append(one["InstanceId"])
    return Made({"done": done, "refused": refused})


def _set(tx: Tx, request: Request, id: str, credits: str) -> None:
    [row] = rows.get(tx, INSTANCE, request.account, request.region, [id], lock=True)
    if row.private["CpuCredits"] is None:
        raise ServiceError(
            _UNSUPPORTED, f"{row.doc['InstanceType']} instances use no CPU credits ({id})."
        )
    if row.state not in (InstanceState.RUNNING, InstanceState.STOPPED):
        raise ServiceError("IncorrectInstanceState", f"The instance '{id}' is {row.state}.")
    instances.set_private(tx, row, CpuCredits=credits)


def _view(tx: Tx, request: Request, identities: Identities) -> Document:
    return {
        "SuccessfulInstanceCreditSpecifications": [{"InstanceId": id} for id in identities["done"]],
        "UnsuccessfulInstanceCreditSpecifications": [
            {"InstanceId": id, "Error": {"Code": code, "Message": message}}
            for id, code, message in identities["refused"]
        ],
    }


ACTIONS: tuple[Action, ...] = (
    Tokened(
        "ModifyInstanceCreditSpecification",
        _perform,
        _view,
        validate=_validate,
        rules=(Rules(ignored=NOT_INTENT, sets=frozenset({"InstanceCreditSpecifications"})),),
        repeats=same("DER"),
    ),
)
