"""Each page of docs/clients does what it shows, over a network that loses replies."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from clients.pages import PAGES, names, run_page
from clients.process import Server, closing_server, environment
from sametoken.ec2.catalog import ACTIONS
from sametoken.operate.clients import environment as exports
from sametoken.operate.opening import reading
from sametoken.settings import database_of
from sametoken.testing import Fate, Passage, lossy_proxy
from sametoken.world import RealWorld
from sdk import REGION, Keys

BIN = Path(sys.executable).parent
ROOT = PAGES.parent.parent
# `make clients` installs what PyPI and npm have, here.
PYPI, NPM = ROOT / ".venv" / "clients" / "bin", ROOT / "build" / "clients" / "node_modules"
DEBIAN = Path("/usr/bin")


@dataclass(frozen=True)
class Client:
    """Where a page's client may be, and how it comes there.

    `has` says whether the programs of a folder are it. `repeats` is true of a client that asks
    again, by itself and with the same token, when a reply is lost.
    """

    has: Callable[[Path], bool]
    how: str
    repeats: bool = False
    folders: tuple[Path, ...] = (PYPI, DEBIAN)

    def folder(self) -> Path | None:
        return next((one for one in self.folders if self.has(one)), None)


@cache
def _says(*words: str) -> str | None:
    """The output of a command; None when it fails or there is none."""
    if not Path(words[0]).exists():
        return None
    # Python's own path is for this interpreter, and not for a client's.
    variables = environment()
    del variables["PYTHONPATH"]
    done = subprocess.run(words, capture_output=True, text=True, env=variables)
    return done.stdout if done.returncode == 0 else None


def module(name: str) -> Callable[[Path], bool]:
    """A folder's `python3` can import the module."""
    return lambda folder: _says(str(folder / "python3"), "-c", f"import {name}") is not None


def program(name: str, *words: str, says: str = "") -> Callable[[Path], bool]:
    """A folder has the program, which says that it is the right one."""

    def has(folder: Path) -> bool:
        if not words:
            return (folder / name).exists()
        said = _says(str(folder / name), *words)
        return said is not None and says in said

    return has


def _node(folder: Path) -> bool:
    return (folder / "node").exists() and (NPM / "@aws-sdk" / "client-ec2").exists()


CLIENTS = {
    "aws-cli-1": Client(
        program("aws", "--version", says="aws-cli/1"), "make .venv", True, (BIN,)
    ),
    "aws-cli-2": Client(
        program("aws", "--version", says="aws-cli/2"), "apt install awscli", True,
        (DEBIAN, Path("/usr/local/bin")),
    ),
    "boto3": Client(module("boto3"), "make .venv", True, (BIN,)),
    "boto2": Client(module("boto.vpc"), "make clients, on a Python before 3.12"),
    "javascript": Client(_node, "make clients, with npm and Node", True, (DEBIAN,)),
    "ruby": Client(
        program("ruby", "-e", "require 'aws-sdk'; AWS::EC2"), "apt install ruby-aws-sdk",
        folders=(DEBIAN,),
    ),
    "perl": Client(
        program("perl", "-MNet::Amazon::EC2", "-e", "1"), "apt install libnet-amazon-ec2-perl",
        folders=(DEBIAN,),
    ),
    "ansible": Client(program("ansible-playbook"), "make clients", True, (PYPI,)),
    "packer": Client(
        program("packer", "version", says="Packer"), "apt install packer", True,
        (DEBIAN, Path("/usr/local/bin")),
    ),
    "fog": Client(
        program("ruby", "-e", "require 'fog/aws'"), "apt install ruby-fog-aws", folders=(DEBIAN,)
    ),
    "libcloud": Client(module("libcloud"), "make clients"),
    "cloud-custodian": Client(program("custodian"), "make clients", True, (PYPI,)),
}  # fmt: skip
# Pages whose clients other tests run, or none does.
NOT_RUN = {"go", "opentofu", "terraform"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve a database of its own, made as a user's first start makes it."""
    folder = tmp_path_factory.mktemp("pages")
    server = Server(folder, Keys("", "", ""))
    with closing_server(server):
        server.start()
        with reading(database_of(server.database), RealWorld()) as here:
            made = exports(here, "default", REGION)
        server.keys = Keys("", made["AWS_ACCESS_KEY_ID"], made["AWS_SECRET_ACCESS_KEY"])
        yield server
        server.stop()


def losing_first_replies(passage: Passage) -> Fate:
    """Lose the reply to the first try of each change with a token."""
    action = ACTIONS.get(passage.action)
    tokened = passage.client_token is not None and action is not None and action.mutates
    return Fate.DROP_REPLY if tokened and passage.attempt == 1 else Fate.PASS


def _pass(passage: Passage) -> Fate:
    return Fate.PASS


@pytest.mark.parametrize("name", sorted(CLIENTS))
def test_the_lines_of_a_page_work_and_a_token_makes_one_instance(
    name: str, served: Server, tmp_path: Path
) -> None:
    client = CLIENTS[name]
    folder = client.folder()
    if folder is None:
        pytest.skip(f"the client of docs/clients/{name}.md is not installed: {client.how}")
    if name == "javascript":
        (tmp_path / "node_modules").symlink_to(NPM)
    path = os.pathsep.join(map(str, (folder, BIN, os.environ["PATH"])))
    variables = environment(
        PATH=path, SAMETOKEN_DATABASE=served.database_url, ANSIBLE_HOME=str(tmp_path),
        HOME=str(tmp_path),
    )  # fmt: skip
    variables.pop("PYTHONPATH")
    policy = losing_first_replies if client.repeats else _pass
    with lossy_proxy(served.url, policy) as proxy:
        run_page(name, tmp_path, variables, url=proxy.url)
    launches = {one.client_token for one, _ in proxy.passages if one.action == "RunInstances"}
    lost = [one for one, fate in proxy.passages if fate is Fate.DROP_REPLY]
    assert bool(lost) == client.repeats
    for token in launches - {None}:
        found = served.client().describe_instances(
            Filters=[{"Name": "client-token", "Values": [token]}]
        )
        assert [len(one["Instances"]) for one in found["Reservations"]] == [1]


def test_every_page_is_run_or_said_to_be_run_elsewhere() -> None:
    assert set(names()) == CLIENTS.keys() | NOT_RUN
    index = (PAGES / "README.md").read_text()
    for name in names():
        [row] = [line for line in index.splitlines() if f"({name}.md)" in line]
        assert row.endswith("| run |") == (name in CLIENTS), row
