"""Flow logs: the files that those of a bucket are written in."""

from __future__ import annotations

from typing import Any

import pytest

from ec2.asking import code, default_vpc
from plane import Plane

BUCKET = {"LogDestinationType": "s3", "LogDestination": "arn:aws:s3:::flows"}
CHOSEN = {"FileFormat": "parquet", "HiveCompatiblePartitions": True}


@pytest.fixture
def ec2(plane: Plane, request: pytest.FixtureRequest) -> Any:
    return plane.client(keys=plane.account(request.node.name[-60:]))


def asked(ec2: Any, **more: Any) -> dict[str, Any]:
    vpc = default_vpc(ec2)
    return {"ResourceType": "VPC", "ResourceIds": [vpc], "TrafficType": "ALL", **more}


def test_a_flow_log_shows_how_its_files_are_written(ec2: Any) -> None:
    made = ec2.create_flow_logs(**asked(ec2, **BUCKET), DestinationOptions=CHOSEN)
    [shown] = ec2.describe_flow_logs(FlowLogIds=made["FlowLogIds"])["FlowLogs"]
    assert shown["DestinationOptions"] == {**CHOSEN, "PerHourPartition": False}


def test_only_a_flow_log_to_a_bucket_has_files(ec2: Any) -> None:
    group = {"LogGroupName": "flows", "DeliverLogsPermissionArn": "arn:aws:iam::1:role/flows"}
    refused = code(ec2.create_flow_logs, **asked(ec2, **group), DestinationOptions=CHOSEN)
    assert refused == "InvalidParameter"
