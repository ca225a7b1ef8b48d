"""Parse and authorise: the work of stages that need the request alone. Pure.

`pipeline` calls these in its order, all of them before the transaction that looks the token up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sametoken.ec2 import rehearsals, unpaged
from sametoken.ec2.catalog import ACTIONS
from sametoken.ec2.kit.actions import Action, Tokened
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.protocol.model import Codec, ServiceModel
from sametoken.ec2.protocol.query import Form
from sametoken.ec2.protocol.signing import SIGNATURE_PARAMETERS, Signature
from sametoken.errors import ServiceError
from sametoken.resources.catalogues import geography
from sametoken.server.credentials import Principal

_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}\Z")
_ENVELOPE = frozenset({"Action", "Version"}) | SIGNATURE_PARAMETERS


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request whose parameters are valid, with its action and the codec of its answer.

    `request.params` holds the caller's token, because views repeat it. `stand_in` is a token for a
    request that came without one (see `invocations`): the engine uses it, and no view shows it.
    """

    request: Request
    action: Action
    codec: Codec
    stand_in: str | None = None

    @property
    def client_token(self) -> str | None:
        """Return the token that tells a repeat; None if the request has no token at all."""
        token: str | None = self.request.params.get("ClientToken")
        return self.stand_in if token is None else token


def action_name(form: Form, model: ServiceModel) -> str:
    """Return the action that the form names. Raises if the model or the version has no such."""
    action, version = form.get("Action"), form.get("Version")
    if not action:
        raise ServiceError("MissingAction", "The request must contain the parameter Action")
    if version is None:
        raise refusals.missing_parameter("Version")
    if _VERSION.match(version) is None or version > model.api_version:
        raise ServiceError(
            "NoSuchVersion",
            f"The requested version ({version[:64]}) of service {model.name} does not exist; "
            f"the newest served is {model.api_version}.",
        )
    if action not in model.action_names:
        raise refusals.invalid_action(action[:128], version, model.action_names)
    return action


def check_place(signature: Signature) -> None:
    """Raise a ServiceError unless the signature is for a service and a Region served here."""
    if signature.service not in ("ec2", "sts"):
        raise ServiceError(
            "SignatureDoesNotMatch",
            f"Credential should be scoped to service ec2 (or sts), not {signature.service}.",
            http_status=403,
        )
    if signature.region not in geography.REGIONS:
        raise refusals.auth_failure(f"There is no Region {signature.region} here.")


def parse(
    form: Form, model: ServiceModel, *, principal: Principal, region: str, request_id: str
) -> Admitted:
    """Parse a form. Checks parameters and token as far as that needs no state."""
    name = action_name(form, model)
    action = ACTIONS.get(name)
    if action is None:
        raise ServiceError(
            "InvalidAction",
            f"The action {name} is part of EC2 but not served by this endpoint yet.",
        )
    codec = model.codec(name)
    given = {name: value for name, value in form.items() if name not in _ENVELOPE}
    if name in rehearsals.UNREAD and given.get("DryRun", "").lower() == "true":
        request = _request(principal, region, name, {"DryRun": True}, request_id)
        return Admitted(request, action, codec)
    params = codec.parse(given)
    unpaged.check(name, params)
    if isinstance(action, Tokened) and "ClientToken" in params:
        grammar = action.token_grammar(codec.token_characters_max)
        token = grammar.parse(params["ClientToken"])
        params = (
            {**params, "ClientToken": token}
            if token is not None
            else _without(params, "ClientToken")
        )
    request = _request(principal, region, name, params, request_id)
    action.validate(request)
    return Admitted(request, action, codec)


def _request(
    principal: Principal, region: str, action: str, params: Document, request_id: str
) -> Request:
    return Request(
        principal.account, region, action, params, request_id, principal.access_key_id,
        principal.access,
    )  # fmt: skip


def authorise(admitted: Admitted) -> None:
    """Raise UnauthorizedOperation when a read-only key asks for a change."""
    if admitted.action.mutates and admitted.request.access != "full":
        raise refusals.unauthorized()


def is_dry_run(admitted: Admitted) -> bool:
    return bool(admitted.request.params.get("DryRun"))


def without_dry_run(admitted: Admitted) -> Admitted:
    """Return the request without the parameter DryRun, which says that it is none."""
    request = admitted.request
    if "DryRun" not in request.params:
        return admitted
    return replace(admitted, request=replace(request, params=_without(request.params, "DryRun")))


def _without(params: Mapping[str, Any], name: str) -> Document:
    return {key: value for key, value in params.items() if key != name}
