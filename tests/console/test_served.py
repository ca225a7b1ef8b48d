"""The console of servers in processes of their own: its commands, and a session over all edges."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result

from clients.process import Server, prepare
from console.visitor import Visitor
from sametoken.cli import main

PASSWORD = "four words of no sense"
# Far more than there are edges, each over a connection of its own.
OFTEN = 12


def command(folder: Path, *words: str, input: str | None = None) -> Result:
    database = f"sqlite:///{folder}/served.db"
    return CliRunner().invoke(main, ["console", *words, "--database", database], input=input)


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[str]:
    server = Server(folder, prepare(folder / "served.db"), options=options)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


def statuses(visitor: Visitor, path: str = "/console") -> Sequence[int]:
    return sorted({visitor.get(path).status for _ in range(OFTEN)})


@pytest.mark.skipif(sys.platform != "linux", reason="edges of their own need Linux")
def test_a_session_is_one_of_all_edges_until_it_is_ended_at_any(tmp_path: Path) -> None:
    with serving(tmp_path, "--processes", "2") as url:
        visitor = Visitor(url)
        assert visitor.post("/console/sign-in", {"word": PASSWORD}).status == 403
        refused = command(tmp_path, "password", input="short\n")
        assert (refused.exit_code, "use 12 to 256" in refused.output) == (1, True)
        link = command(tmp_path, "link")
        assert (link.exit_code, "--dev" in link.output) == (1, True)
        done = command(tmp_path, "password", input=f"{PASSWORD}\n")
        assert (done.exit_code, done.output) == (
            0,
            "set; whoever was signed in has to sign in again\n",
        )
        visitor.enter(PASSWORD)
        assert statuses(visitor) == [200]
        assert statuses(visitor, "/console/accounts") == [200]
        kept = dict(visitor.cookies)
        visitor.submit(visitor.get("/console"), "/console/sign-out")
        visitor.cookies = kept
        assert statuses(visitor) == [303]
        visitor.cookies.clear()
        visitor.enter(PASSWORD)
        assert command(tmp_path, "password", "--unset").output == "nobody may sign in any more\n"
        assert statuses(visitor) == [303]
        assert command(tmp_path, "password", "--unset").output == "there was no password\n"


@pytest.mark.skipif(sys.platform != "linux", reason="edges of their own need Linux")
def test_a_sample_tells_of_the_requests_of_all_edges(tmp_path: Path) -> None:
    with serving(tmp_path, "--processes", "2") as url:
        command(tmp_path, "password", input=f"{PASSWORD}\n")
        visitor = Visitor(url)
        for _ in range(OFTEN):
            assert visitor.post("/", {"Action": "DescribeVpcs"}).status == 400
        visitor.enter(PASSWORD)
        assert [first_sample(visitor)["heard"] for _ in range(OFTEN)] == [OFTEN] * OFTEN


def first_sample(visitor: Visitor) -> dict[str, Any]:
    place = urlsplit(visitor.url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    [(name, value)] = visitor.cookies.items()
    connection.request("GET", "/console/events", headers={"cookie": f"{name}={value}"})
    with closing(connection), closing(connection.getresponse()) as reply:
        samples: list[dict[str, Any]] = []
        while not samples:
            line = reply.readline().decode()
            if line.startswith("data: "):
                samples = json.loads(line.removeprefix("data: "))
        return samples[0]


def test_a_developers_server_prints_links(tmp_path: Path) -> None:
    with serving(tmp_path, "--dev") as url:
        link = command(tmp_path, "link").output.strip()
        assert link.startswith(f"{url}/console/sign-in?link=")
        visitor = Visitor(url)
        shown = visitor.get(link.removeprefix(url))
        assert visitor.submit(shown, "/console/sign-in").leads_to == "/console"
        assert visitor.get("/console/faults").status == 200
    refused = command(tmp_path, "link")
    assert (refused.exit_code, "no server of" in refused.output) == (1, True)
