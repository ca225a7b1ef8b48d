"""The cost of a page of the console beside Describes of the same rows: CPU of the server, in turns.

    .venv/bin/python benchmarks/console_pages.py            # a minute
    .venv/bin/python benchmarks/console_pages.py --watched  # and what watching costs the node

A story tells of an instance, its volume, its interface and its token: EC2 needs a Describe of each
kind for that. A list of launches shows the instances of a Describe.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from processes import cpu_seconds_of
from signer import Signer

from sametoken.testing import Account, Server, beside

LISTED = 50
_IMAGE = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"


@dataclass(frozen=True, slots=True)
class Subject:
    """Requests that together show the same rows as others do."""

    name: str
    requests: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Compared:
    """A page's milliseconds of CPU, and those of the Describes of the same rows, a round each."""

    page: str
    page_ms: Sequence[float]
    describe_ms: Sequence[float]

    @property
    def ratio(self) -> float:
        return statistics.median(
            page / describe for page, describe in zip(self.page_ms, self.describe_ms, strict=True)
        )


class Link:
    """A connection that sends whole requests, one after another."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        assert place.hostname is not None and place.port is not None, url
        self.address = (place.hostname, place.port)
        self._connection = http.client.HTTPConnection(*self.address, timeout=60)
        self._connection.connect()

    def close(self) -> None:
        self._connection.close()

    def ask(self, request: bytes) -> bytes:
        """Send a request, and return the body of its answer, which must be a 200."""
        assert self._connection.sock is not None, "it is connected"
        self._connection.sock.sendall(request)
        reply = http.client.HTTPResponse(self._connection.sock)
        reply.begin()
        body = reply.read()
        assert reply.status == 200, (reply.status, body[:200])
        return body


def measure(*, rounds: int, repeats: int, launches: int = LISTED) -> list[Compared]:
    """Compare each page with its Describes; `repeats` of both in each round."""
    with beside() as server, closing(Link(server.url)) as link:
        account = server.account()
        ids = launched(account, launches)
        cookie = signed_in(server)
        pairs = _pairs(link, account, cookie, ids)
        for page, describes in pairs:
            _cpu_ms(server.pid, link, page, repeats // 10 + 1)
            _cpu_ms(server.pid, link, describes, repeats // 10 + 1)
        found: dict[str, tuple[list[float], list[float]]] = {
            page.name: ([], []) for page, _ in pairs
        }
        for number in range(rounds):
            for page, describes in pairs:
                both = [(page, 0), (describes, 1)]
                for subject, place in both if number % 2 else reversed(both):
                    cost = _cpu_ms(server.pid, link, subject, repeats)
                    found[page.name][place].append(cost)
        return [Compared(name, *both) for name, both in found.items()]


def watched(*, seconds: float) -> tuple[float, float]:
    """Return the CPU share of an idle node that nobody watches, and of one that a page watches."""
    with beside() as server:
        launched(server.account(), LISTED)
        cookie = signed_in(server)
        shares = []
        for watches in (False, True):
            place = urlsplit(server.url)
            connection = http.client.HTTPConnection(place.hostname or "", place.port)
            if watches:
                connection.request("GET", "/console/events", headers={"cookie": cookie})
                connection.getresponse()
            before, since = cpu_seconds_of(server.pid), time.perf_counter()
            time.sleep(seconds)
            used = cpu_seconds_of(server.pid) - before
            shares.append(used / (time.perf_counter() - since))
            connection.close()
        return shares[0], shares[1]


def launched(account: Account, count: int) -> list[str]:
    """Launch so many instances, each under a token of its own, and wait until all run."""
    ec2 = account.client()
    ids = [
        one["InstanceId"]
        for number in range(count)
        for one in ec2.run_instances(
            ImageId=_IMAGE,
            InstanceType="t3.micro", MinCount=1, MaxCount=1, ClientToken=f"order-{number}",
        )["Instances"]
    ]  # fmt: skip
    ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig={"Delay": 1})
    return ids


def signed_in(server: Server) -> str:
    """Sign in to a server's console; returns the cookie."""
    url = urlsplit(server.control.ask("POST", "/console")["link"])
    connection = http.client.HTTPConnection(url.hostname or "", url.port)
    body = urlencode({"word": url.query.partition("=")[2]})
    connection.request("POST", url.path, body, {"origin": server.url})
    reply = connection.getresponse()
    reply.read()
    cookie = reply.headers["set-cookie"].partition(";")[0]
    connection.close()
    return cookie


def _pairs(
    link: Link, account: Account, cookie: str, ids: Sequence[str]
) -> list[tuple[Subject, Subject]]:
    signer = Signer(link.address, account.access_key_id, account.secret_access_key)

    def page(name: str, path: str) -> Subject:
        host = f"{link.address[0]}:{link.address[1]}"
        head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n"
        return Subject(name, [head.encode()])

    def describes(*asked: tuple[str, Mapping[str, str]]) -> Subject:
        return Subject("Describe", [signer.request(action, fields) for action, fields in asked])

    one = ids[0]
    attached = {"Filter.1.Name": "attachment.instance-id", "Filter.1.Value.1": one}
    return [
        (
            page("the story of a launch", f"/console/story?of={one}"),
            describes(
                ("DescribeInstances", {"InstanceId.1": one}),
                ("DescribeVolumes", attached),
                ("DescribeNetworkInterfaces", attached),
            ),
        ),
        (page(f"{len(ids)} launches", "/console/launches"), describes(("DescribeInstances", {}))),
        (page("the overview", "/console"), describes(("DescribeInstances", {}))),
    ]


def _cpu_ms(pid: int, link: Link, subject: Subject, repeats: int) -> float:
    """Return the server's milliseconds of CPU for each time that the rows are shown."""
    before = cpu_seconds_of(pid)
    for _ in range(repeats):
        for request in subject.requests:
            link.ask(request)
    return (cpu_seconds_of(pid) - before) * 1000 / repeats


def table(compared: Sequence[Compared]) -> str:
    lines = ["| page | ms of CPU | Describes of the same rows | ratio |", "|---|---|---|---|"]
    lines += [
        f"| {one.page} | {_spread(one.page_ms)} | {_spread(one.describe_ms)} | {one.ratio:.2f} |"
        for one in compared
    ]
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def main(say: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser(description="CPU of pages beside Describes")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--watched", action="store_true")
    asked = parser.parse_args()
    say(table(measure(rounds=asked.rounds, repeats=asked.repeats)))
    if asked.watched:
        alone, looked_at = watched(seconds=20)
        say(json.dumps({"idle": round(alone, 4), "idle and watched": round(looked_at, 4)}))


if __name__ == "__main__":
    main()
