"""The files of deploy/ say what is so, and their commands do what the files are for.

`make dist` and `make image` do the rest in fresh environments: what they build takes minutes.
"""

from __future__ import annotations

import base64
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from plane import new_database
from sdk import Keys, client

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent
ACTION = DEPLOY / "github-action" / "action.yml"
KEYS = Keys("", "deploytest", "a-secret-of-this-test")
# Longer than any server here takes to start or end; only a hang reaches it.
HANG_SECONDS = 60.0
_STARTED = re.compile(r"sametoken serves EC2 at (http://127\.0\.0\.1:\d+) ")


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """The environment without a user's own settings, and with `more`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SAMETOKEN_", "AWS_", "GITHUB_", "RUNNER_"))
    }
    return {**kept, **more}


@contextmanager
def served(words: list[str], more: Mapping[str, str]) -> Iterator[str]:
    """Run a server's command on a free port of loopback, and end it as a service manager does."""
    own = {"SAMETOKEN_HOST": "127.0.0.1", "SAMETOKEN_PORT": "0", "SAMETOKEN_PROCESSES": "0",
           "SAMETOKEN_ACCESS_KEY": f"{KEYS.access_key_id}:{KEYS.secret}"}  # fmt: skip
    process = subprocess.Popen(
        words, env=environment({**more, **own}), stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout is not None, "its output is a pipe"
        started = _STARTED.match(process.stdout.readline())
        assert started is not None, "it serves"
        yield started[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_SECONDS) == 0
    finally:
        process.kill()
        process.communicate()


def launched(url: str) -> str:
    """Launch an instance with a token that is always the same, and return its id."""
    made = client(url, KEYS).run_instances(
        ImageId="resolve:ssm:/aws/service/ami-amazon-linux-latest/"
        "al2023-ami-kernel-default-x86_64",
        MinCount=1, MaxCount=1, ClientToken="of-the-deployment",
    )  # fmt: skip
    return str(made["Instances"][0]["InstanceId"])


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Containerfile, each with its words in one line."""
    text = (DEPLOY / "Containerfile").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.split("\n"))]


def image_variables() -> dict[str, str]:
    words = [word for name, rest in instructions() if name == "ENV" for word in shlex.split(rest)]
    return dict(word.split("=", 1) for word in words)


def unit() -> Mapping[str, list[str]]:
    """The settings of the unit; those that come several times are one list."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "sametoken.service").read_text().splitlines():
        name, is_setting, value = line.partition("=")
        if is_setting and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def unit_variables() -> dict[str, str]:
    return dict(one.split("=", 1) for one in unit()["Environment"])


def composed() -> dict[str, Any]:
    text = (DEPLOY / "compose.yaml").read_text()
    told: dict[str, Any] = yaml.safe_load(text)
    return told


def interpolated(text: str, given: Mapping[str, str]) -> str:
    """Replace `${NAME:?why}` and `${NAME:-default}` as compose does."""
    return re.sub(
        r"\$\{(\w+):([?-])([^}]*)\}",
        lambda match: given[match[1]] if match[2] == "?" else given.get(match[1], match[3]),
        text,
    )


def node_variables() -> dict[str, str]:
    variables: dict[str, str] = composed()["services"]["one"]["environment"]
    return variables


@pytest.mark.parametrize("variables", [image_variables, unit_variables, node_variables])
def test_each_variable_is_an_options(variables: Any, tmp_path: Path) -> None:
    given = {name: value for name, value in variables().items() if name.startswith("SAMETOKEN_")}
    assert given
    key = base64.b64encode(bytes(32)).decode()
    told = {name: interpolated(value, {"POSTGRES_PASSWORD": "secret", "SAMETOKEN_KEY": key})
            for name, value in given.items()}  # fmt: skip
    shown = subprocess.run(
        [BIN / "sametoken", "config", "show", "serve"], env=environment(told), cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert shown.stderr == "", "each variable is somebody's"
    for name in given.keys() - {"SAMETOKEN_KEY"}:
        assert name in shown.stdout


def test_the_image_is_of_what_is_there_runs_as_no_root_and_tells_its_health() -> None:
    told = instructions()
    for name, rest in told:
        if name == "COPY" and not rest.startswith("--from"):
            sources = rest.split()[:-1]
            assert all((ROOT / one).exists() for one in sources if not one.startswith("dist/"))
    last = dict(told)
    assert last["USER"].isdigit() and int(last["USER"]) > 0
    assert f"--uid {last['USER']} " in " ".join(rest for name, rest in told if name == "RUN")
    assert "/ready" in last["HEALTHCHECK"]
    assert last["VOLUME"] == "/data" and last["EXPOSE"] == image_variables()["SAMETOKEN_PORT"]
    assert image_variables()["SAMETOKEN_DATABASE"].startswith("sqlite:////data/")


def test_the_two_nodes_of_the_compose_file_make_one_instance_of_a_token(tmp_path: Path) -> None:
    database = new_database(tmp_path, "postgresql")
    services = composed()["services"]
    assert services["one"]["environment"] == services["two"]["environment"]
    ports = [port for name in ("one", "two") for port in services[name]["ports"]]
    assert all(port.startswith("127.0.0.1:") for port in ports) and len(set(ports)) == 2
    key = base64.b64encode(os.urandom(32)).decode()
    given = {"POSTGRES_PASSWORD": "secret", "SAMETOKEN_KEY": key}
    told = {name: interpolated(value, given) for name, value in node_variables().items()}
    assert told["SAMETOKEN_DATABASE"] == "postgresql://sametoken:secret@database/sametoken"
    told["SAMETOKEN_DATABASE"] = database.url
    serve = [str(BIN / "sametoken"), "serve"]
    with served(serve, told) as one, served(serve, told) as two:
        assert launched(one) == launched(two)


def test_the_service_keeps_what_it_made_and_ends_in_its_time(tmp_path: Path) -> None:
    told = unit()
    [command] = told["ExecStart"]
    words = shlex.split(command.replace("/usr/local/sametoken/bin", str(BIN)))
    state = f"/var/lib/{told['StateDirectory'][0]}"
    own = {name: one.replace(state, str(tmp_path)) for name, one in unit_variables().items()}
    assert str(tmp_path) in own["SAMETOKEN_DATABASE"], "it writes to its own folder"
    with served(words, own) as url:
        made = launched(url)
    with served(words, own) as url:
        assert launched(url) == made


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_knows_every_setting_of_the_service(tmp_path: Path) -> None:
    [command] = unit()["ExecStart"]
    text = (DEPLOY / "sametoken.service").read_text()
    (tmp_path / "sametoken.service").write_text(text.replace(command, "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "sametoken.service"],
        capture_output=True, text=True,
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "sametoken.service" in line]
    assert ours == []


def test_the_action_serves_the_steps_after_it(tmp_path: Path) -> None:
    """Its other step, which installs, is run by `make dist`."""
    action = yaml.safe_load(ACTION.read_text())
    [_, serve] = action["runs"]["steps"]
    assert action["runs"]["using"] == "composite"
    assert action["outputs"]["url"]["value"] == "${{ steps.serve.outputs.url }}"
    assert serve["id"] == "serve"
    program = tmp_path / "sametoken" / "bin"
    program.mkdir(parents=True)
    (program / "sametoken").symlink_to(BIN / "sametoken")
    files = {name: tmp_path / name.lower() for name in ("GITHUB_ENV", "GITHUB_OUTPUT")}
    told = {
        name: value.replace("${{ runner.temp }}", str(tmp_path))
        .replace("${{ inputs.options }}", action["inputs"]["options"]["default"])
        for name, value in serve["env"].items()
    }  # fmt: skip
    assert "${{" not in "".join(told.values())
    told |= {name: str(path) for name, path in files.items()} | {"RUNNER_TEMP": str(tmp_path)}
    try:
        subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", serve["run"]], env=environment(told),
            check=True, timeout=HANG_SECONDS,
        )  # fmt: skip
        exported = dict(line.split("=", 1) for line in files["GITHUB_ENV"].read_text().split())
        [url] = re.findall("^url=(.*)$", files["GITHUB_OUTPUT"].read_text(), re.MULTILINE)
        assert url in (exported.get("AWS_ENDPOINT_URL"), exported.get("AWS_ENDPOINT_URL_EC2"))
        keys = Keys("", exported["AWS_ACCESS_KEY_ID"], exported["AWS_SECRET_ACCESS_KEY"])
        assert client(url, keys).describe_instances()["Reservations"] == []
    finally:
        process = int((tmp_path / "sametoken.pid").read_text())
        os.kill(process, signal.SIGTERM)
        _await_end(process)


def _await_end(process: int) -> None:
    """Wait for a process that is nobody's child here."""
    handle = os.pidfd_open(process)
    try:
        ended, _, _ = select.select([handle], [], [], HANG_SECONDS)
        assert ended, "the server ends"
    finally:
        os.close(handle)
