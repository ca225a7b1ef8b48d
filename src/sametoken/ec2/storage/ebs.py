"""EBS volumes outside a launch: create, attach, detach, modify, delete."""

from __future__ import annotations

from datetime import datetime, timedelta

from sametoken.ec2.kit.actions import Action, Change, Read
from sametoken.ec2.kit.describing import describe
from sametoken.ec2.kit.filters import compile_filters
from sametoken.ec2.kit.nouns import Noun, Parents
from sametoken.ec2.kit.paging import page, scope_of
from sametoken.ec2.kit.paths import getters
from sametoken.ec2.kit.repeats import conflicts
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.spelling import PAGE_MAXIMUM
from sametoken.ec2.kit.verbs import creating, deleting
from sametoken.ec2.kit.zones import check_zone, zone_asked
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.storage import volumes as forms
from sametoken.ec2.storage.block_devices import DEFAULT_TYPE, GP3_THROUGHPUT, encrypted_as, measured
from sametoken.errors import ServiceError
from sametoken.idempotency.fingerprint import Only
from sametoken.resources.catalogues import geography
from sametoken.resources.compute.instances import INSTANCE, InstanceState
from sametoken.resources.kit import listings, ripening, rows
from sametoken.resources.kit.kinds import Kind
from sametoken.resources.kit.moments import get_moment, kept_moment, without_moments
from sametoken.resources.kit.rows import Row
from sametoken.resources.storage import keys, snapshots, volumes
from sametoken.resources.storage.volumes import VOLUME
from sametoken.store.port import Tx

# EC2's own wordings for this action (captured in the EBS CSI driver's issues).
MISMATCH = (
    "Parameters on this idempotent request are inconsistent with parameters used in previous "
    "request(s)"
)
# DEFAULTS are filled in before two requests are compared, as EC2 does; SETS are compared without
# order.
SETS = frozenset({"TagSpecifications", "TagSpecifications[].Tags"})
DEFAULTS = {
    "VolumeType": DEFAULT_TYPE,
    "Throughput": Only(GP3_THROUGHPUT, where="VolumeType", equals="gp3"),
}
# CREATING_SECONDS is long enough that callers see `creating`.
CREATING_SECONDS = 1.0
# MODIFYING is long enough that callers see `optimizing`, and that a repeat whose reply was lost
# still hears it. A volume is `modifying` for the first part of it.
MODIFYING = timedelta(seconds=2)
_RESHAPING = timedelta(seconds=0.5)


def zone_of(tx: Tx, request: Request) -> str:
    """The zone that the request asks for."""
    return zone_asked(request.region, request.params)


def _validate(request: Request) -> None:
    if "AvailabilityZone" not in request.params and "AvailabilityZoneId" not in request.params:
        raise refusals.missing_parameter("AvailabilityZone")
    check_zone(request.region, request.params)


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    params = dict(request.params)
    asked = {**params, "VolumeSize": params.get("Size")}
    if asked["VolumeSize"] is None:
        del asked["VolumeSize"]
    if "SnapshotId" in params:
        source = snapshots.content(tx, request.place, params["SnapshotId"])
        if asked.setdefault("VolumeSize", source.gib) < source.gib:
            raise refusals.invalid_value(
                "size", params["Size"], f"{params['SnapshotId']} has {source.gib} GiB."
            )
        asked = encrypted_as(source.key, asked)
    members = measured(asked, request.place)
    document = volumes.document(
        {**members, "MultiAttachEnabled": params.get("MultiAttachEnabled", False)}
    )
    return {**document, "AvailabilityZone": zone_of(tx, request)}


def _created(tx: Tx, row: Row) -> None:
    """Plan the volume's next state: available, or deleted when its key cannot be used.

    EC2 answers 200 `creating`, rolls back, and refuses the token from then on (EBS CSI driver,
    issues 1951 and 3010).
    """
    key = row.doc.get("KmsKeyId")
    usable = key is None or keys.is_usable(row.place, key)
    state, cause = ("available", "created") if usable else ("deleted", "its key is not usable")
    ripening.plan(tx, row, state, CREATING_SECONDS, cause=cause)


VOLUMES = Noun(
    VOLUME,
    paths=forms.VOLUME_FILTERS,
    accepts=dict.fromkeys(
        (
            "AvailabilityZone", "AvailabilityZoneId", "Encrypted", "Iops", "KmsKeyId",
            "MultiAttachEnabled", "Size", "SnapshotId", "Throughput", "VolumeType",
        )
    ),
    build=_build,
    show=forms.show,
    initial="creating",
    created=_created,
)  # fmt: skip


def _refuse_attached(tx: Tx, row: Row) -> None:
    if row.doc["Attachments"]:
        holder = row.doc["Attachments"][0]["InstanceId"]
        raise ServiceError("VolumeInUse", f"Volume {row.id} is currently attached to {holder}")


def attach_volume(tx: Tx, request: Request) -> Document:
    """Attach a volume. An attached one is `VolumeInUse`, even to the same instance."""
    params = request.params
    if "EbsCardIndex" in params:
        raise refusals.unsupported("EbsCardIndex")
    row, instance = (
        _lock(tx, request, VOLUME, "VolumeId"),
        _lock(tx, request, INSTANCE, "InstanceId"),
    )
    if row.state != "available":
        if row.state == "in-use":
            raise ServiceError("VolumeInUse", f"{row.id} is already attached to an instance")
        raise _incorrect_state(row, "available")
    if instance.state not in (InstanceState.RUNNING, InstanceState.STOPPED):
        raise ServiceError("IncorrectState", f"Instance '{instance.id}' is not 'running'.")
    if row.zone != instance.zone:
        raise ServiceError(
            "InvalidVolume.ZoneMismatch",
            f"The volume '{row.id}' is not in the same availability zone as instance "
            f"'{instance.id}'",
        )
    _refuse_taken(tx, instance, params["Device"])
    attached = volumes.attach(tx, row, instance=instance.id, device=params["Device"])
    return _attachment(attached, instance.id, "attaching")


def _refuse_taken(tx: Tx, instance: Row, device: str) -> None:
    for child in rows.children(tx, [instance.id])[instance.id]:
        taken = [one["Device"] for one in child.doc.get("Attachments", ())]
        if child.kind == VOLUME.name and device in taken:
            raise refusals.invalid_value(
                "unixDevice", device, f"Attachment point {device} is already in use."
            )


def detach_volume(tx: Tx, request: Request) -> Document:
    """Detach a volume; one that is not attached is `IncorrectState`."""
    row = _lock(tx, request, VOLUME, "VolumeId")
    attachments = row.doc["Attachments"]
    wanted = request.params.get("InstanceId")
    found = [one for one in attachments if wanted in (None, one["InstanceId"])]
    if not found:
        if attachments:
            raise ServiceError(
                "InvalidAttachment.NotFound", f"{row.id} is not attached to {wanted}"
            )
        raise _incorrect_state(row, "in-use")
    answer = _attachment(row, found[0]["InstanceId"], "detaching")
    volumes.detach(tx, row, instance=found[0]["InstanceId"])
    return answer


def _attachment(row: Row, instance: str, state: str) -> Document:
    shown: Document = forms.show(row)
    [one] = [one for one in shown["Attachments"] if one["InstanceId"] == instance]
    return {**one, "State": state}


def modify_volume(tx: Tx, request: Request) -> Document:
    """Change size, type or performance: `modifying`, then `optimizing`, at last `completed`.

    "You must wait for that modification to reach the completed state before you can initiate
    another modification for the same volume" (EC2 API reference).
    """
    params = request.params
    if "MultiAttachEnabled" in params:
        raise refusals.unsupported("MultiAttachEnabled")
    row = _lock(tx, request, VOLUME, "VolumeId")
    if row.state not in ("available", "in-use"):
        raise _incorrect_state(row, "in-use")
    if "modification" in row.private and tx.now < _completed_at(row):
        raise ServiceError(
            "IncorrectModificationState",
            f"The volume '{row.id}' is being modified; wait until that is completed.",
        )
    if params.get("Size", row.doc["Size"]) < row.doc["Size"]:
        raise refusals.invalid_value(
            "size", params["Size"], f"New size cannot be smaller than {row.doc['Size']} GiB."
        )
    kept = {"VolumeSize": row.doc["Size"], "VolumeType": row.doc["VolumeType"]}
    same_type = params.get("VolumeType", row.doc["VolumeType"]) == row.doc["VolumeType"]
    if same_type and row.doc["VolumeType"] != "gp2":
        # Leave out None, which an earlier modification stored for a figure that its type lacks.
        figures = {name: row.doc.get(name) for name in ("Iops", "Throughput")}
        kept |= {name: value for name, value in figures.items() if value is not None}
    asked = {name: value for name, value in params.items() if name != "VolumeId"}
    if "Size" in asked:
        asked["VolumeSize"] = asked.pop("Size")
    members = measured({**kept, **asked}, request.place)
    changes = {name: members[name] for name in ("Size", "VolumeType", "Iops", "Throughput")}
    modification = {
        **kept_moment("started", tx.now),
        **{f"Original{name}": row.doc.get(name) for name in changes},
        **{f"Target{name}": value for name, value in changes.items()},
        "OriginalMultiAttachEnabled": row.doc["MultiAttachEnabled"],
        "TargetMultiAttachEnabled": row.doc["MultiAttachEnabled"],
    }
    row = rows.change(tx, VOLUME, row, **changes, private={"modification": modification})
    return {"VolumeModification": _modification(tx, row)}


def _completed_at(row: Row) -> datetime:
    """The moment at which the volume's latest modification is, or was, completed."""
    return get_moment(row.private["modification"], "started") + MODIFYING


def describe_modifications(tx: Tx, request: Request) -> Document:
    account, region = request.account, request.region
    ids = request.params.get("VolumeIds")
    found = rows.get(tx, VOLUME, account, region, ids) if ids else listings.every(
        tx, VOLUME, account, region
    )  # fmt: skip
    modified = [row for row in found if "modification" in row.private]
    if ids and not modified:
        raise ServiceError(
            "InvalidVolumeModification.NotFound",
            f"Modification for volume '{ids[0]}' does not exist.",
        )
    matches = compile_filters(request.params.get("Filters"), getters(forms.MODIFICATION_FILTERS))
    listed = page(
        (one for one in (_modification(tx, row) for row in modified) if matches(one)),
        lambda one: str(one["VolumeId"]),
        max_results=request.params.get("MaxResults"),
        next_token=request.params.get("NextToken"),
        scope=scope_of(request),
        minimum=1,
        maximum=PAGE_MAXIMUM,
    )
    return {"VolumesModifications": listed.items, "NextToken": listed.next_token}


def _modification(tx: Tx, row: Row) -> Document:
    kept = row.private["modification"]
    started, completed = get_moment(kept, "started"), _completed_at(row)
    shown: Document = {
        **{name: value for name, value in without_moments(kept).items() if value is not None},
        "VolumeId": row.id,
        "StartTime": started,
    }
    if tx.now < started + _RESHAPING:
        return {**shown, "ModificationState": "modifying", "Progress": 0}
    if tx.now < completed:
        done = int(100 * (tx.now - started) / MODIFYING)
        return {**shown, "ModificationState": "optimizing", "Progress": done}
    return {
        **shown, "ModificationState": "completed", "Progress": 100, "EndTime": completed,
    }  # fmt: skip


def describe_status(tx: Tx, request: Request) -> Document:
    """Return a good status for every volume: its disk is simulated."""
    return describe(
        tx, request, VOLUME, _status, "VolumeStatuses", forms.STATUS_FILTERS, ids="VolumeIds"
    )


def _status(row: Row) -> Document:
    return {
        "VolumeId": row.id,
        "AvailabilityZone": row.zone,
        "AvailabilityZoneId": geography.zone_id_of(row.zone),
        "VolumeStatus": {
            "Status": "ok",
            "Details": [{"Name": "io-enabled", "Status": "passed"}],
        },
        "Actions": [],
        "Events": [],
    }


def _lock(tx: Tx, request: Request, kind: Kind, parameter: str) -> Row:
    ids = [request.params[parameter]]
    return rows.get(tx, kind, request.account, request.region, ids, lock=True)[0]


def _incorrect_state(row: Row, wanted: str) -> ServiceError:
    return ServiceError("IncorrectState", f"Volume '{row.id}' is '{row.state}', not '{wanted}'.")


ACTIONS: tuple[Action, ...] = (
    creating(
        VOLUMES,
        "CreateVolume",
        zone=zone_of,
        sets=SETS,
        defaults=DEFAULTS,
        mismatch=MISMATCH,
        validate=_validate,
    ),
    deleting(VOLUMES, "DeleteVolume", check=_refuse_attached),
    Change("AttachVolume", attach_volume, repeats=conflicts("VolumeInUse", "ERR")),
    Change("DetachVolume", detach_volume, repeats=conflicts("IncorrectState", "ERR")),
    Change("ModifyVolume", modify_volume, repeats=conflicts("IncorrectModificationState", "ERR")),
    Read("DescribeVolumes", forms.describe_volumes),
    Read("DescribeVolumesModifications", describe_modifications),
    Read("DescribeVolumeStatus", describe_status),
)
