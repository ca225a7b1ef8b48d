"""The decision about a token-bearing call: every combination of entry and request. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sametoken.errors import IdempotentParameterMismatch, Misconfigured
from sametoken.idempotency import (
    RETENTION,
    Call,
    Entry,
    Outcome,
    OutcomeState,
    Rules,
    Scope,
    decide,
)
from sametoken.idempotency.ledger import Perform, Replay

KEY = b"key"
SCOPE = Scope("000000000001", "us-east-1", "RunInstances")
SETTLED, FAILED = OutcomeState.SETTLED, OutcomeState.FAILED
A, B, REGIONAL = "us-east-1a", "us-east-1b", ""


def call(zone: str = REGIONAL, rules: tuple[Rules, ...] = (Rules(),), **parameters: Any) -> Call:
    return Call(SCOPE, "token", parameters, rules, zone)


def outcome(zone: str, state: OutcomeState, **parameters: Any) -> Outcome:
    made = {"made": zone} if state is SETTLED else None
    return Outcome(zone, state, call(**parameters).fingerprint(KEY), made, "request")


def entry(*outcomes: Outcome) -> Entry:
    return Entry(1, SCOPE, "token", fresh=not outcomes, outcomes=outcomes)


MISMATCH = "mismatch"
# CASES: outcomes of the entry (zone, state, the parameter "P"); the request (zone, "P"); the
# decision.
CASES = [
    # A token that was never used.
    ([], (REGIONAL, 1), Perform(REGIONAL)),
    ([], (A, 1), Perform(A)),
    # Equal parameters: replayed when settled, evaluated anew when failed.
    ([(REGIONAL, SETTLED, 1)], (REGIONAL, 1), Replay({"made": REGIONAL})),
    ([(REGIONAL, FAILED, 1)], (REGIONAL, 1), Perform(REGIONAL)),
    ([(A, SETTLED, 1)], (A, 1), Replay({"made": A})),
    ([(A, FAILED, 1)], (A, 1), Perform(A)),
    # Equal parameters need no zone, and find the outcome's own: the subnet may be gone by now.
    ([(A, SETTLED, 1)], (REGIONAL, 1), Replay({"made": A})),
    ([(A, FAILED, 1)], (REGIONAL, 1), Perform(A)),
    ([(A, SETTLED, 1)], (B, 1), Replay({"made": A})),
    ([(A, FAILED, 1)], (B, 1), Perform(A)),
    ([(REGIONAL, SETTLED, 1)], (A, 1), Replay({"made": REGIONAL})),
    ([(REGIONAL, FAILED, 1)], (A, 1), Perform(REGIONAL)),
    # Other parameters for the zone that has an outcome, settled or failed.
    ([(REGIONAL, SETTLED, 1)], (REGIONAL, 2), MISMATCH),
    ([(REGIONAL, FAILED, 1)], (REGIONAL, 2), MISMATCH),
    ([(A, SETTLED, 1)], (A, 2), MISMATCH),
    ([(A, FAILED, 1)], (A, 2), MISMATCH),
    # Another zone is another request.
    ([(A, SETTLED, 1)], (B, 2), Perform(B)),
    ([(A, FAILED, 1)], (B, 2), Perform(B)),
    # A token that has acted Regionally opens no zone, and one that has acted in a zone no Region.
    ([(REGIONAL, SETTLED, 1)], (A, 2), MISMATCH),
    ([(REGIONAL, FAILED, 1)], (A, 2), MISMATCH),
    ([(A, SETTLED, 1)], (REGIONAL, 2), MISMATCH),
    ([(A, FAILED, 1)], (REGIONAL, 2), MISMATCH),
    # Several zones: the equal one answers, whichever zone is asked for.
    ([(A, SETTLED, 1), (B, SETTLED, 2)], (B, 2), Replay({"made": B})),
    ([(A, SETTLED, 1), (B, SETTLED, 2)], (A, 2), Replay({"made": B})),
    ([(A, FAILED, 1), (B, SETTLED, 2)], (A, 1), Perform(A)),
    ([(A, SETTLED, 1), (B, FAILED, 2)], (B, 2), Perform(B)),
    ([(A, SETTLED, 1), (B, SETTLED, 2)], (B, 3), MISMATCH),
    ([(A, SETTLED, 1), (B, FAILED, 2)], (A, 3), MISMATCH),
    ([(A, SETTLED, 1), (B, SETTLED, 2)], ("us-east-1c", 3), Perform("us-east-1c")),
    ([(A, SETTLED, 1), (B, SETTLED, 2)], (REGIONAL, 3), MISMATCH),
]  # fmt: skip


@pytest.mark.parametrize(("held", "asked", "expected"), CASES)
def test_what_a_call_must_do_follows_from_zone_state_and_parameters(
    held: list[tuple[str, OutcomeState, int]],
    asked: tuple[str, int],
    expected: Perform | Replay | str,
) -> None:
    claimed = entry(*(outcome(zone, state, P=value) for zone, state, value in held))
    request = call(asked[0], P=asked[1])
    if expected != MISMATCH:
        assert decide(request, claimed, KEY) == expected
        return
    with pytest.raises(IdempotentParameterMismatch) as refused:
        decide(request, claimed, KEY)
    assert refused.value.fields == ("P",)
    assert (refused.value.client_token, refused.value.http_status) == ("token", 400)


def test_every_state_of_one_outcome_and_every_zone_asked_for_is_in_the_table() -> None:
    single = {(held[0][0], held[0][1], asked[0], held[0][2] == asked[1])
              for held, asked, _ in CASES if len(held) == 1}  # fmt: skip
    for state in OutcomeState:
        for equal in (True, False):
            for held_zone, asked_zone in [
                (REGIONAL, REGIONAL), (REGIONAL, A), (A, A), (A, REGIONAL), (A, B),
            ]:  # fmt: skip
                assert (held_zone, state, asked_zone, equal) in single


def test_a_mismatch_names_what_differs_from_the_outcome_of_its_own_zone() -> None:
    claimed = entry(outcome(A, SETTLED, P=1, Q=1, R=1), outcome(B, SETTLED, P=2, Q=9, R=9))
    with pytest.raises(IdempotentParameterMismatch) as refused:
        decide(call(A, P=2, Q=9, R=1), claimed, KEY)
    assert refused.value.fields == ("P", "Q")


def test_a_mismatch_without_a_zone_names_what_differs_from_the_most_similar_outcome() -> None:
    claimed = entry(outcome(A, SETTLED, P=1, Q=1, R=1), outcome(B, SETTLED, P=2, Q=2, R=2))
    with pytest.raises(IdempotentParameterMismatch) as refused:
        decide(call(P=2, Q=2, R=3), claimed, KEY)
    assert refused.value.fields == ("R",)
    assert "R" in refused.value.message


def test_an_entry_is_compared_by_the_rules_it_was_written_with() -> None:
    """An upgrade that makes `Groups` a set must not refuse an honest retry from before it."""
    old, new = Rules(1), Rules(2, sets=frozenset({"Groups"}))
    written = call(rules=(old,), Groups=["b", "a"]).fingerprint(KEY)
    claimed = entry(Outcome(REGIONAL, SETTLED, written, {"made": 1}, "request"))
    retry = call(rules=(old, new), Groups=["b", "a"])
    assert decide(retry, claimed, KEY) == Replay({"made": 1})
    with pytest.raises(IdempotentParameterMismatch):
        decide(call(rules=(old, new), Groups=["a", "b"]), claimed, KEY)


def test_a_new_entry_is_written_with_the_newest_rules() -> None:
    assert call(rules=(Rules(1), Rules(2)), P=1).fingerprint(KEY).rules_version == 2


def test_rules_that_are_gone_are_our_bug_not_a_mismatch() -> None:
    claimed = entry(outcome(REGIONAL, SETTLED, P=1))
    with pytest.raises(AssertionError, match="no rules of version 1"):
        decide(call(rules=(Rules(2),), P=1), claimed, KEY)


def test_digests_of_another_key_are_no_mismatch_whose_caller_would_use_a_new_token() -> None:
    with pytest.raises(Misconfigured, match="Give the engine the key that it had"):
        decide(call(P=1), entry(outcome(REGIONAL, SETTLED, P=1)), b"other key")


def test_digests_that_0_1_0_kept_without_their_keys_name_are_compared() -> None:
    kept = outcome(REGIONAL, SETTLED, P=1)
    nameless = replace(kept, fingerprint=replace(kept.fingerprint, key_id=None))
    assert decide(call(P=1), entry(nameless), KEY) == Replay({"made": REGIONAL})
    with pytest.raises(IdempotentParameterMismatch):
        decide(call(P=2), entry(nameless), KEY)


ELSEWHERE = Scope("000000000002", "us-east-1", "RunInstances")


@pytest.mark.parametrize("asked", [Call(SCOPE, "other", {}), Call(ELSEWHERE, "token", {})])
def test_an_entry_of_another_token_or_scope_is_our_bug(asked: Call) -> None:
    with pytest.raises(AssertionError):
        decide(asked, entry(), KEY)


def test_retention_is_24_hours_at_least() -> None:
    assert timedelta(hours=24) <= RETENTION


ZONES = st.sampled_from([REGIONAL, A, B])
HELD = st.dictionaries(
    ZONES, st.tuples(st.sampled_from(OutcomeState), st.integers(1, 3)), max_size=3
)


@given(HELD, ZONES, st.integers(1, 3))
@settings(derandomize=True, max_examples=300)
def test_a_decision_never_acts_twice_under_one_token_and_zone(
    held: Mapping[str, tuple[OutcomeState, int]], zone: str, value: int
) -> None:
    """Check that Perform never lands on a settled outcome, and never beside a Regional one."""
    claimed = entry(*(outcome(at, state, P=p) for at, (state, p) in held.items()))
    try:
        decision = decide(call(zone, P=value), claimed, KEY)
    except IdempotentParameterMismatch as mismatch:
        assert mismatch.fields == ("P",)
        assert value not in {p for _, p in held.values()}
        return
    match decision:
        case Replay(identities):
            assert held[identities["made"]] == (SETTLED, value)
        case Perform(performed) if performed in held:
            assert held[performed] == (FAILED, value)
        case Perform(performed):
            assert performed == zone
            assert not held or (REGIONAL not in held and zone != REGIONAL)
