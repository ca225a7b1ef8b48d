"""Terraform's public modules for VPCs, groups and instances: applied, kept, changed, destroyed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from clients.configuration import standing
from clients.terraform import require_terraform, terraform
from clients.test_terraform_lost_replies import carries_a_token, losing_first_replies, lost_by
from plane import running_plane
from sametoken.testing import lossy_proxy

CONFIGURATION = Path(__file__).parent / "modules"
# The folder that holds clones of `terraform-aws-modules`, each under its repository's name.
MODULES_VARIABLE = "SAMETOKEN_TERRAFORM_MODULES"
NAMES = ("terraform-aws-vpc", "terraform-aws-security-group", "terraform-aws-ec2-instance")
FIRST = {"owner": "one", "port": "443", "size": "t3.micro"}
SECOND = {"owner": "two", "port": "8443", "size": "t3.small"}


def _laid_out(folder: Path) -> Path:
    """The configuration beside copies of the modules."""
    named = os.environ.get(MODULES_VARIABLE)
    if not named:
        pytest.skip(f"{MODULES_VARIABLE} names no folder with {', '.join(NAMES)}")
    shutil.copytree(CONFIGURATION, folder)
    for name in NAMES:
        shutil.copytree(Path(named) / name, folder / "modules" / name)
    return folder


def test_public_modules_are_applied_stay_unchanged_are_changed_and_destroyed(
    tmp_path: Path,
) -> None:
    require_terraform()
    configuration = _laid_out(tmp_path / "configuration")
    with (
        running_plane(tmp_path) as plane,
        lossy_proxy(plane.url, losing_first_replies(carries_a_token)) as proxy,
    ):
        ec2 = plane.client()
        before = standing(ec2)
        with terraform(tmp_path / "run", configuration, proxy.url, plane.keys) as run:
            run.apply(**FIRST)
            made = run.output()
            assert run.plan(**FIRST) is None
            run.apply(**SECOND)
            assert run.output() == made, "all of it changes in place"
            assert run.plan(**SECOND) is None
            [shown] = ec2.describe_instances(InstanceIds=made["instances"][:1])["Reservations"]
            assert shown["Instances"][0]["InstanceType"] == SECOND["size"]
            run.destroy(**SECOND)
        assert standing(ec2) == before
    lost = lost_by(proxy, carries_a_token)
    assert {"CreateFlowLogs", "CreateNatGateway", "CreateVpcEndpoint", "RunInstances"} <= lost
