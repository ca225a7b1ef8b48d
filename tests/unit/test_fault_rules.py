"""Rules of faults are read from any form, told back, and refused with what to write instead."""

from __future__ import annotations

from typing import Any

import pytest

from sametoken.errors import Misconfigured
from sametoken.faults.kinds import FORMS, Kind
from sametoken.faults.reading import RULES_MAX, read_rule, read_rules, read_toml, read_word, told
from sametoken.faults.rules import Occasion, Rule
from sametoken.server.fault_names import names

# Each key with a value of its own, as a file has it.
WHOLE: dict[str, Any] = {
    "name": "mine",
    "action": ["RunInstances", "Create*"],
    "account": "000000000001",
    "region": "us-east-1",
    "zone": ["us-east-1a", "us-west-2*"],
    "token": "order-*",
    "instance_type": "t3.*",
    "step": "boot-machine",
    "attempt": "2-3",
    "odds": 0.25,
    "seed": 7,
    "skip": 1,
    "times": 3,
    "after": 1.5,
    "until": 60,
    "seconds": 0.5,
    "code": "InsufficientAddressCapacity",
    "message": "No more.",
    "point": "step.answered",
}


def whole(kind: Kind) -> dict[str, Any]:
    """Return a table of the kind with every key that it may have."""
    given = {key: value for key, value in WHOLE.items() if key in FORMS[kind].keys}
    if kind in (Kind.FAIL_LAUNCH, Kind.MACHINE_DIES):
        given["code"] = "Server.InternalError"
    if kind is Kind.NO_CAPACITY:
        given["action"] = "RunInstances"
    return {"kind": kind.value, **given}


def read(given: dict[str, Any]) -> Rule:
    return read_rule(given, names(), where="here")


@pytest.mark.parametrize("kind", Kind)
def test_a_rule_is_told_as_it_was_read(kind: Kind) -> None:
    rule = read(whole(kind))
    assert told(rule) == whole(kind)
    assert read(told(rule)) == rule
    least = {key: WHOLE[key] for key in FORMS[kind].needs}
    bare = read({"kind": kind.value, **least})
    assert told(bare) == {"kind": kind.value, **least}


def test_a_file_and_a_word_write_the_same_rule() -> None:
    file = """
    seed = 7
    [[rules]]
    kind = "lose-reply"
    action = ["RunInstances", "CreateVolume"]
    attempt = 1
    odds = 0.5
    """
    word = "lose-reply; action=RunInstances,CreateVolume; attempt=1; odds=0.5; seed=7"
    rules = read_toml(file, names(), where="a file")
    assert rules == (read_word(word, names(), where="a word"),)
    assert rules[0].seed == 7
    assert rules[0].attempt == (1, 1)


def test_a_seed_of_a_rule_goes_before_that_of_its_file() -> None:
    document = {"seed": 7, "rules": [{"kind": "unavailable"}, {"kind": "unavailable", "seed": 8}]}
    assert [one.seed for one in read_rules(document, names(), where="here")] == [7, 8]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"kind": "lose-replies"}, "lose-replies.*Did you mean lose-reply"),
        ({}, "None is no kind"),
        ({"kind": "lose-reply", "acton": "RunInstances"}, "'acton'.*Did you mean action"),
        ({"kind": "lose-reply", "seconds": 1}, "no key 'seconds'"),
        ({"kind": "lose-reply", "step": "close"}, "no key 'step'"),
        ({"kind": "kill", "point": "store.committed", "action": "*"}, "no key 'action'"),
        ({"kind": "delay-reply"}, "needs seconds; write seconds"),
        ({"kind": "crash"}, "needs point.*step.answered"),
        ({"kind": "crash", "point": "step.answer"}, "Did you mean step.answered"),
        ({"kind": "lose-reply", "action": "RunInstance"}, "Did you mean RunInstances"),
        ({"kind": "lose-reply", "action": "Fly*"}, "Fly.*not known here"),
        ({"kind": "lose-reply", "action": []}, "write an action"),
        ({"kind": "lose-reply", "action": 7}, "is 7; write an action"),
        ({"kind": "lose-reply", "region": "us-esat-1"}, "Did you mean us-"),
        ({"kind": "lose-reply", "zone": "us-east-1"}, "Did you mean us-east-"),
        ({"kind": "lose-reply", "account": "123"}, "write the 12 digits"),
        ({"kind": "lose-reply", "account": "prod*"}, "write the 12 digits"),
        ({"kind": "lose-reply", "instance_type": "t3.mirco"}, "Did you mean t3.micro"),
        ({"kind": "slow-step", "seconds": 1, "step": "boot-machin"}, "Did you mean boot-machine"),
        ({"kind": "lose-reply", "attempt": 0}, "is 0; write the number of a try"),
        ({"kind": "lose-reply", "attempt": "3-2"}, "write the number of a try"),
        ({"kind": "lose-reply", "attempt": "first"}, "write the number of a try"),
        ({"kind": "lose-reply", "attempt": True}, "write the number of a try"),
        ({"kind": "lose-reply", "odds": 30}, "odds is 30; write odds, from 0 to 1"),
        ({"kind": "lose-reply", "odds": "nan"}, "write odds"),
        ({"kind": "lose-reply", "times": 0}, "write how often"),
        ({"kind": "lose-reply", "times": 1.5}, "write how often"),
        ({"kind": "lose-reply", "skip": -1}, "how many to let pass"),
        ({"kind": "lose-reply", "seed": "x"}, "write a whole number"),
        ({"kind": "lose-reply", "after": 9, "until": 9}, "until 9 is not later than after 9"),
        ({"kind": "lose-reply", "name": ""}, "write a name"),
        ({"kind": "lose-reply", "name": "x" * 301}, "write a name"),
        ({"kind": "lose-reply", "token": "x" * 301}, "write a client token"),
        ({"kind": "lose-reply", "times": 10**9 + 1}, "write how often"),
        ({"kind": "delay-reply", "seconds": 1e9}, "write seconds, from 0 to 86400"),
        ({"kind": "error", "code": "VpcLimitExceded"}, "Did you mean VpcLimitExceeded"),
        ({"kind": "fail-launch", "code": "Server.Internal"}, "There are: Server.InternalError"),
        (
            {"kind": "machine-dies", "seconds": 1, "code": "Client.InternalError"},
            "no reason of EC2",
        ),
        ({"kind": "crash", "point": "step.fenced"}, "does not strike at step.fenced, but at: work"),
        ({"kind": "boot-fails", "step": "boot-machine"}, "no key 'step' here"),
        ({"kind": "no-capacity", "action": "CreateVpc"}, "does nothing to CreateVpc"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(
    given: dict[str, Any], told: str
) -> None:
    with pytest.raises(Misconfigured, match=f"(?s)^here.*{told}"):
        read(given)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], "has no rules"),
        ({"rule": []}, "Did you mean rules"),
        ({}, "no list of tables"),
        ({"rules": ["lose-reply"]}, "no list of tables"),
        ({"rules": [{"kind": "unavailable"}] * (RULES_MAX + 1)}, "at most"),
        ({"rules": [{"kind": "unavailable"}, {"kind": "gone"}]}, "here, rule 2"),
    ],
)
def test_a_document_without_rules_is_refused(document: Any, told: str) -> None:
    with pytest.raises(Misconfigured, match=told):
        read_rules(document, names(), where="here")


@pytest.mark.parametrize("word", ["lose-reply;attempt", "lose-reply;odds=1;odds=1", ""])
def test_a_word_that_is_no_rule_is_refused(word: str) -> None:
    with pytest.raises(Misconfigured, match="here"):
        read_word(word, names(), where="here")


def test_a_file_that_is_not_toml_is_refused_by_its_name() -> None:
    with pytest.raises(Misconfigured, match=r"bad\.toml is not TOML.*line 1"):
        read_toml("kind = lose-reply", names(), where="bad.toml")


@pytest.mark.parametrize(
    ("aims", "is_for"),
    [
        ({}, True),
        ({"action": "RunInstances"}, True),
        ({"action": "CreateVolume"}, False),
        ({"action": "Run*"}, True),
        ({"account": "000000000001", "region": "us-east-1", "zone": "us-east-1a"}, True),
        ({"zone": "us-east-1b"}, False),
        ({"token": ["other", "order-*"]}, True),
        ({"token": "order-"}, False),
        ({"instance_type": "t3.*"}, True),
        ({"attempt": 2}, True),
        ({"attempt": "1-3"}, True),
        ({"attempt": 1}, False),
    ],
)
def test_a_rule_is_for_what_all_its_aims_fit(aims: dict[str, Any], is_for: bool) -> None:
    occasion = Occasion(
        "a request", "000000000001", "us-east-1", "us-east-1a", "RunInstances", "order-7.(",
        "t3.micro", attempt=2,
    )  # fmt: skip
    assert read({"kind": "lose-reply", **aims}).matches(occasion) is is_for


def test_a_kind_that_strikes_few_actions_is_for_none_of_the_others() -> None:
    rule = read({"kind": "no-capacity", "zone": "us-east-1a"})
    assert rule.matches(Occasion("x", action="RunInstances"))
    assert rule.matches(Occasion("x", action="RunInstances", zone="us-east-1a"))
    assert not rule.matches(Occasion("x", action="RunInstances", zone="us-east-1b"))
    assert not rule.matches(Occasion("x", action="DescribeInstances"))


def test_a_rule_at_a_point_is_for_no_other() -> None:
    rule = read({"kind": "crash", "point": "step.answered", "step": "boot-machine"})
    assert rule.matches(Occasion("i-1", step="boot-machine", point="step.answered"))
    assert not rule.matches(Occasion("i-1", step="boot-machine", point="step.recorded"))
    assert not rule.matches(Occasion("i-1", step="make-volumes", point="step.answered"))
