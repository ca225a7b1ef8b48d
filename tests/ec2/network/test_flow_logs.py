"""Flow logs: what their destination takes."""

from __future__ import annotations

from typing import Any

from ec2.asking import default_vpc, refusal
from plane import Plane


def test_a_bucket_takes_options_of_its_files_and_shows_them_with_their_defaults(
    plane: Plane,
) -> None:
    ec2 = plane.client(keys=plane.account("flows to files"))
    asked: dict[str, Any] = {
        "ResourceIds": [default_vpc(ec2)], "ResourceType": "VPC", "TrafficType": "ALL",
        "DestinationOptions": {"FileFormat": "parquet"},
    }  # fmt: skip
    assert refusal(ec2.create_flow_logs, **asked, LogGroupName="flows").code == "InvalidParameter"
    ec2.create_flow_logs(**asked, LogDestinationType="s3", LogDestination="arn:aws:s3:::flows")
    [shown] = ec2.describe_flow_logs()["FlowLogs"]
    assert shown["DestinationOptions"] == {
        "FileFormat": "parquet",
        "HiveCompatiblePartitions": False,
        "PerHourPartition": False,
    }
