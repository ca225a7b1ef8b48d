"""CopyImage: a copy of an image, with the snapshots behind it, so that the source can go."""

from __future__ import annotations

from sametoken.ec2.kit.actions import Action
from sametoken.ec2.kit.nouns import Parents, requested_tags
from sametoken.ec2.kit.repeats import conflicts
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.storage import images, snapshots
from sametoken.errors import ServiceError
from sametoken.idempotency import TokenGrammar
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.rows import Row
from sametoken.resources.storage import account_images
from sametoken.resources.storage.account_images import IMAGE
from sametoken.resources.storage.snapshots import SNAPSHOT
from sametoken.store.port import Tx

# CopyImage's ClientToken shape says `max: 128`.
GRAMMAR = TokenGrammar(characters_max=128)
# Members that a copy takes from its source.
_KEPT = (*images.INHERITED, "ImdsSupport", "SriovNetSupport", "TpmSupport", "VirtualizationType")


def _lay_out(tx: Tx, request: Request, parents: Parents) -> Row:
    """Lay out a copy of an image that the account may launch, whoever has shared it."""
    params = request.params
    source = account_images.find_document(
        tx, request.account, params["SourceRegion"], params["SourceImageId"]
    )
    if source is None:
        raise ServiceError(
            "InvalidAMIID.NotFound", f"The image id '[{params['SourceImageId']}]' does not exist"
        )
    id = mint(tx, IMAGE.prefix)
    devices = [_copied(tx, request, one, id) for one in source["BlockDeviceMappings"]]
    document = {
        **images.document(tx, request, source["RootDeviceName"], devices),
        **{name: source[name] for name in _KEPT if name in source},
        "SourceImageId": source["ImageId"],
        "SourceImageRegion": params["SourceRegion"],
        "Tags": _tags(request, source),
    }
    return Row(
        id, IMAGE.name, *request.place, "pending", document, tx.now,
        name=document["Name"], client_token=params.get("ClientToken"),
    )  # fmt: skip


def _copied(tx: Tx, request: Request, device: Document, image: str) -> Document:
    """Copy the snapshot of a device; return the device of the copy."""
    ebs, source = device.get("Ebs", {}), request.params["SourceImageId"]
    if "SnapshotId" not in ebs:
        return device
    copy = snapshots.of_copy(
        request.place, request.params, ebs["VolumeSize"], encrypted=ebs.get("Encrypted", False)
    )
    described = (
        f"Copied for DestinationAmi {image} from SourceAmi {source} for SourceSnapshot "
        f"{ebs['SnapshotId']}."
    )
    members = {**copy, "Description": described, "Tags": requested_tags(request, SNAPSHOT)}
    id = snapshots.add(tx, request.place, members)
    return {**device, "Ebs": {**ebs, "SnapshotId": id, "Encrypted": copy["Encrypted"]}}


def _tags(request: Request, source: Document) -> list[Document]:
    """The tags asked for, and the source's where it is the account's own and they are wanted."""
    asked = requested_tags(request, IMAGE)
    if not request.params.get("CopyImageTags") or source["OwnerId"] != request.account:
        return asked
    taken = {tag["Key"] for tag in asked}
    return [*(tag for tag in source.get("Tags", ()) if tag["Key"] not in taken), *asked]


FROM_IMAGE = images.noun(
    dict.fromkeys(
        (
            "CopyImageTags", "Description", "Encrypted", "KmsKeyId", "Name", "SourceImageId",
            "SourceRegion",
        )
    ),
    lay_out=_lay_out,
)  # fmt: skip

ACTIONS: tuple[Action, ...] = (
    creating(
        FROM_IMAGE,
        "CopyImage",
        grammar=GRAMMAR,
        repeats=conflicts("InvalidAMIName.Duplicate", "DER"),
    ),
)
