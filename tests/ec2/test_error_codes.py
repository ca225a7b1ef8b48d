"""Error codes: each that can be raised is one of EC2's list, or is told apart with its evidence."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from exercises import catalogue
from sametoken.ec2.compute.launch_capacity import insufficient_capacity
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.error_codes import LISTED, status_of
from sametoken.errors import ServiceError
from sametoken.resources.kit.kinds import Kind
from sametoken.resources.kit.quotas import QUOTAS

ROOT = Path(__file__).parents[2]
# Codes that the page has not, each with its evidence, in the words of `ec2/kit/repeats.py`.
BESIDE = {
    # Terraform's provider and EBS' CSI driver look for these; answers of EC2 are shown in issues.
    "InvalidCidrBlock.InUse": "FLD",
    "InvalidSubnetCidrBlockAssociationId.Malformed": "FLD",
    "InvalidTrafficMirrorTargetId.NotFound": "FLD",
    "InvalidTransitGatewayID.NotFound": "FLD",
    "InvalidUserData.Malformed": "FLD",
    "InvalidVolumeModification.NotFound": "FLD",
    "InvalidVpc.Range": "FLD",
    "InvalidVpcCidrBlockAssociationID.NotFound": "FLD",
    "PrefixListVersionMismatch": "FLD",
    # Steampipe's plugin for AWS looks for these beside the `.NotFound` of each.
    "InvalidAllocationID.Malformed": "FLD",
    "InvalidVpnConnectionID.Malformed": "FLD",
    "InvalidVpnGatewayID.Malformed": "FLD",
    # By analogy with the two that are seen.
    "InvalidSubnetCidrBlockAssociationID.NotFound": "DER",
    "InvalidVpcCidrBlockAssociationId.Malformed": "DER",
    # The guide of VPCs names the limit, the page no code for it.
    "CidrLimitExceeded": "MEM",
    # The guide of managed prefix lists names the limit, the page no code for it.
    "PrefixListMaxEntriesExceeded": "MEM",
    # Errors of AWS' HTTP endpoints, for requests of no service: "Common Error Types".
    "MalformedHttpRequestException": "DOC",
    "RequestEntityTooLargeException": "DOC",
    "RequestTimeoutException": "DOC",
}
KNOWN = LISTED | BESIDE.keys()
# Kinds of our own, whose ids no caller names.
_INNER = frozenset({"placement"})
# Packages whose refusals reach a caller of EC2's actions.
_PACKAGES = ("ec2", "resources", "server", "idempotency")
_CODE = re.compile(r"[A-Z][A-Za-z]+(\.[A-Z][A-Za-z]+)?\Z")
# Endings and beginnings of codes, to find those that are passed on before they are raised.
_LIKE = re.compile(
    r"(Invalid|Missing|Incorrect|Insufficient|Unsupported|Malformed|Idempotent)[A-Z]"
    r"|.*(Exceeded|NotFound|AlreadyExists|InUse|Malformed|Exception|Violation|Mismatch)\Z"
)


def written() -> Iterator[tuple[str, str]]:
    """Yield the codes that stand in the program, each with its file and line."""
    for package in _PACKAGES:
        for path in sorted((ROOT / "src/sametoken" / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
                if isinstance(node, ast.Call) and _is_refusal(node.func) and node.args:
                    first = node.args[0]
                    if isinstance(first, ast.Constant):
                        yield str(first.value), place
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    text = node.value
                    if _CODE.match(text) and _LIKE.match(text):
                        yield from ((code, place) for code in _made_of(text))


def _is_refusal(function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and function.id == ServiceError.__name__


def _made_of(text: str) -> list[str]:
    """Return the codes that a stem such as InvalidSubnetID stands for; a code is its own."""
    if text in {kind.code for kind in catalogue.kinds().values()}:
        return []  # the tests of kinds see what is made of it
    made = [f"{text}.{end}" for end in ("Malformed", "NotFound")]
    return [code for code in made if code in KNOWN] or [text]


def named() -> list[Kind]:
    """Return the kinds whose ids callers name."""
    return [kind for name, kind in catalogue.kinds().items() if name not in _INNER]


def of_kind(kind: Kind) -> set[str]:
    """Return the codes that are made of a kind's declaration."""
    with pytest.raises(ServiceError) as malformed:
        kind.check_id("nonsense")
    return {malformed.value.code, kind.not_found(["nobody"]).code}


def test_every_code_in_the_program_is_one_of_ec2s() -> None:
    strange = {code: place for code, place in written() if code not in KNOWN}
    assert not strange


def test_every_code_of_a_kind_is_one_of_ec2s() -> None:
    made = {code: kind.name for kind in named() for code in of_kind(kind)}
    assert not {code: name for code, name in made.items() if code not in KNOWN}


def test_every_code_of_a_quota_is_one_of_ec2s() -> None:
    assert not {one.code for one in QUOTAS.values()} - KNOWN


def test_every_code_beside_the_list_is_raised_and_is_not_in_it() -> None:
    made = {code for kind in named() for code in of_kind(kind)}
    raised = {code for code, _ in written()} | made | {one.code for one in QUOTAS.values()}
    assert BESIDE.keys() <= raised
    assert not BESIDE.keys() & LISTED


@pytest.mark.parametrize(
    "refusal",
    [
        refusals.auth_failure(""), refusals.dry_run(), refusals.internal_error(),
        refusals.missing_parameter("ImageId"), refusals.request_limit_exceeded(),
        refusals.signature_does_not_match(), refusals.unauthorized(), refusals.unavailable(),
        insufficient_capacity("t3.micro", "", []),
    ],
    ids=lambda refusal: str(refusal.code),
)  # fmt: skip
def test_a_code_has_the_status_with_which_it_is_answered(refusal: ServiceError) -> None:
    assert status_of(refusal.code) == refusal.http_status
