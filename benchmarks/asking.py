"""Requests of one account of a fixture, and what its instances are called.

Ids and tokens are asked of the server, as a client would. Bodies are read as text: nothing here
tests an answer beyond its count of instances.
"""

from __future__ import annotations

import itertools
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from fixtures import TAG, Fixture, Key
from load import exchange
from measure import Stopwatch, Unmeasured
from servers import Server
from signer import Signer
from stores import LAUNCH, REGION

PAGE = 100
# Ids and tokens that are asked for in turn.
DESCRIBED = 500
# A describe that takes longer alone would take minutes of a run: it has failed.
ANSWER_SECONDS_MAX = 3.0
_ID = re.compile(r"<instanceId>([^<]+)</instanceId>")
_TOKEN = re.compile(r"<clientToken>([^<]+)</clientToken>")
_NEXT = re.compile(r"<nextToken>([^<]+)</nextToken>")


def signer_of(server: Server, key: Key, *, region: str = REGION) -> Signer:
    return Signer(server.address, key.key, key.secret, region)


def launches(signer: Signer, count: int) -> list[bytes]:
    """Sign RunInstances of one instance, each under a token of its own."""
    return [
        signer.request("RunInstances", {**LAUNCH, "ClientToken": uuid.uuid4().hex})
        for _ in range(count)
    ]


@dataclass(frozen=True, slots=True)
class Reader:
    """The reading account of a served fixture: describes of its instances, signed."""

    signer: Signer
    fixture: Fixture

    def who(self) -> list[bytes]:
        return [self.signer.request("GetCallerIdentity", service="sts")]

    def page(self) -> list[bytes]:
        return [self._describe({"MaxResults": PAGE})]

    def some(self) -> tuple[list[bytes], list[bytes]]:
        """Describes of one id each, and of one client token each, in turn."""
        answer = exchange(self.signer.address, self._describe({"MaxResults": DESCRIBED}))
        by_id = [self._describe({"InstanceId.1": one}) for one in _ID.findall(answer)]
        tokens = dict.fromkeys(_TOKEN.findall(answer))
        return by_id, [self._filtered("client-token", one) for one in tokens]

    def pages(self, most: int) -> tuple[list[bytes], list[list[str]]]:
        """Describes of the first pages, and the ids on each."""
        asked, shown = list[bytes](), list[list[str]]()
        fields: dict[str, str | int] = {"MaxResults": PAGE}
        while len(asked) < most:
            asked.append(self._describe(fields))
            answer = exchange(self.signer.address, asked[-1])
            shown.append(_ID.findall(answer))
            more = _NEXT.search(answer)
            if more is None:
                break
            fields["NextToken"] = more[1]
        return asked, shown

    def tagging(self, ids: list[str]) -> bytes:
        """Change a tag of instances: no copy of what was shown of them stays right."""
        named = {f"ResourceId.{at}": id for at, id in enumerate(ids, start=1)}
        tag = {"Tag.1.Key": "round", "Tag.1.Value": uuid.uuid4().hex}
        return self.signer.request("CreateTags", {**named, **tag})

    def matching(self, by: str) -> bytes:
        """A describe that fits the matched instances by that trait, checked once.

        Raises Unmeasured when it is not answered soon, or not with them.
        """
        vpc, subnet, group = self.fixture.matched
        name, value = {
            "tag": (f"tag:{TAG[0]}", TAG[1]),
            "state": ("instance-state-name", "stopped"),
            "VPC": ("vpc-id", vpc),
            "subnet": ("subnet-id", subnet),
            "group": ("instance.group-id", group),
        }[by]
        request = self._filtered(name, value)
        watch = Stopwatch()
        count = len(_ID.findall(exchange(self.signer.address, request)))
        if count != PAGE:
            raise Unmeasured(f"{count} instances fit the filter, not {PAGE}")
        if watch.seconds > ANSWER_SECONDS_MAX:
            raise Unmeasured(f"an answer takes {watch.seconds:.1f} s")
        return request

    def _filtered(self, name: str, value: str) -> bytes:
        return self._describe({"Filter.1.Name": name, "Filter.1.Value.1": value})

    def _describe(self, fields: dict[str, str | int]) -> bytes:
        return self.signer.request("DescribeInstances", fields)


class Launchers:
    """The launching accounts of a served fixture, in turn: one alone would run out of addresses."""

    def __init__(self, server: Server, fixture: Fixture) -> None:
        signers = [signer_of(server, key) for key in fixture.launches]
        self._turns: Iterator[Signer] = itertools.cycle(signers)

    def sign(self, count: int) -> list[bytes]:
        return launches(next(self._turns), count)
