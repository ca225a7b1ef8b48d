"""Terraform, the real one, on a configuration of a test's own. For tests only.

It never reaches beyond this machine: the provider comes from a folder that an environment variable
names, and its endpoints are the plane's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from plane import Keys

# The folder that `terraform providers mirror` fills: HOST/NAMESPACE/TYPE/….
PLUGINS_VARIABLE = "SAMETOKEN_TERRAFORM_PLUGINS"
REGION = "us-east-1"
# A destroy that waits in vain gives up much later by itself; no test here is to wait so long.
_PATIENCE_SECONDS = 120.0
_CHANGES = 2

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
  endpoints {{
    ec2 = "{url}"
    sts = "{url}"
  }}
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
    """One configuration and its state, in `folder`; every command must succeed."""

    def __init__(self, folder: Path, url: str, keys: Keys) -> None:
        self.folder = folder
        self._write(
            "provider.tf",
            _PROVIDER.format(
                region=REGION, access_key=keys.access_key_id, secret=keys.secret, url=url
            ),
        )
        self._write("terraform.rc", _CLI_CONFIGURATION.format(plugins=os.environ[PLUGINS_VARIABLE]))
        self._ready = False

    def configure(self, text: str) -> None:
        """Make `text` the configuration."""
        self._write("main.tf", text)

    def apply(self, **variables: str) -> None:
        self._run("apply", "-auto-approve", *_as_flags(variables))

    def plan(self, **variables: str) -> str | None:
        """What Terraform would change; None when nothing."""
        done = self._run("plan", "-detailed-exitcode", *_as_flags(variables), codes=(0, _CHANGES))
        return done.stdout if done.returncode == _CHANGES else None

    def destroy(self, **variables: str) -> None:
        self._run("destroy", "-auto-approve", *_as_flags(variables))

    def output(self) -> dict[str, Any]:
        """The outputs by name."""
        found = json.loads(self._run("output", "-json").stdout)
        return {name: one["value"] for name, one in found.items()}

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def _run(
        self, command: str, *words: str, codes: tuple[int, ...] = (0,)
    ) -> subprocess.CompletedProcess[str]:
        if not self._ready:
            self._ready = True
            self._run("init")
        json_only = command == "output"
        switches = [] if json_only else ["-input=false"]
        done = subprocess.run(
            ["terraform", command, "-no-color", *switches, *words],
            cwd=self.folder, env=self._environment(), capture_output=True, text=True,
            timeout=_PATIENCE_SECONDS,
        )  # fmt: skip
        assert done.returncode in codes, f"terraform {command}:\n{done.stdout}\n{done.stderr}"
        return done

    def _environment(self) -> dict[str, str]:
        """Nothing of the user's AWS or Terraform set-up."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "TF_", "SAMETOKEN_"))
        }
        nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        return {
            **kept,
            **nowhere,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CHECKPOINT_DISABLE": "1",
            # Most of a command is the provider building its schemas: a third less with fewer
            # collections, for some hundred megabytes.
            "GOGC": "500",
            "TF_CLI_CONFIG_FILE": str(self.folder / "terraform.rc"),
            "TF_IN_AUTOMATION": "1",
        }


def _as_flags(variables: dict[str, str]) -> list[str]:
    return [f"-var={name}={value}" for name, value in variables.items()]
