"""The examples for callers, through a bad network and `kill -9`: one of each thing, whatever comes.

A policy of the proxy kills the program at a moment that it sees: it is dead before the endpoint
hears of the request, and the endpoint acts all the same.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from callers.programs import EXAMPLES, Program, program
from sametoken.client import stable_token
from sametoken.testing import Account, Fate, Passage, lossy_proxy

Act = Callable[[], Fate]


class Network:
    """A policy: what happens at the n-th try of a launch, by its token. Other requests pass."""

    def __init__(self) -> None:
        self.acts: dict[tuple[str, int], Act] = {}

    def at(self, token: str, attempt: int, act: Act) -> None:
        self.acts[token, attempt] = act

    def __call__(self, passage: Passage) -> Fate:
        act = self.acts.get((passage.client_token or "", passage.attempt))
        return Fate.PASS if act is None else act()


@dataclass(frozen=True)
class Scene:
    """An account behind a bad network, a folder to write in, and the folder of the programs."""

    account: Account
    network: Network
    environment: Mapping[str, str]
    folder: Path
    programs: Path = EXAMPLES

    def program(self, name: str, *words: str) -> AbstractContextManager[Program]:
        script = self.programs / name
        return program(script, *words, environment=self.environment, log=self.folder / "log")


@pytest.fixture
def scene(account: Account, tmp_path: Path) -> Iterator[Scene]:
    network = Network()
    with lossy_proxy(account.url, network) as proxy:
        environment = {**account.environment(), "AWS_ENDPOINT_URL_EC2": proxy.url}
        yield Scene(account, network, environment, tmp_path)


def meets(fate: Fate) -> Act:
    return lambda: fate


def dies(caller: Program, fate: Fate = Fate.DROP_REPLY) -> Act:
    """Kill the program, then let the request meet its fate: the endpoint acts, nobody hears."""

    def act() -> Fate:
        caller.kill()
        return fate

    return act


def instances(account: Account, **wanted: Any) -> list[Any]:
    found = account.client().describe_instances(**wanted)["Reservations"]
    return [one for each in found for one in each["Instances"]]


@contextmanager
def locked(file: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that may lock the file from any thread, until the block ends."""
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as lock:
        yield lock


def test_an_order_is_one_instance_though_its_message_comes_twice_and_its_consumer_dies(
    scene: Scene,
) -> None:
    tokens = {number: stable_token("order", number) for number in (1, 2, 3)}
    file = scene.folder / "queue.db"
    with (
        scene.program("queue_consumer.py", str(file)) as consumer,
        locked(file) as queue,
    ):
        queue.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, body TEXT)")
        for number in (1, 2, 1, 3):
            body = json.dumps({"number": number, "type": "t3.micro"})
            queue.execute("INSERT INTO message (body) VALUES (?)", (body,))

        def keep_it_from_acknowledging() -> Fate:
            queue.execute("BEGIN IMMEDIATE")
            return Fate.PASS

        scene.network.at(tokens[1], 1, meets(Fate.DROP_REPLY))
        scene.network.at(tokens[1], 2, meets(Fate.CUT_REPLY))
        scene.network.at(tokens[2], 1, dies(consumer))
        scene.network.at(tokens[3], 1, keep_it_from_acknowledging)

        first = consumer.start()
        said = [consumer.said(first)]
        [waiting] = queue.execute("SELECT count(*) FROM message").fetchone()
        assert waiting == 3, "the order at which it died is not acknowledged"
        second = consumer.start()
        heard = [second.stdout.readline() for _ in range(3)]
        consumer.kill()
        queue.execute("ROLLBACK")
        said += [*heard, consumer.said(second)]
        said.append(consumer.run())
        assert queue.execute("SELECT count(*) FROM message").fetchone() == (0,)
    orders = "".join(said).splitlines()
    assert [line.split()[1] for line in orders] == ["1", "2", "1", "3", "3"]
    assert len(set(orders)) == 3, "the same order is the same instance each time"
    assert {one["ClientToken"] for one in instances(scene.account)} == set(tokens.values())
    scene.account.assert_one_set(instances=3)


def test_at_most_one_instance_of_a_workload_lives_and_the_next_generation_comes_after_it(
    scene: Scene,
) -> None:
    first, second = (stable_token("singleton", "crawler", number) for number in (1, 2))
    lived: list[list[str]] = []

    def looked(fate: Act) -> Act:
        """Look who lives at the moment at which the next generation is asked for."""

        def act() -> Fate:
            lived.append([one["State"]["Name"] for one in instances(scene.account)])
            return fate()

        return act

    words = (str(scene.folder / "workloads.db"), "crawler")
    with scene.program("singleton.py", *words) as keeper:
        scene.network.at(first, 1, dies(keeper))
        keeper.said(keeper.start())
        scene.network.at(first, 2, meets(Fate.DROP_REPLY))
        both = [keeper.start(), keeper.start()]
        told = {keeper.ended(one) for one in both}
        scene.account.assert_one_set()
        [one] = instances(scene.account)
        assert told == {f"generation 1 of crawler is {one['InstanceId']}\n"}

        ec2 = scene.account.client()
        ec2.terminate_instances(InstanceIds=[one["InstanceId"]])
        scene.account.assert_one_set(instances=0)
        scene.network.at(second, 1, looked(dies(keeper, Fate.DROP_REQUEST)))
        keeper.said(keeper.start())
        scene.network.at(second, 2, looked(dies(keeper)))
        keeper.said(keeper.start())
        told = {keeper.run(), keeper.run()}
    assert lived == [["terminated"]] * 2
    scene.account.assert_one_set()
    [other] = [one for one in instances(scene.account) if one["State"]["Name"] == "running"]
    assert told == {f"generation 2 of crawler is {other['InstanceId']}\n"}


def test_a_fallback_is_one_instance_though_it_dies_between_its_tries_and_capacity_returns(
    scene: Scene,
) -> None:
    def token(instance_type: str, zone: str) -> str:
        return stable_token("order", "17", instance_type, f"us-east-1{zone}")

    words = (str(scene.folder / "orders.db"), "17")
    with scene.program("fallback.py", *words) as caller:
        scene.network.at(token("m5.large", "a"), 1, meets(Fate.CUT_REPLY))
        scene.network.at(token("m5.large", "b"), 1, dies(caller))
        scene.network.at(token("m5a.large", "b"), 1, dies(caller))
        with scene.account.limits() as limits:
            limits.capacity("*", "m5.large", 0)
            limits.capacity("us-east-1a", "m5a.large", 0)
            said = caller.said(caller.start())
            assert said == "no capacity for m5.large in us-east-1a\n"
            said = caller.said(caller.start())
            assert said.splitlines() == [
                "no capacity for m5.large in us-east-1b", "no capacity for m5a.large in us-east-1a"
            ]  # fmt: skip
        both = [caller.start(), caller.start()]
        said, again = (caller.ended(one) for one in both)
    scene.account.assert_one_set()
    [one] = instances(scene.account)
    assert said == again == f"order 17 is {one['InstanceId']}, m5a.large in us-east-1b\n"


# MISTAKES: of a program, a text in it and what stands there instead.
MISTAKES = {
    "a token of the message": (
        test_an_order_is_one_instance_though_its_message_comes_twice_and_its_consumer_dies,
        'stable_token("order", order["number"])', 'stable_token("message", receipt)',
    ),
    "acknowledged too early": (
        test_an_order_is_one_instance_though_its_message_comes_twice_and_its_consumer_dies,
        "            order = json.loads(body)\n",
        '            order = json.loads(body)\n'
        '            queue.execute("DELETE FROM message WHERE id = ?", (receipt,))\n',
    ),
    "a token of the process": (
        test_at_most_one_instance_of_a_workload_lives_and_the_next_generation_comes_after_it,
        "name, generation,\n", "name, generation, __import__('os').getpid(),\n",
    ),
    "from the first choice again": (
        test_a_fallback_is_one_instance_though_it_dies_between_its_tries_and_capacity_returns,
        "range(come_to(database, order), ", "range(come_to(database, order) * 0, ",
    ),
    "one token for all choices": (
        test_a_fallback_is_one_instance_though_it_dies_between_its_tries_and_capacity_returns,
        'stable_token("order", order, instance_type, zone)', 'stable_token("order", order)',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("shows", "right", "wrong"), MISTAKES.values(), ids=MISTAKES)
def test_a_program_with_the_mistake_is_caught(
    scene: Scene, shows: Callable[[Scene], None], right: str, wrong: str
) -> None:
    programs = scene.folder / "programs"
    programs.mkdir()
    texts = {path.name: path.read_text() for path in EXAMPLES.glob("*.py")}
    assert sum(text.count(right) for text in texts.values()) == 1, "the mistake is made once"
    for name, text in texts.items():
        (programs / name).write_text(text.replace(right, wrong))
    with pytest.raises(AssertionError):
        shows(replace(scene, programs=programs))
