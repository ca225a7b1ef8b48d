"""Terraform, the real one, on a configuration of a test's own. For tests only.

It never reaches beyond this machine: the provider comes from a folder that an environment variable
names, and the plane is its only endpoint.

Most of a command's time is the provider's start, so one provider stays up for all commands of a
configuration, as under a debugger. It learns the endpoint from the environment: an `endpoints`
block costs four seconds of every command.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from sdk import Keys

# The folder that `terraform providers mirror` fills: HOST/NAMESPACE/TYPE/….
PLUGINS_VARIABLE = "SAMETOKEN_TERRAFORM_PLUGINS"
REGION = "us-east-1"
# A destroy that waits in vain gives up much later by itself; no test may wait so long.
_PATIENCE_SECONDS = 180.0
_CHANGES = 2
# The provider's only line, when it listens, and the variable that tells Terraform where.
_ATTACH = "TF_REATTACH_PROVIDERS"
# Concurrent operations: most wait for nothing but their turn.
_AT_ONCE = 50

_PROVIDER = """
terraform {{
  required_providers {{
    aws = {{ source = "hashicorp/aws" }}
  }}
}}
provider "aws" {{
  region                      = "{region}"
  access_key                  = "{access_key}"
  secret_key                  = "{secret}"
  skip_credentials_validation = false
  skip_metadata_api_check     = true
  skip_region_validation      = true
  max_retries                 = 3
}}
"""
_CLI_CONFIGURATION = """
disable_checkpoint = true
provider_installation {{
  filesystem_mirror {{ path = "{plugins}" }}
}}
"""


def require_terraform() -> None:
    """Skip the test, saying why, unless Terraform and its provider are here."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    if not os.environ.get(PLUGINS_VARIABLE):
        pytest.skip(f"{PLUGINS_VARIABLE} names no folder with the AWS provider")


class Terraform:
    """A configuration and its state, in `folder`; every command must succeed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Drop the user's AWS and Terraform set-up.
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "TF_", "SAMETOKEN_"))
        } | {
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "CHECKPOINT_DISABLE": "1",
            # A quarter less time with fewer collections, for some hundred megabytes.
            "GOGC": "200",
            "TF_CLI_CONFIG_FILE": str(folder / "terraform.rc"),
            "TF_IN_AUTOMATION": "1",
        }

    def apply(self, **variables: str) -> None:
        self.run("apply", "-auto-approve", f"-parallelism={_AT_ONCE}", *_as_flags(variables))

    def plan(self, **variables: str) -> str | None:
        """The changes that Terraform would make; None when there are none."""
        done = self.run("plan", "-detailed-exitcode", *_as_flags(variables), codes=(0, _CHANGES))
        return done.stdout if done.returncode == _CHANGES else None

    def destroy(self, **variables: str) -> None:
        self.run("destroy", "-auto-approve", f"-parallelism={_AT_ONCE}", *_as_flags(variables))

    def output(self) -> dict[str, Any]:
        """The outputs by name."""
        found = json.loads(self.run("output", "-json").stdout)
        return {name: one["value"] for name, one in found.items()}

    def run(
        self, command: str, *words: str, codes: tuple[int, ...] = (0,)
    ) -> subprocess.CompletedProcess[str]:
        switches = [] if command == "output" else ["-input=false"]
        done = subprocess.run(
            ["terraform", command, "-no-color", *switches, *words],
            cwd=self.folder, env=self.environment, capture_output=True, text=True,
            timeout=_PATIENCE_SECONDS,
        )  # fmt: skip
        assert done.returncode in codes, f"terraform {command}:\n{done.stdout}\n{done.stderr}"
        return done


@contextmanager
def terraform(folder: Path, configuration: Path, url: str, keys: Keys) -> Iterator[Terraform]:
    """Start with the `.tf` files of `configuration`, in a new `folder`, against the plane at `url`.

    The provider runs for the length of the block.
    """
    shutil.copytree(configuration, folder)
    provider = _PROVIDER.format(region=REGION, access_key=keys.access_key_id, secret=keys.secret)
    (folder / "provider.tf").write_text(provider)
    rc = _CLI_CONFIGURATION.format(plugins=os.environ[PLUGINS_VARIABLE])
    (folder / "terraform.rc").write_text(rc)
    made = Terraform(folder)
    made.run("init")
    # HOST/NAMESPACE/TYPE/VERSION/PLATFORM, the last of them a link where the mirror is unpacked.
    [program] = (folder / ".terraform" / "providers").glob("*/*/*/*/*/terraform-provider-aws_*")
    with subprocess.Popen(
        [program, "-debug"],
        env=made.environment | {"AWS_ENDPOINT_URL": url}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None, "its output is a pipe"
            made.environment[_ATTACH] = _address(process.stdout)
            yield made
        finally:
            process.terminate()


def _address(lines: IO[str]) -> str:
    """The provider's address, in the form Terraform reads: `…='{JSON}'`."""
    for line in lines:
        name, _, address = line.strip().partition("=")
        if name == _ATTACH:
            return address.strip("'")
    raise AssertionError("the provider did not come up")


def _as_flags(variables: dict[str, str]) -> list[str]:
    return [f"-var={name}={value}" for name, value in variables.items()]
