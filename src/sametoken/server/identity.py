"""GetCallerIdentity of STS, which most clients ask first, served on the same port."""

from __future__ import annotations

from sametoken.ec2.protocol.model import ServiceModel
from sametoken.ec2.protocol.query import Form
from sametoken.errors import ServiceError
from sametoken.server.admission import action_name
from sametoken.server.credentials import Principal

GET_CALLER_IDENTITY = "GetCallerIdentity"


def is_for_sts(form: Form) -> bool:
    """Return whether the form names STS's version: its errors then get STS's envelope."""
    return form.get("Version") == "2011-06-15"


def get_caller_identity(
    model: ServiceModel, form: Form, principal: Principal, request_id: str
) -> bytes:
    """Answer the one action of STS that is served. It needs no permission, as at AWS."""
    name = action_name(form, model)
    if name != GET_CALLER_IDENTITY:
        raise ServiceError("InvalidAction", f"{name} is not served; GetCallerIdentity is.")
    return model.codec(name).render(
        {
            "UserId": principal.account,
            "Account": principal.account,
            "Arn": f"arn:aws:iam::{principal.account}:root",
        },
        request_id,
    )
