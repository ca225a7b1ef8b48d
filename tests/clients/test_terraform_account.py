"""Terraform makes most kinds of resource of an account, keeps them, changes them, deletes them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from clients.configuration import ACCOUNT, FIRST, MADE, SECOND, counts, standing
from clients.terraform import require_terraform, terraform
from plane import running_plane


def test_an_account_is_applied_stays_unchanged_is_changed_in_place_and_destroyed(
    tmp_path: Path,
) -> None:
    require_terraform()
    with running_plane(tmp_path) as plane:
        ec2 = plane.client()
        before = standing(ec2)
        with terraform(tmp_path / "terraform", ACCOUNT, plane.url, plane.keys) as run:
            run.apply(**FIRST)
            made = run.output()
            assert counts(standing(ec2)) - counts(before) == MADE
            assert _as_applied(ec2, made) == FIRST
            assert run.plan(**FIRST) is None

            run.apply(**SECOND)
            assert run.output() == made, "all of it changes in place"
            assert _as_applied(ec2, made) == SECOND
            assert run.plan(**SECOND) is None

            run.destroy(**SECOND)
        assert standing(ec2) == before


def _as_applied(ec2: Any, made: dict[str, Any]) -> dict[str, str]:
    """The variables that the account's resources show; all must show the same."""
    owned = ec2.describe_tags(
        Filters=[
            {"Name": "key", "Values": ["Owner"]},
            {"Name": "resource-id", "Values": made["tagged"]},
        ]
    )["Tags"]
    assert {one["ResourceId"] for one in owned} == set(made["tagged"])
    [owner] = {one["Value"] for one in owned}

    def attribute(of: str, name: str, member: str) -> str:
        answer = ec2.describe_instance_attribute(InstanceId=made["instances"][of], Attribute=name)
        value: str = answer[member]["Value"]
        return value

    script = base64.b64decode(attribute("plain", "userData", "UserData")).decode()
    return {
        "owner": owner,
        "script": script.removeprefix("#!/bin/sh\necho ").rstrip(),
        "size": attribute("private", "instanceType", "InstanceType"),
    }
