"""`sametoken demo`: show the promise through the real AWS CLI, with counts from the endpoint.

The demo starts a server of its own on a scratch database, loses replies, kills the server, and
prints each command with its answer; then two callers have a bad day (`bad_day`). Every claim is
checked; the exit status is 0 only if all held.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from sametoken.cli import bad_day
from sametoken.cli.database import named_database
from sametoken.errors import Misconfigured
from sametoken.operate import clients
from sametoken.operate.opening import reading
from sametoken.settings import FIRST_ACCOUNT
from sametoken.testing import LossyProxy, drop_first_replies, lossy_proxy, pass_all
from sametoken.world import RealWorld

IMAGE = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
TOKEN, CRASH_TOKEN = "demo-launch-1", "demo-launch-2"
# Leaves time to kill the server in mid-launch, after its answer and before `running`.
BOOT_SECONDS = 2.0
COMMAND_SECONDS_MAX = 60


class Demo:
    """A server process, the AWS CLI pointed at it, and the claims made so far."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "demo.db"
        self.console = Console(highlight=False)
        self.failed = 0
        self.server: subprocess.Popen[str] | None = None
        self.environment: dict[str, str] = {}
        self.aws_command = _find_aws()

    def start(self, port: int = 0) -> None:
        """Start the server and wait until it says that it serves."""
        self.server = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "sametoken", "serve", "--port", str(port),
             "--boot-seconds", str(BOOT_SECONDS), "--database", f"sqlite:///{self.database}"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self.server.stdout is not None, "its output is a pipe"
        if not self.server.stdout.readline().startswith("sametoken serves"):
            raise Misconfigured("the demo's server did not start")
        database = named_database(f"sqlite:///{self.database}")
        with reading(database, RealWorld()) as here:
            self.environment = clients.environment(here, FIRST_ACCOUNT, "us-east-1")

    @property
    def url(self) -> str:
        return self.environment["AWS_ENDPOINT_URL_EC2"]

    def kill(self) -> None:
        """Kill the server with -9, which gives it no chance to flush or to say goodbye."""
        assert self.server is not None, "start() comes first"
        self.server.send_signal(signal.SIGKILL)
        self.server.wait()
        self.note(f"kill -9 {self.server.pid}")

    def stop(self) -> None:
        if self.server is not None and self.server.poll() is None:
            self.server.terminate()
            self.server.wait(timeout=COMMAND_SECONDS_MAX)

    def aws(self, *words: str, url: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `aws ec2 …` as a user would, and show it."""
        shown = shlex.join(("aws", "ec2", *words))
        self.console.print(f"[bold]$ {shown}[/bold]", soft_wrap=True)
        environment = {
            **os.environ, **self.environment, "AWS_ENDPOINT_URL_EC2": url or self.url,
            "AWS_PAGER": "", "AWS_MAX_ATTEMPTS": "5", "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }  # fmt: skip
        done = subprocess.run(  # noqa: S603 - the words are this module's
            [*self.aws_command, "ec2", *words], env=environment, text=True, check=False,
            capture_output=True, timeout=COMMAND_SECONDS_MAX,
        )  # fmt: skip
        if done.returncode:
            self.console.print(f"  {done.stderr.strip()}", soft_wrap=True)
        return done

    def ask(self, *words: str, url: str | None = None) -> Any:
        """Run `aws ec2 …` and return the JSON that it prints, {} if it failed."""
        done = self.aws(*words, "--output", "json", url=url)
        return json.loads(done.stdout) if done.returncode == 0 and done.stdout else {}

    def launch(self, token: str, *more: str, url: str | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = self.ask(
            "run-instances", "--image-id", IMAGE, "--client-token", token, *more, url=url
        )
        for instance in answer.get("Instances", ()):
            self.note(
                f"{answer['ReservationId']}: {instance['InstanceId']} "
                f"{instance['State']['Name']}, ClientToken {instance['ClientToken']}"
            )
        return answer

    def live(self, token: str, region: str = "us-east-1") -> dict[str, int]:
        """Count a token's instances, volumes and interfaces, as the endpoint describes them."""
        found = self.ask(
            "describe-instances", "--region", region, "--filters",
            f"Name=client-token,Values={token}",
        )  # fmt: skip
        instances = [one for each in found["Reservations"] for one in each["Instances"]]
        ids = ",".join(one["InstanceId"] for one in instances) or "none"
        which = ("--region", region, "--filters", f"Name=attachment.instance-id,Values={ids}")
        counts = {
            "instances": len(instances),
            "volumes": len(self.ask("describe-volumes", *which)["Volumes"]),
            "interfaces": len(self.ask("describe-network-interfaces", *which)["NetworkInterfaces"]),
        }
        self.note(", ".join(f"{count} {noun}" for noun, count in counts.items()))
        return counts

    def note(self, text: str) -> None:
        self.console.print(f"  [dim]{text}[/dim]", soft_wrap=True)

    def claim(self, sentence: str, held: bool) -> None:
        mark = "[green]held  [/green]" if held else "[red]BROKEN[/red]"
        self.failed += not held
        self.console.print(f"  {mark} {sentence}", soft_wrap=True)

    def part(self, title: str) -> None:
        self.console.rule(title, align="left")


def _find_aws() -> list[str]:
    """Return the command of the AWS CLI beside this Python, else of the one on the PATH."""
    from shutil import which

    beside = which("aws", path=str(Path(sys.executable).parent))
    found = beside or which("aws")
    if found is None:
        raise Misconfigured("the demo needs the AWS CLI: pip install awscli")
    return [found]


@click.command()
def demo() -> None:
    """Show the promise: lost replies, repeats, a killed server, a bad day, and no duplicate."""
    with tempfile.TemporaryDirectory(prefix="sametoken-demo-") as folder:
        showing = Demo(Path(folder))
        try:
            showing.start()
            with lossy_proxy(showing.url) as proxy:
                _show_lost_replies(showing, proxy)
            _show_mismatch_and_regions(showing)
            _show_crash(showing)
            _show_late_retry(showing)
        finally:
            showing.stop()
    showing.part(f"7. A bad day: the faults of the scenario {bad_day.SCENARIO}")
    launch = {"ImageId": IMAGE, "InstanceType": "t3.micro"}
    bad_day.show(showing.console, launch, showing.claim)
    if showing.failed:
        raise click.ClickException(f"{showing.failed} claims did not hold")
    click.echo("every claim held")


_ONE = {"instances": 1, "volumes": 1, "interfaces": 1}


def _show_lost_replies(demo: Demo, proxy: LossyProxy) -> None:
    demo.part("1. The reply is lost twice, and the AWS CLI retries")
    proxy.policy = drop_first_replies("RunInstances", 2)
    first = demo.launch(TOKEN, "--instance-type", "t3.micro", url=proxy.url)
    tries = proxy.count("RunInstances")
    demo.note(f"the proxy saw {tries} RunInstances and dropped the replies of 2")
    demo.claim("the CLI came home with an instance on its third try", tries == 3 and bool(first))
    demo.claim("there is one instance", demo.live(TOKEN)["instances"] == 1)
    proxy.policy = pass_all
    demo.part("2. The same command again")
    again = demo.launch(TOKEN, "--instance-type", "t3.micro")
    demo.claim("same reservation, same instance", _identity(first) == _identity(again))
    demo.aws("wait", "instance-running", "--instance-ids", *_identity(first)[1:])
    demo.claim("still one instance, one volume, one interface", demo.live(TOKEN) == _ONE)


def _show_mismatch_and_regions(demo: Demo) -> None:
    demo.part("3. Another instance type under the same token")
    refused = demo.aws(
        "run-instances", "--image-id", IMAGE, "--client-token", TOKEN, "--instance-type", "m5.large"
    )
    demo.claim("refused as a mismatch", "IdempotentParameterMismatch" in refused.stderr)
    demo.claim("and nothing was launched", demo.live(TOKEN)["instances"] == 1)
    demo.part("4. The same token in another Region")
    here = demo.live(TOKEN)["instances"]
    other = demo.launch(TOKEN, "--instance-type", "t3.micro", "--region", "eu-west-1")
    there = demo.live(TOKEN, "eu-west-1")["instances"]
    demo.claim("another instance there, the same one here", bool(other) and (here, there) == (1, 1))


def _show_crash(demo: Demo) -> None:
    demo.part("5. The server is killed in mid-launch, and started again")
    launched = demo.launch(CRASH_TOKEN, "--instance-type", "t3.micro")
    demo.kill()
    demo.start()
    demo.note("started again")
    again = demo.launch(CRASH_TOKEN, "--instance-type", "t3.micro")
    demo.claim("a retry names the same instance", _identity(launched) == _identity(again))
    demo.aws("wait", "instance-running", "--instance-ids", *_identity(launched)[1:])
    demo.claim("running: one instance, one volume, one interface", demo.live(CRASH_TOKEN) == _ONE)


def _show_late_retry(demo: Demo) -> None:
    demo.part("6. Terminated, and then a late retry arrives")
    ids = [
        one["InstanceId"]
        for each in demo.ask(
            "describe-instances", "--filters", f"Name=client-token,Values={CRASH_TOKEN}"
        )["Reservations"]
        for one in each["Instances"]
    ]
    demo.aws("terminate-instances", "--instance-ids", *ids)
    demo.aws("wait", "instance-terminated", "--instance-ids", *ids)
    late = demo.launch(CRASH_TOKEN, "--instance-type", "t3.micro")
    states = [one["State"]["Name"] for one in late.get("Instances", ())]
    demo.claim("the answer is the terminated instance", states == ["terminated"])
    demo.claim(
        "nothing was launched, nothing is left behind",
        demo.live(CRASH_TOKEN) == {"instances": 1, "volumes": 0, "interfaces": 0},
    )


def _identity(answer: dict[str, Any]) -> list[str]:
    """Return the ids of a launch's reservation and instances."""
    if not answer:
        return []
    return [answer["ReservationId"], *(one["InstanceId"] for one in answer["Instances"])]
