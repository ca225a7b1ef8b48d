"""Build the image of deploy/Containerfile with buildah, and use it as its users do.

No registry is asked: the base is a bare Debian made here, and packages are wheels that the host's
pip has fetched. The server runs with the image's own user, environment and command, but on
loopback and a free port: containers share this machine's network here.

Needs root, buildah and debootstrap, and `make dist` before it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CONTAINERFILE = ROOT / "deploy" / "Containerfile"
BASE, IMAGE, CONTAINER = "localhost/bare-debian", "localhost/sametoken", "sametoken-tried"
USER = 10001
ENDING_SECONDS_MAX = 10.0
PATIENCE_SECONDS = 600.0
_KEY = ("imagetest", "a-secret-of-the-image")
_AMI = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
_LAUNCH = ("run-instances", "--image-id", _AMI, "--client-token", "of-the-image")


class Buildah:
    """Buildah with its store in a folder of ours, which goes with us."""

    def __init__(self, folder: Path) -> None:
        self._words = [
            "buildah", "--storage-driver", "vfs",
            "--root", str(folder / "root"), "--runroot", str(folder / "run"),
        ]  # fmt: skip

    def __call__(self, *words: str | Path) -> str:
        done = subprocess.run(
            self.command(*words), cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
            timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        return done.stdout.strip()

    def command(self, *words: str | Path) -> list[str]:
        return [*self._words, *map(str, words)]


def main() -> None:
    missing = [name for name in ("buildah", "debootstrap") if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        raise SystemExit(f"needs root, buildah and debootstrap; missing: {missing or 'root'}")
    if not list((ROOT / "dist").glob("*.whl")):
        raise SystemExit("dist/ has no wheel; `make dist` builds it")
    with tempfile.TemporaryDirectory(prefix="sametoken-image-") as name:
        folder = Path(name)
        buildah = Buildah(folder)
        _make_base(buildah, folder)
        _build(buildah, folder)
        _use(buildah, folder)


def _make_base(buildah: Buildah, folder: Path) -> None:
    bare = folder / "bare"
    subprocess.run(
        ["debootstrap", "--variant=minbase", "--include=python3,python3-venv", "bookworm", bare],
        check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    made = buildah("from", "scratch")
    buildah("add", "--quiet", made, bare, "/")
    buildah("commit", "--quiet", made, BASE)
    buildah("rm", made)
    shutil.rmtree(bare)


def _build(buildah: Buildah, folder: Path) -> None:
    wheels = folder / "wheels"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"]
    subprocess.run(
        [*pip, "--require-hashes", "-r", ROOT / "requirements" / "server.txt", "-d", wheels,
         "--only-binary=:all:", "--python-version", "3.11"],
        check=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    buildah(
        "build", "--quiet", "--format", "docker", "--isolation", "chroot", "--pull-never",
        "--build-arg", f"BASE={BASE}", "--build-arg", "PIP_NO_INDEX=1",
        "--build-arg", "PIP_FIND_LINKS=/wheels", "--volume", f"{wheels}:/wheels:ro",
        "--file", CONTAINERFILE, "--tag", IMAGE, ".",
    )  # fmt: skip
    buildah("from", "--pull-never", "--name", CONTAINER, IMAGE)


def _use(buildah: Buildah, folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    os.chown(data, USER, USER)
    folder.chmod(0o755)
    told = _config(buildah)
    assert told["User"] == str(USER), told
    with _running(buildah, told, data) as url:
        first, again = _aws(url, *_LAUNCH), _aws(url, *_LAUNCH)
        launched = [one["Instances"][0]["InstanceId"] for one in (first, again)]
        assert launched[0] == launched[1], f"one token made two instances: {launched}"
    with _running(buildah, told, data) as url:
        [kept] = _aws(url, "describe-instances")["Reservations"]
        assert kept["Instances"][0]["InstanceId"] == launched[0], "a restart lost what was there"
    own = sum(_sizes(Path(buildah("mount", CONTAINER))))
    print(f"the image holds; {own / 1e6:.0f} MB are ours, above its base")


def _config(buildah: Buildah) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(buildah("inspect", CONTAINER))["Docker"]["config"]
    return config


@contextmanager
def _running(buildah: Buildah, told: dict[str, Any], data: Path) -> Iterator[str]:
    """Run the image's command until the end of the block; then end it as `docker stop` does."""
    port = _free_port()
    own = {"SAMETOKEN_HOST": "127.0.0.1", "SAMETOKEN_PORT": str(port),
           "SAMETOKEN_ACCESS_KEY": ":".join(_KEY)}  # fmt: skip
    given = [word for name, value in own.items() for word in ("--env", f"{name}={value}")]
    run = ["run", "--isolation", "chroot", *given, "--volume", f"{data}:/data"]
    process = subprocess.Popen(
        buildah.command(*run, CONTAINER, "--", *told["Entrypoint"], *told["Cmd"])
    )
    try:
        check = told["Healthcheck"]["Test"]
        assert check[0] == "CMD", check
        _await_ready(port, process)
        buildah(*run, CONTAINER, "--", *check[1:])
        [server] = _servers(process.pid)
        assert _users(server) == {USER}, f"it runs as {_users(server)}"
        yield f"http://127.0.0.1:{port}"
        began = time.monotonic()
        os.kill(server, signal.SIGTERM)
        assert process.wait(ENDING_SECONDS_MAX) == 0, "it ends in order"
        print(f"stopped in {time.monotonic() - began:.1f} s")
    finally:
        for left in _servers(process.pid):
            with suppress(ProcessLookupError):
                os.kill(left, signal.SIGKILL)
        process.kill()
        process.wait()


def _await_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.1)


def _servers(above: int) -> list[int]:
    """The process of the server: the first that is Python's, below `above`."""
    # A thread's own: a program of Go starts its children from any of them.
    threads = Path(f"/proc/{above}/task").glob("*/children")
    children = [int(one) for listed in threads for one in listed.read_text().split()]
    found = []
    for child in children:
        words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        found += [child] if b"serve" in words and b"buildah" not in words[0] else _servers(child)
    return found


def _users(process: int) -> set[int]:
    [line] = [
        one for one in Path(f"/proc/{process}/status").read_text().splitlines()
        if one.startswith("Uid:")
    ]  # fmt: skip
    return {int(one) for one in line.split()[1:]}


def _aws(url: str, *words: str) -> Any:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("AWS_")
    } | {
        "AWS_ACCESS_KEY_ID": _KEY[0], "AWS_SECRET_ACCESS_KEY": _KEY[1],
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "",
    }  # fmt: skip
    aws = Path(sys.executable).parent / "aws"
    done = subprocess.run(
        [aws, "--endpoint-url", url, "--output", "json", "ec2", *words],
        env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    return json.loads(done.stdout)


def _sizes(root: Path) -> Iterator[int]:
    for path in (root / "usr" / "local" / "sametoken").rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path.stat().st_size


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
