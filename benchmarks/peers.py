"""moto and ministack as subjects: the same requests to the most used peers, on the same machine.

Both keep everything in memory, check no signature and ignore client tokens, so they do less. Each
is emptied before a round in which it launches, unless it is to be full.
"""

from __future__ import annotations

import itertools
import re
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

import names
from legs import Leg
from load import exchange
from measure import Run, Unmeasured
from servers import Server, ministack, moto
from signer import Signer

# moto takes any image; its own list does not have the alias of ours.
_LAUNCH = {"ImageId": "ami-12c6146b", "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
_OPENED: Mapping[str, Callable[[Path], AbstractContextManager[Server]]] = {
    names.MOTO: moto,
    names.MINISTACK: ministack,
}
_RESETS = {names.MOTO: "/moto-api/reset", names.MINISTACK: "/_ministack/reset"}
# Launches that are signed for each second of a round: more than each accepts.
_SIGNED_A_SECOND = {names.MOTO: 1000, names.MINISTACK: 6000}
# Instances that one request asks for while a peer is filled.
_AT_ONCE = 1000
_ID = re.compile(r"<instanceId>([^<]+)</instanceId>")

Subjects = dict[str, Callable[[], Run]]


class Peer:
    """A running peer that was filled with instances, and a signer for it."""

    def __init__(self, name: str, server: Server, stored: int) -> None:
        self._name = name
        self._server = server
        self._signer = Signer(server.address, "AKIAIOSFODNN7EXAMPLE", "no-signature-is-checked")
        self._ids: list[str] = []
        # Launch each in a reservation of its own: moto counts these for a page. Many are launched
        # in larger ones.
        at_once = 1 if stored <= names.FEW else _AT_ONCE
        for _ in range(0, stored, at_once):
            fields = {**_LAUNCH, "MinCount": at_once, "MaxCount": at_once}
            answer = exchange(server.address, self._signer.request("RunInstances", fields))
            self._ids += _ID.findall(answer)

    def launch(self, connections: int, seconds: float) -> Run:
        signed = [
            self._signer.request("RunInstances", {**_LAUNCH, "ClientToken": uuid.uuid4().hex})
            for _ in range(int(_SIGNED_A_SECOND[self._name] * seconds))
        ]
        return self._server.answer(signed, connections=connections, seconds=seconds)

    def launch_emptied(self, connections: int, seconds: float) -> Run:
        host = f"{self._server.address[0]}:{self._server.address[1]}"
        head = f"POST {_RESETS[self._name]} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"
        exchange(self._server.address, head.encode())
        return self.launch(connections, seconds)

    def by_id(self, seconds: float) -> Run:
        return self._describe([{"InstanceId.1": one} for one in self._ids[:500]], seconds)

    def page(self, seconds: float) -> Run:
        return self._describe([{"MaxResults": 100}], seconds)

    def _describe(self, asked: list[dict[str, object]], seconds: float) -> Run:
        signed = [self._signer.request("DescribeInstances", fields) for fields in asked]
        return self._server.answer(itertools.cycle(signed), connections=8, seconds=seconds)


def subjects(stack: ExitStack, leg: Leg) -> Subjects:
    """Every subject of both peers; each raises Unmeasured where the peer is not installed."""
    seconds = leg.scale.seconds
    found: Subjects = {}
    for name in _OPENED:
        empty = _started(stack, leg, name, 0)
        for connections in (8, 64):
            asked = names.at(names.ACCEPTED, connections, by=name)
            found[asked] = _of(
                empty, partial(Peer.launch_emptied, connections=connections, seconds=seconds)
            )
        few: Peer | Unmeasured = Unmeasured("a quick run fills no peer")
        if leg.scale.fills_peers:
            few = _started(stack, leg, name, names.FEW)
        for told, ask in ((names.BY_ID, Peer.by_id), (names.PAGE, Peer.page)):
            asked = names.at(told, 8, size=names.FEW, by=name)
            found[asked] = _of(few, partial(ask, seconds=seconds))
    if leg.scale.moto_stored:
        asked = names.at(names.ACCEPTED, 8, size=leg.scale.moto_stored, by=names.MOTO)
        full = _started(stack, leg, names.MOTO, leg.scale.moto_stored)
        found[asked] = _of(full, partial(Peer.launch, connections=8, seconds=seconds))
    return found


def _started(stack: ExitStack, leg: Leg, name: str, stored: int) -> Peer | Unmeasured:
    log = leg.folder / f"{name}-{stored}.log"
    try:
        return Peer(name, stack.enter_context(_OPENED[name](log)), stored)
    except Unmeasured as reason:
        return reason


def _of(peer: Peer | Unmeasured, ask: Callable[[Peer], Run]) -> Callable[[], Run]:
    def run() -> Run:
        if isinstance(peer, Unmeasured):
            raise peer
        return ask(peer)

    return run
