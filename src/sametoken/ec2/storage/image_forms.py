"""DescribeImages: built-in images and those of accounts, by their forms. No store of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sametoken.ec2.kit.filters import (
    Getter,
    compile_filters,
    member,
    tag_filters,
    tags_of_document,
)
from sametoken.ec2.kit.paging import page, scope_of
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.catalogues import images
from sametoken.resources.kit import kinds
from sametoken.resources.storage.account_images import IMAGE

# EC2 documents no bounds for this action's pages. These are the bounds of its other actions, except
# that EC2 takes smaller pages here.
PAGE_MIN = 1
PAGE_MAX = 1000

_ACCOUNT = re.compile(r"[0-9]{12}")
_OWNER_ALIASES = frozenset({"amazon", "aws-backup-vault", "aws-marketplace"})


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image in its shown form, with members that select it but are not shown.

    `permitted` are the accounts, and the group `all`, that its owner lets launch it.
    """

    shown: Document
    permitted: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    deprecated: bool = False


def _member(path: str) -> Getter[Candidate]:
    of_document = member(path)
    return lambda candidate: of_document(candidate.shown)


def _platform(candidate: Candidate) -> list[str]:
    # The filter takes `windows` in lower case only; the model's enum writes `Windows`.
    return [value.lower() for value in member("Platform")(candidate.shown)]


def _parameters(candidate: Candidate) -> Iterable[str]:
    """The parameters in both spellings: EC2 documents `aws/service/…`, users put a slash first."""
    for name in candidate.parameters:
        yield from (name, name.removeprefix("/"))


_STAMPS = "image-watermark"
_SCAN = "scan-result"

IMAGE_FILTERS: Mapping[str, Getter[Candidate]] = {
    "architecture": _member("Architecture"),
    "block-device-mapping.delete-on-termination": _member(
        "BlockDeviceMappings.Ebs.DeleteOnTermination"
    ),
    "block-device-mapping.device-name": _member("BlockDeviceMappings.DeviceName"),
    "block-device-mapping.snapshot-id": _member("BlockDeviceMappings.Ebs.SnapshotId"),
    "block-device-mapping.volume-size": _member("BlockDeviceMappings.Ebs.VolumeSize"),
    "block-device-mapping.volume-type": _member("BlockDeviceMappings.Ebs.VolumeType"),
    "block-device-mapping.encrypted": _member("BlockDeviceMappings.Ebs.Encrypted"),
    "boot-mode": _member("BootMode"),
    "creation-date": _member("CreationDate"),
    "description": _member("Description"),
    "ena-support": _member("EnaSupport"),
    "free-tier-eligible": _member("FreeTierEligible"),
    "hypervisor": _member("Hypervisor"),
    "image-allowed": _member("ImageAllowed"),
    "image-id": _member("ImageId"),
    f"{_STAMPS}.source-image-creation-time": _member("ImageWatermarks.SourceImageCreationTime"),
    f"{_STAMPS}.source-image-id": _member("ImageWatermarks.SourceImageId"),
    f"{_STAMPS}.source-image-region": _member("ImageWatermarks.SourceImageRegion"),
    f"{_STAMPS}.watermark-creation-time": _member("ImageWatermarks.WatermarkCreationTime"),
    f"{_STAMPS}.watermark-key": _member("ImageWatermarks.WatermarkKey"),
    "image-type": _member("ImageType"),
    "instance-type-specification.supported-instance-type": _member(
        "InstanceTypeSpecification.SupportedInstanceTypes.InstanceType"
    ),
    "instance-type-specification.unsupported-instance-type": _member(
        "InstanceTypeSpecification.UnsupportedInstanceTypes.InstanceType"
    ),
    "is-public": _member("Public"),
    "kernel-id": _member("KernelId"),
    "manifest-location": _member("ImageLocation"),
    "name": _member("Name"),
    "owner-alias": _member("ImageOwnerAlias"),
    "owner-id": _member("OwnerId"),
    "platform": _platform,
    "product-code": _member("ProductCodes.ProductCodeId"),
    "product-code.type": _member("ProductCodes.ProductCodeType"),
    "public-ssm-parameter-name": _parameters,
    "ramdisk-id": _member("RamdiskId"),
    "root-device-name": _member("RootDeviceName"),
    "root-device-type": _member("RootDeviceType"),
    f"{_SCAN}.critical-fix-available-since": _member("ScanResults.CriticalFixAvailableSince"),
    f"{_SCAN}.finding-scan-date": _member("ScanResults.FindingScanDate"),
    f"{_SCAN}.high-fix-available-since": _member("ScanResults.HighFixAvailableSince"),
    f"{_SCAN}.highest-finding-severity-label": _member("ScanResults.HighestFindingSeverityLabel"),
    f"{_SCAN}.informational-fix-available-since": _member(
        "ScanResults.InformationalFixAvailableSince"
    ),
    f"{_SCAN}.low-fix-available-since": _member("ScanResults.LowFixAvailableSince"),
    f"{_SCAN}.medium-fix-available-since": _member("ScanResults.MediumFixAvailableSince"),
    "source-image-id": _member("SourceImageId"),
    "source-image-region": _member("SourceImageRegion"),
    "source-instance-id": _member("SourceInstanceId"),
    "state": _member("State"),
    "state-reason-code": _member("StateReason.Code"),
    "state-reason-message": _member("StateReason.Message"),
    "sriov-net-support": _member("SriovNetSupport"),
    "virtualization-type": _member("VirtualizationType"),
    **tag_filters(lambda candidate: tags_of_document(candidate.shown)),
}


def describe_images(
    request: Request, registered: Sequence[Candidate] = (), *, hidden: Collection[str] = ()
) -> Document:
    """Return the images that the account can launch; `registered` are those of accounts.

    An image asked for by its id is shown even when it is deprecated or disabled; one of `hidden` is
    left out. Raises InvalidAMIID.Malformed and InvalidAMIID.NotFound for any other wrong id.
    """
    params = request.params
    passes = compile_filters(params.get("Filters"), IMAGE_FILTERS)
    owned = _owned_by(params.get("Owners") or [], request.account)
    executable = _executable_by(params.get("ExecutableUsers") or [], request.account)
    wanted = _chosen([*_built_in(request.region), *registered], request, hidden)
    found = [one.shown for one in wanted if owned(one.shown) and executable(one) and passes(one)]
    return _answer(request, found)


def _built_in(region: str) -> Iterator[Candidate]:
    for image in images.all_images(region):
        parameters = (*image.family, *image.dated)
        yield Candidate(images.describe(image), ("all",), parameters, image.deprecated)


def _chosen(
    candidates: Sequence[Candidate], request: Request, hidden: Collection[str]
) -> Sequence[Candidate]:
    """The images with the ids asked for, else all that are neither deprecated nor disabled."""
    params = request.params
    ids: list[str] = params.get("ImageIds") or []
    if ids:
        by_id = {one.shown["ImageId"]: one for one in candidates}
        _check_ids(ids, by_id.keys() | hidden)
        return [by_id[image_id] for image_id in dict.fromkeys(ids) if image_id in by_id]
    return [
        one
        for one in candidates
        if (params.get("IncludeDeprecated") or not one.deprecated)
        and (params.get("IncludeDisabled") or one.shown.get("State") != "disabled")
    ]


def _check_ids(ids: Sequence[str], known: Collection[str]) -> None:
    for image_id in ids:
        if not image_id:
            raise refusals.missing_parameter("ImageId")
        IMAGE.check_id(image_id)
    unknown = [image_id for image_id in ids if image_id not in known]
    if unknown:
        listed = f"[{', '.join(unknown)}]"
        raise ServiceError(
            "InvalidAMIID.NotFound",
            f"The image id '{listed}' does not exist"
            if len(unknown) == 1
            else f"The image ids '{listed}' do not exist",
        )


def _owned_by(owners: Sequence[str], account: str) -> Callable[[Document], bool]:
    """True for an image that belongs to one of `owners`: account ids, `self` and EC2's aliases."""
    for owner in owners:
        if owner != "self" and owner not in _OWNER_ALIASES and not _ACCOUNT.fullmatch(owner):
            raise kinds.malformed_id("InvalidUserID", "user", owner[:200])
    accounts = {account if owner == "self" else owner for owner in owners}
    return lambda shown: (
        not owners or shown["OwnerId"] in accounts or shown.get("ImageOwnerAlias") in accounts
    )


def _executable_by(users: Sequence[str], account: str) -> Callable[[Candidate], bool]:
    """True for an image with an explicit launch permission for one of `users`."""
    for user in users:
        if user not in ("self", "all") and not _ACCOUNT.fullmatch(user):
            raise kinds.malformed_id("InvalidUserID", "user", user[:200])
    wanted = {account if user == "self" else user for user in users}
    return lambda one: not users or not wanted.isdisjoint(one.permitted)


def _answer(request: Request, found: list[Document]) -> Document:
    shown = page(
        found,
        lambda one: one["ImageId"],
        max_results=request.params.get("MaxResults"),
        next_token=request.params.get("NextToken"),
        scope=scope_of(request),
        minimum=PAGE_MIN,
        maximum=PAGE_MAX,
    )
    answer: Document = {"Images": shown.items}
    return answer if shown.next_token is None else answer | {"NextToken": shown.next_token}
