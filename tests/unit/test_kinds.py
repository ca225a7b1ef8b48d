"""Kinds of resource are declarations, and their state tables are whole."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter

import pytest

from sametoken import ec2, resources
from sametoken.errors import ServiceError
from sametoken.resources.compute.instances import INSTANCE, STATE_CODES, InstanceState
from sametoken.resources.kit.kinds import Kind, states


def all_kinds() -> list[Kind]:
    found: dict[str, Kind] = {}
    for package in (resources, ec2):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            loaded = importlib.import_module(module.name)
            for value in vars(loaded).values():
                if isinstance(value, Kind):
                    assert found.setdefault(value.name, value) is value, f"two are {value.name}"
    return sorted(found.values(), key=lambda kind: kind.name)


KINDS = all_kinds()
EVERY = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
THING = Kind("thing-part", "thing-part", "InvalidThing", "thing")


def test_the_nouns_of_a_launch_are_kinds() -> None:
    names = {kind.name for kind in KINDS}
    assert {"instance", "volume", "network-interface", "subnet", "vpc", "placement"} <= names


def test_an_id_names_one_kind() -> None:
    shared = [prefix for prefix, many in Counter(k.prefix for k in KINDS).items() if many > 1]
    assert shared == []


@EVERY
def test_every_state_leads_to_an_end(kind: Kind) -> None:
    """A resource that cannot end keeps its entry for ever."""
    can_end = set(kind.ends)
    for _ in kind.transitions:
        can_end |= {state for state, after in kind.transitions.items() if after & can_end}
    assert can_end == set(kind.transitions)


@EVERY
def test_an_end_is_final(kind: Kind) -> None:
    assert kind.ends
    assert all(not kind.transitions[state] for state in kind.ends)


@EVERY
@pytest.mark.parametrize("digits", ["0" * 17, "0123456789abcdef0", "89abcdef", "1", "ABCDEF12"])
def test_ids_of_both_lengths_are_well_formed(kind: Kind, digits: str) -> None:
    kind.check_id(f"{kind.prefix}-{digits}")


@pytest.mark.parametrize(
    "value",
    [
        "", "thing-part", "thing-part-", f"thing-part-{'0' * 9}", f"thing-part-{'0' * 16}",
        f"thing-part-{'0' * 18}", f"thing-part-{'G' * 17}", f"thing-part-{'A' * 17}",
        f"thing-{'0' * 17}", f"part-{'0' * 17}", f"thing-part-{'0' * 17}\n", "0" * 17,
        f"thing-part-{'٠' * 17}", f" thing-part-{'0' * 17}",
    ],
)  # fmt: skip
def test_anything_else_is_malformed(value: str) -> None:
    with pytest.raises(ServiceError) as refused:
        THING.check_id(value)
    assert (refused.value.code, refused.value.http_status) == ("InvalidThing.Malformed", 400)


def test_a_malformed_id_is_never_repeated_whole() -> None:
    with pytest.raises(ServiceError) as refused:
        THING.check_id("x" * 100_000)
    assert len(refused.value.message) < 400


def test_not_found_names_every_missing_id() -> None:
    refused = THING.not_found(["thing-part-1", "thing-part-2"])
    assert refused.code == "InvalidThing.NotFound"
    assert "thing-part-1, thing-part-2" in refused.message


def test_a_table_is_written_with_underscores_and_read_with_dashes() -> None:
    assert states(in_use="available gone", gone="") == {
        "in-use": frozenset({"available", "gone"}),
        "gone": frozenset(),
    }


@pytest.mark.parametrize(
    ("table", "ends"),
    [
        (states(a="b"), frozenset()),
        (states(a="", b=""), frozenset({"c"})),
        (states(a="b", b="a"), frozenset({"b"})),
    ],
)
def test_a_table_that_is_not_whole_cannot_be_declared(
    table: dict[str, frozenset[str]], ends: frozenset[str]
) -> None:
    with pytest.raises(AssertionError):
        Kind("thing", "thing", "InvalidThing", "thing", transitions=table, ends=ends)


def test_an_instance_has_the_states_and_codes_of_ec2() -> None:
    assert set(INSTANCE.transitions) == {state.value for state in InstanceState}
    assert {state.value: code for state, code in STATE_CODES.items()} == {
        "pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64,
        "stopped": 80,
    }  # fmt: skip


def test_an_instance_that_shuts_down_only_terminates() -> None:
    assert INSTANCE.transitions["shutting-down"] == {"terminated"}
    assert INSTANCE.ends == {"terminated"}
