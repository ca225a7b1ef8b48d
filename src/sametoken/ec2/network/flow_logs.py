"""Flow logs: one call makes a flow log for each resource it names. Their logs stay empty."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sametoken.ec2.kit.actions import Action, Change, Read, Tokened
from sametoken.ec2.kit.describing import describe
from sametoken.ec2.kit.nouns import requested_tags
from sametoken.ec2.kit.parameters import Accepted, check_tag_specifications, refuse_unsupported
from sametoken.ec2.kit.repeats import conflicts
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import DELETED, ENVELOPE
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.idempotency import Identities, Made
from sametoken.resources.kit import endings, listings, quotas, rows
from sametoken.resources.kit.ids import digits_of, mint
from sametoken.resources.kit.kinds import Kind, Quota
from sametoken.resources.kit.rows import Row
from sametoken.resources.network.interfaces import INTERFACE
from sametoken.resources.network.vpcs import SUBNET, VPC
from sametoken.store.port import Tx

FLOW_LOG = Kind(
    "vpc-flow-log",
    "fl",
    "InvalidFlowLogId",
    "flow log",
    malformed=None,
    quota=Quota(2, "FlowLogsLimitExceeded", per="ResourceId"),
)
# Source: EC2 API reference, DescribeFlowLogs, "Filters".
FILTERS = {
    "deliver-log-status": "DeliverLogsStatus",
    "flow-log-id": "FlowLogId",
    "log-destination-type": "LogDestinationType",
    "log-group-name": "LogGroupName",
    "resource-id": "ResourceId",
    "traffic-type": "TrafficType",
}
_WATCHED = {"VPC": VPC, "Subnet": SUBNET, "NetworkInterface": INTERFACE}
_SHOWN = (
    "DeliverLogsPermissionArn", "LogDestination", "LogDestinationType", "LogFormat", "LogGroupName",
    "MaxAggregationInterval", "TrafficType",
)  # fmt: skip
_ACCEPTED: Accepted = {
    **ENVELOPE,
    **dict.fromkeys((*_SHOWN, "ResourceIds", "ResourceType")),
    "DestinationOptions": dict.fromkeys(
        ("FileFormat", "HiveCompatiblePartitions", "PerHourPartition")
    ),
}
# EC2's default format and interval (seconds).
_FORMAT = (
    "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} "
    "${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}"
)
_INTERVAL = 600
_DESTINATION = re.compile(r"arn:aws[a-z-]*:(?:s3|logs|firehose):[a-z0-9-]*:[0-9]*:\S*\Z")
_CLOUD_WATCH = "cloud-watch-logs"
# EC2's defaults for the files of a flow log in a bucket.
_FILES = {"FileFormat": "plain-text", "HiveCompatiblePartitions": False, "PerHourPartition": False}


def validate(request: Request) -> None:
    params = request.params
    refuse_unsupported("", params, _ACCEPTED)
    check_tag_specifications(params, (FLOW_LOG.name,))
    kind = _WATCHED.get(params["ResourceType"])
    if kind is None:
        raise refusals.unsupported(f"ResourceType={params['ResourceType']}")
    for id in params["ResourceIds"]:
        kind.check_id(id)
    if "TrafficType" not in params:
        raise refusals.missing_parameter("TrafficType")
    _check_destination(params)


def _check_destination(params: Mapping[str, Any]) -> None:
    """Refuse a destination that is missing or told twice, in EC2's words."""
    refused = ""
    if "LogGroupName" not in params:
        if "LogDestination" not in params:
            refused = "LogDestination can't be empty if LogGroupName is not provided."
    elif params.get("LogDestinationType", _CLOUD_WATCH) != _CLOUD_WATCH:
        refused = "LogDestination type must be cloud-watch-logs if LogGroupName is provided."
    elif "LogDestination" in params:
        refused = "Please only provide LogGroupName or only provide LogDestination."
    if params.get("DestinationOptions") and params.get("LogDestinationType") != "s3":
        refused = "DestinationOptions are only for flow logs that are published to s3."
    if not refused and not _DESTINATION.match(params.get("LogDestination", "arn:aws:s3:::")):
        refused = f"LogDestination: {params['LogDestination'][:200]} is not a valid ARN."
    if refused:
        raise ServiceError("InvalidParameter", refused)


def perform(tx: Tx, request: Request) -> Made:
    """Make a flow log for each resource, or none, so that a repeat finds all of them or none."""
    params = request.params
    kind = _WATCHED[params["ResourceType"]]
    # Lock the resources, so that of two equal requests at once the second sees the first's flow
    # logs.
    watched = rows.get(tx, kind, request.account, request.region, params["ResourceIds"], lock=True)
    document = {"LogDestinationType": "cloud-watch-logs", "LogFormat": _FORMAT,
                "MaxAggregationInterval": _INTERVAL}  # fmt: skip
    document |= {name: params[name] for name in _SHOWN if name in params}
    if "DestinationOptions" in params:
        document["DestinationOptions"] = {**_FILES, **params["DestinationOptions"]}
    _refuse_existing(tx, request, watched, document)
    _check_quota(tx, request, watched)
    made = [
        Row(
            mint(tx, FLOW_LOG.prefix), FLOW_LOG.name, request.account, request.region, "available",
            {**document, "ResourceId": one.id, "Tags": requested_tags(request, FLOW_LOG)}, tx.now,
        )
        for one in watched
    ]  # fmt: skip
    rows.insert(tx, made)
    ids = [row.id for row in made]
    return Made({"ids": ids}, resources=ids)


def _refuse_existing(tx: Tx, request: Request, watched: Sequence[Row], document: Document) -> None:
    """Refuse a second, equal flow log of a resource, and so a repeat without token."""
    wanted = [{**document, "ResourceId": one.id} for one in watched]
    for row in listings.every(tx, FLOW_LOG, request.account, request.region):
        if {name: value for name, value in row.doc.items() if name != "Tags"} in wanted:
            raise ServiceError(
                "FlowLogAlreadyExists",
                "Error. There is an existing Flow Log with the same configuration and log "
                "destination.",
            )


def _check_quota(tx: Tx, request: Request, watched: Sequence[Row]) -> None:
    """Count the flow logs of each resource here: they do not stand under it, so the kit cannot."""
    account, region = request.account, request.region
    standing = [row.doc["ResourceId"] for row in listings.every(tx, FLOW_LOG, account, region)]
    for one in watched:
        quotas.refuse_beyond(tx, FLOW_LOG.name, account, region, standing.count(one.id) + 1)


def view(tx: Tx, request: Request, identities: Identities) -> Document:
    found = rows.by_ids(tx, identities["ids"])
    if any(found[id].gone_at is not None for id in identities["ids"]):
        raise ServiceError("IdempotentParameterMismatch", DELETED)
    result: Document = {"FlowLogIds": identities["ids"], "Unsuccessful": []}
    # EC2 makes a token for a request that has none, and tells it.
    made = digits_of("flow-logs", *identities["ids"])
    return {**result, "ClientToken": request.params.get("ClientToken", made)}


def show(row: Row) -> Document:
    """EC2's FlowLog."""
    files = {"DestinationOptions": _FILES} if row.doc["LogDestinationType"] == "s3" else {}
    return {
        **files,
        **row.doc,
        "FlowLogId": row.id,
        "FlowLogStatus": "ACTIVE",
        "DeliverLogsStatus": "SUCCESS",
        "CreationTime": row.created_at,
    }


def describe_flow_logs(tx: Tx, request: Request) -> Document:
    return describe(tx, request, FLOW_LOG, show, "FlowLogs", FILTERS, ids="FlowLogIds")


def delete(tx: Tx, request: Request) -> Document:
    ids = request.params["FlowLogIds"]
    for row in rows.get(tx, FLOW_LOG, request.account, request.region, ids, lock=True):
        endings.end(tx, FLOW_LOG, row, cause="DeleteFlowLogs")
    return {"Unsuccessful": []}


ACTIONS: tuple[Action, ...] = (
    Tokened(
        "CreateFlowLogs",
        perform,
        view,
        validate=validate,
        deleted=DELETED,
        repeats=conflicts("FlowLogAlreadyExists", "ERR"),
    ),
    Read("DescribeFlowLogs", describe_flow_logs),
    Change("DeleteFlowLogs", delete, repeats=conflicts("InvalidFlowLogId.NotFound", "MEM")),
)
