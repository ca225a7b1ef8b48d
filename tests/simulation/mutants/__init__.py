"""Mutants: bugs planted on purpose, each of which breaks a promise, and which must be found.

A simulation without findings proves nothing until it is shown to find bugs that are there. Each
mutant is a plausible edit of the program, made by replacing one of its functions for the time of a
test. The function is public, because a private one may be rewritten at any time, and a mutant that
replaces a function without callers plants no bug.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sametoken.faults.kinds import Kind
from sametoken.faults.points import Point
from sametoken.faults.rules import Rule
from simulation.mutants import batches, commits, driving, holdings, strikes, tokens

Mutant = Callable[[], Iterator[None]]

# Mutants in the order of docs/correctness.md.
_ALL: tuple[Mutant, ...] = (
    tokens.claim_in_its_own_transaction,
    tokens.parameters_not_compared,
    tokens.failure_binds_nothing,
    tokens.failure_binds_no_parameters,
    driving.step_token_from_the_attempt,
    tokens.retention_from_the_request,
    driving.record_without_the_fence,
    driving.services_without_the_fence,
    driving.unwinding_leaves_the_door_open,
    driving.lease_without_a_generation,
    driving.driver_forgets_generations,
    driving.plan_change_keeps_its_epoch,
    driving.dead_sweeper_unheard,
    commits.result_released_before_the_commit,
    commits.lost_transaction_not_noticed,
    commits.failed_commit_acknowledged,
    holdings.held_is_credited_twice,
    holdings.held_is_never_credited,
    holdings.capacity_oversold,
    holdings.sweep_takes_what_is_named,
    tokens.settled_without_an_end,
    tokens.other_zone_overwrites_the_first,
    tokens.other_zones_not_looked_for,
    tokens.token_case_ignored,
    tokens.zone_ignored,
    tokens.account_ignored,
    tokens.refusal_keeps_the_claim,
    commits.clock_of_each_node,
    commits.time_stands_still,
    commits.leap_makes_tokens_expire,
    holdings.address_moves_without_leaving,
    holdings.capacity_split_off_is_not_taken,
    holdings.place_is_not_taken,
    holdings.place_is_not_given_back,
    holdings.quotas_not_checked,
    holdings.gateway_leaves_its_interface,
    holdings.callers_end_what_others_stand_on,
    holdings.stamp_stays,
    holdings.fragment_outlives_what_it_shows,
    batches.failure_harms_its_mates,
    batches.account_starves_others,
    batches.late_launch_binds_its_token,
    batches.batch_acknowledged_before_its_commit,
    batches.stretch_acknowledged_before_its_commit,
    strikes.rule_harms_the_mates_of_whom_it_is_for,
    strikes.crashed_controller_acts_on,
    strikes.failed_reply_releases_the_token,
)
_LAUNCHES = {"palette": ("RunInstances",)}
_RESERVED = ("CreateCapacityReservation", "RunInstances")
_UP = {"crash": 0.0, "crash_node": 0.0}
# Odds and makings under which a mutant is found soon, where drawn ones would seldom bring the
# faults together that it needs.
ODDS: Mapping[Mutant, dict[str, Any]] = {
    tokens.failure_binds_no_parameters: {**_LAUNCHES, "limits": 0.6},
    driving.record_without_the_fence: {**_LAUNCHES, "owner_paused": 0.4, "stall": 0.06},
    driving.services_without_the_fence: {**_LAUNCHES, "owner_paused": 0.5},
    driving.unwinding_leaves_the_door_open: {**_LAUNCHES, "owner_paused": 0.5},
    driving.lease_without_a_generation: {**_LAUNCHES, "owner_paused": 0.12, "stall": 0.06},
    driving.driver_forgets_generations: {
        **_LAUNCHES, **_UP, "owner_paused": 0.9, "boot_fails": 0.5, "service_hangs": 0.0,
        "service_fails": 0.0, "commit_fails": 0.0, "drop_reply": 0.0,
    },
    driving.plan_change_keeps_its_epoch: {
        **_LAUNCHES, **_UP, "freeze_node": 0.0, "owner_paused": 0.0, "stall": 0.0, "limits": 0.0,
        "boot_fails": 0.0, "service_refuses": 0.0, "service_fails": 0.0, "service_hangs": 0.0,
        "effect_fails": 0.0, "effect_refuses": 0.0, "part_dies": 0.0, "commit_fails": 0.0,
        "commit_unknown": 0.0, "transaction_lost": 0.0, "clock_ahead": 0.0, "clock_back": 0.0,
        "drop_reply": 0.0,
    },
    commits.lost_transaction_not_noticed: {"transaction_lost": 0.2, "gather": 1.0},
    holdings.sweep_takes_what_is_named: {
        **_LAUNCHES, "crash_node": 0.0, "freeze_node": 0.0, "long_break": 1.0, "sweep": 1.0,
    },
    tokens.settled_without_an_end: {
        "palette": ("CreateLaunchTemplate", "ModifyLaunchTemplate"),
    },
    tokens.other_zone_overwrites_the_first: {"palette": ("CreateVolume",)},
    tokens.other_zones_not_looked_for: {"palette": ("CreateVolume",)},
    tokens.refusal_keeps_the_claim: {"limits": 0.6},
    commits.clock_of_each_node: {"clock_skewed": 1.0},
    driving.dead_sweeper_unheard: {"part_dies": 0.5, "crash_node": 0.0},
    commits.time_stands_still: {
        **_LAUNCHES, "clock_ahead": 0.9, "crash_node": 0.0, "freeze_node": 0.0,
    },
    commits.leap_makes_tokens_expire: {"clock_ahead": 0.9, "sweep": 0.5},
    holdings.address_moves_without_leaving: {
        "palette": ("CreateNetworkInterface", "AllocateAddress"),
    },
    holdings.place_is_not_taken: {"palette": _RESERVED},
    holdings.place_is_not_given_back: {"palette": _RESERVED},
    holdings.quotas_not_checked: {"limits": 0.6},
    batches.failure_harms_its_mates: {
        **_LAUNCHES, "effect_refuses": 0.2, "gather_work": 1.0,
    },
    batches.account_starves_others: {**_LAUNCHES, "gather_work": 1.0},
    batches.late_launch_binds_its_token: {**_LAUNCHES, "stall": 0.06},
    batches.batch_acknowledged_before_its_commit: {
        **_LAUNCHES, "commit_fails": 0.05, "service_called": 1.0,
    },
    batches.stretch_acknowledged_before_its_commit: {
        **_LAUNCHES, "commit_fails": 0.05, "service_called": 0.0,
    },
    strikes.rule_harms_the_mates_of_whom_it_is_for: {
        **_LAUNCHES, "gather_work": 1.0, "pool": (Rule(Kind.FAIL_LAUNCH, token=("alpha-7Q",)),),
    },
    strikes.crashed_controller_acts_on: {
        **_LAUNCHES, "pool": (Rule(Kind.CRASH, point=Point.WORK_LEASED),),
    },
    strikes.failed_reply_releases_the_token: {
        **_LAUNCHES, "pool": (Rule(Kind.FAIL_REPLY, attempt=(1, 1)),),
    },
    holdings.callers_end_what_others_stand_on: {
        "palette": ("CreateVpc", "CreateSubnet", "CreateNetworkInterface"),
    },
}  # fmt: skip
# Mutants by name in words ("claim in its own transaction"): each with the context manager that
# plants it, and the odds to run under.
MUTANTS: Mapping[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    mutant.__name__.replace("_", " "): (contextmanager(mutant), ODDS.get(mutant, {}))
    for mutant in _ALL
}
