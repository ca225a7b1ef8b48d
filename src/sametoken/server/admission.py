"""What a request must pass before anything depends on state. Pure, but for what is passed in.

Order (docs/ARCHITECTURE.md): form, signature, throttle, parse and validate (token form too),
authorise, DryRun. The token is looked up only after all of them, so that a refusal never binds it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from sametoken.ec2.catalog import ACTIONS
from sametoken.ec2.kit.actions import Action, Tokened
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals, signing
from sametoken.ec2.protocol.model import Operation, ServiceModel
from sametoken.errors import ServiceError
from sametoken.resources.catalogues import geography
from sametoken.server.credentials import Principal

Form = list[tuple[str, str]]
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}\Z")
_ENVELOPE = frozenset({"Action", "Version"}) | signing.SIGNATURE_PARAMETERS


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may be executed: what it asks, and how its answer is written."""

    request: Request
    action: Action
    operation: Operation
    client_token: str | None


def action_name(form: Form, model: ServiceModel) -> str:
    """The action the form names, if the model has it in a version the caller may ask for."""
    fields = dict(form)
    action, version = fields.get("Action"), fields.get("Version")
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
        raise refusals.invalid_action(action[:128], version)
    return action


def check_place(claim: signing.Claim) -> None:
    """The signature must be for a service and a Region that are here."""
    if claim.service not in ("ec2", "sts"):
        raise ServiceError(
            "SignatureDoesNotMatch",
            f"Credential should be scoped to service ec2 (or sts), not {claim.service}.",
            http_status=403,
        )
    if claim.region not in geography.REGIONS:
        raise refusals.auth_failure(f"There is no Region {claim.region} here.")


def admit(
    form: Form, model: ServiceModel, *, principal: Principal, region: str, request_id: str
) -> Admitted:
    """Parse, validate, authorise; answer a dry run. Raises every refusal that needs no state."""
    name = action_name(form, model)
    action = ACTIONS.get(name)
    if action is None:
        raise ServiceError(
            "InvalidAction",
            f"The action {name} is part of EC2 but not served by this endpoint yet.",
        )
    operation = model.operation(name)
    params = operation.parse([pair for pair in form if pair[0] not in _ENVELOPE])
    client_token = None
    if isinstance(action, Tokened):
        grammar = action.token_grammar(operation.token_characters_max)
        client_token = grammar.parse(params.pop("ClientToken", None))
        if client_token is not None:
            params["ClientToken"] = client_token
    request = Request(
        principal.account, region, name, params, request_id, principal.access_key_id,
        principal.access,
    )  # fmt: skip
    action.validate(request)
    if action.mutates and principal.access != "full":
        raise refusals.unauthorized()
    if params.get("DryRun"):
        raise refusals.dry_run()
    without_dry_run = {key: value for key, value in params.items() if key != "DryRun"}
    return Admitted(replace(request, params=without_dry_run), action, operation, client_token)
