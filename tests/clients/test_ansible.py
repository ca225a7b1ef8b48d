"""Ansible's amazon.aws, all of its modules for what is served: made, kept, ended, replies lost."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clients.configuration import standing
from clients.process import environment
from clients.test_pages import CLIENTS, losing_first_replies
from plane import Plane, running_plane
from sametoken.resources.kit import counters
from sametoken.testing import Fate, lossy_proxy
from sdk import REGION

PLAYBOOKS = Path(__file__).parent / "ansible"
# Each module is a process that imports botocore: some ninety of them take minutes.
WHOLE_VARIABLE = "SAMETOKEN_WHOLE_ANSIBLE"
# A task with its outcome, as ansible-playbook prints them.
_TASK = re.compile(r"^TASK \[(.+?)\] \**\n(?:(?!TASK|PLAY).*\n)*?(ok|changed|fatal|failed):", re.M)
_PATIENCE_SECONDS = 1800.0


def play(plane: Plane, url: str, folder: Path, name: str, **variables: str) -> list[str]:
    """Run a playbook, which must succeed; return the modules that changed something."""
    where = CLIENTS["ansible"].folder()
    assert where is not None
    run = environment(
        PATH=f"{where}{os.pathsep}{os.environ['PATH']}",
        AWS_ACCESS_KEY_ID=plane.keys.access_key_id, AWS_SECRET_ACCESS_KEY=plane.keys.secret,
        AWS_DEFAULT_REGION=REGION, AWS_ENDPOINT_URL_EC2=url, AWS_ENDPOINT_URL_STS=url,
        ANSIBLE_HOME=str(folder), ANSIBLE_NOCOLOR="1", HOME=str(folder),
    )  # fmt: skip
    del run["PYTHONPATH"]
    told = [word for pair in variables.items() for word in ("-e", "=".join(pair))]
    done = subprocess.run(
        ["ansible-playbook", PLAYBOOKS / name, *told],
        cwd=folder, env=run, capture_output=True, text=True, timeout=_PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    tasks = _TASK.findall(done.stdout)
    return [name.removeprefix("amazon.aws.") for name, outcome in tasks if outcome == "changed"]


@pytest.mark.skipif(
    not os.environ.get(WHOLE_VARIABLE), reason=f"{WHOLE_VARIABLE}=1 runs it: it takes minutes"
)
def test_a_second_run_changes_nothing_but_images_and_nothing_is_left(tmp_path: Path) -> None:
    if CLIENTS["ansible"].folder() is None:
        pytest.skip("Ansible is not installed: make clients")
    key = tmp_path / "key.pub"
    key.write_text(public_key())
    with (
        running_plane(tmp_path) as plane,
        lossy_proxy(plane.url, losing_first_replies) as proxy,
    ):
        ec2 = plane.client()
        plane.run(lambda tx: counters.set_maximum(tx, "vpc/*/*", 50))
        before = standing(ec2)
        made = play(plane, proxy.url, tmp_path, "present.yml", run="1", public_key=str(key))
        assert len(made) == 18
        again = play(plane, proxy.url, tmp_path, "present.yml", run="2", public_key=str(key))
        assert again == ["ec2_ami"]
        play(plane, proxy.url, tmp_path, "absent.yml")
        assert standing(ec2) == before
    lost = {one.action for one, fate in proxy.passages if fate is Fate.DROP_REPLY}
    assert {"RunInstances", "CreateNatGateway", "CreateVolume", "CreateLaunchTemplate"} <= lost


def public_key() -> str:
    """A key of nobody's, in the form that ssh-keygen writes."""
    made = Ed25519PrivateKey.generate().public_key()
    return made.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
