"""CopyVolumes: a copy of a volume, in its zone. The source stays as it is, and can be deleted."""

from __future__ import annotations

from dataclasses import replace

from sametoken.ec2.kit.actions import Action
from sametoken.ec2.kit.nouns import Parents, living
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.storage import ebs
from sametoken.ec2.storage.block_devices import measured
from sametoken.errors import ServiceError
from sametoken.idempotency import Identities
from sametoken.resources.storage import volumes
from sametoken.resources.storage.volumes import VOLUME
from sametoken.store.port import Tx


def _validate(request: Request) -> None:
    VOLUME.check_id(request.params["SourceVolumeId"])


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    params = request.params
    source = living(tx, request, VOLUME, params["SourceVolumeId"])
    if source.state not in ("available", "in-use"):
        raise ServiceError("IncorrectState", f"Volume '{source.id}' is '{source.state}'.")
    size = params.get("Size", source.doc["Size"])
    if size < source.doc["Size"]:
        raise refusals.invalid_value(
            "size", size, f"A copy cannot be smaller than {source.id}, {source.doc['Size']} GiB."
        )
    # "If the source volume is encrypted, the service always encrypts the copy" (API reference).
    encrypted = source.doc["Encrypted"] or params.get("Encrypted", False)
    asked = {**params, "VolumeSize": size, "Encrypted": encrypted}
    if source.doc["Encrypted"] and "KmsKeyId" in source.doc:
        asked.setdefault("KmsKeyId", source.doc["KmsKeyId"])
    members = measured(asked, request.place)
    multi = params.get("MultiAttachEnabled", False)
    return {
        **volumes.document({**members, "MultiAttachEnabled": multi}),
        "SourceVolumeId": source.id,
        "AvailabilityZone": source.zone,
    }


COPIES = replace(
    ebs.VOLUMES,
    accepts=dict.fromkeys(
        (
            "Encrypted", "Iops", "KmsKeyId", "MultiAttachEnabled", "Size", "SourceVolumeId",
            "Throughput", "VolumeType",
        )
    ),
    build=_build,
)  # fmt: skip
_COPY = creating(
    COPIES,
    "CopyVolumes",
    sets=ebs.SETS,
    defaults=ebs.DEFAULTS,
    mismatch=ebs.MISMATCH,
    validate=_validate,
)


def _view(tx: Tx, request: Request, identities: Identities) -> Document:
    """Return the volume in a list of one, as EC2's result has it."""
    return {"Volumes": [_COPY.view(tx, request, identities)]}


ACTIONS: tuple[Action, ...] = (replace(_COPY, view=_view),)
