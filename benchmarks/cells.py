"""Cells by account, in simulation: placing accounts, a cell that fails, an account that moves.

No network, no database and no clock: seeded draws, the same in every run. An account's rate is
given in cells: 0.5 asks half of a cell's capacity. Only a failing cell's figures depend on that
capacity in launches a second; pass the one measured on a database of your own. The only product
code here is `sametoken.retry`, the backoff and quota of the simulated clients.
"""

from __future__ import annotations

import bisect
import hashlib
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cell_failure
import cell_moves
from measure import spread, table

# LOAD is the share of the cells' capacity that all accounts together ask. The rest is for a cell
# that fails over, for growth until the next cell is there, and for the unevenness that placement
# leaves.
LOAD = 0.7
# TAIL is Pareto's exponent at which a fifth of the accounts ask three fifths of the launches. A
# heavier tail soon makes one account most of the load, and then no placement is worth comparing.
TAIL = 1.5
# THROTTLED_AT is the most that one account may ask, in cells' capacities (`serve --throttle`).
THROTTLED_AT = 0.5
# Seconds of a failover, and of an outage that people must end.
DOWN_SECONDS = (30.0, 300.0)
# Points of a cell on the ring. More make the arcs more even; the spread that accounts of very
# different rates cause remains.
_POINTS = 100
# Bounded loads: a cell takes at most _BOUND times the mean (Mirrokni, Thorup and Zadimoghaddam,
# "Consistent hashing with bounded loads"). The table moves accounts until each cell is below
# _BALANCED times the mean.
_BOUND, _BALANCED = 1.25, 1.05
# Least gain of a move, so that rounding cannot make two cells swap for ever.
_LEAST_GAIN = 0.00001

Placement = dict[int, int]


@dataclass(frozen=True, slots=True)
class Way:
    """A way to place accounts: `place` on a number of cells; `grow` when the last one is new."""

    place: Callable[[Sequence[float], int], Placement]
    grow: Callable[[Sequence[float], int, Placement], Placement]


def measure(*, accounts: int, cells: int, seeds: int, cell_rate: float, moves: int) -> None:
    """Print the tables: `accounts` on `cells`, the figures of each over `seeds` draws.

    `cell_rate` is the number of launches a second that one cell (a database, its nodes) drives to
    `running`.
    """
    draws = [draw_rates(random.Random(seed), accounts, cells) for seed in range(seeds)]
    print(
        f"\n## Cells: {accounts:,} accounts on {cells:,} cells, which are asked {LOAD:.0%} "
        f"of what they can ({seeds} draws)\n"
    )
    _print_accounts(draws)
    throttled = [[min(rate, THROTTLED_AT) for rate in rates] for rates in draws]
    placed = {name: [way.place(rates, cells) for rates in throttled] for name, way in WAYS.items()}
    _print_placements(throttled, placed, cells)
    _print_one_down(throttled[0], placed, cells)
    chosen = _members(placed["table"][0], cells)[0]
    cell_failure.measure([cell_rate * throttled[0][at] for at in chosen], cell_rate, DOWN_SECONDS)
    cell_moves.measure(moves=moves)


def draw_rates(chance: random.Random, accounts: int, cells: int) -> list[float]:
    """Draw each account's rate, in cells: heavy-tailed, together `LOAD` of the capacity."""
    drawn = [chance.paretovariate(TAIL) for _ in range(accounts)]
    scale = LOAD * cells / sum(drawn)
    return [scale * one for one in drawn]


def by_hash(rates: Sequence[float], cells: int) -> Placement:
    """Place each account on the first cell clockwise of its point on a ring."""
    ring = _ring(cells)
    return {at: ring[bisect.bisect(ring, (_point(f"account {at}"), 0)) % len(ring)][1]
            for at in range(len(rates))}  # fmt: skip


def by_bounded_hash(rates: Sequence[float], cells: int) -> Placement:
    """Place as `by_hash`, but pass over cells that would get more than `_BOUND` of the mean."""
    ring, load = _ring(cells), [0.0] * cells
    most = _BOUND * sum(rates) / cells
    placement: Placement = {}
    for at, rate in enumerate(rates):
        start = bisect.bisect(ring, (_point(f"account {at}"), 0))
        around = (ring[(start + step) % len(ring)][1] for step in range(len(ring)))
        cell = next((one for one in around if load[one] + rate <= most), None)
        if cell is None:
            cell = min(range(cells), key=load.__getitem__)
        placement[at] = cell
        load[cell] += rate
    return placement


def by_table(rates: Sequence[float], cells: int) -> Placement:
    """Place by hash when an account is opened, then by a table of moves that keeps cells even."""
    return _balanced(rates, cells, by_hash(rates, cells))


def _balanced(rates: Sequence[float], cells: int, placement: Placement) -> Placement:
    """Move accounts from the fullest cell to the emptiest until they are even.

    Take the heaviest account that fits there. Where none does, take the heaviest that leaves the
    emptiest cell less full than the fullest was; it then gives away lighter ones. Each move makes
    the loads more even, so the loop ends.
    """
    moved = dict(placement)
    members = [sorted(found, key=rates.__getitem__) for found in _members(moved, cells)]
    load = [sum(rates[at] for at in found) for found in members]
    most = _BALANCED * sum(rates) / cells
    while (highest := max(load)) > most:
        full, empty = load.index(highest), load.index(min(load))
        nth = bisect.bisect(members[full], most - load[empty], key=rates.__getitem__) - 1
        if nth < 0:
            gap = highest - load[empty] - _LEAST_GAIN
            nth = bisect.bisect(members[full], gap, key=rates.__getitem__) - 1
        if nth < 0:
            break
        at = members[full].pop(nth)
        bisect.insort(members[empty], at, key=rates.__getitem__)
        load[full] -= rates[at]
        load[empty] += rates[at]
        moved[at] = empty
    return moved


WAYS: Mapping[str, Way] = {
    "hash": Way(by_hash, lambda rates, cells, _: by_hash(rates, cells)),
    "bounded hash": Way(by_bounded_hash, lambda rates, cells, _: by_bounded_hash(rates, cells)),
    "table": Way(by_table, _balanced),
}


def _ring(cells: int) -> list[tuple[int, int]]:
    return sorted((_point(f"cell {cell} {nth}"), cell) for cell in range(cells)
                  for nth in range(_POINTS))  # fmt: skip


def _point(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())


def _members(placement: Placement, cells: int) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in range(cells)]
    for at, cell in placement.items():
        found[cell].append(at)
    return found


def loads(rates: Sequence[float], placement: Placement, cells: int) -> list[float]:
    """The load of each cell; 1 is its capacity."""
    return [sum(rates[at] for at in found) for found in _members(placement, cells)]


def _print_accounts(draws: Sequence[Sequence[float]]) -> None:
    above = spread([sum(rate > 1.0 for rate in rates) for rates in draws])
    largest = spread([max(rates) for rates in draws])
    beyond = spread(
        [sum(max(0.0, rate - THROTTLED_AT) for rate in rates) / sum(rates) for rates in draws]
    )
    share = 100 * above.median / len(draws[0])
    print(
        f"Accounts that ask more than a whole cell: {above:.0f}, {share:.3f} % of all; the largest "
        f"{largest:.1f} cells.\nNo placement by account holds those. Throttled at "
        f"{THROTTLED_AT:.0%} of a cell, {beyond:.1%} of all launches are refused;\nthe rest is "
        "placed:\n"
    )


def _print_placements(
    draws: Sequence[Sequence[float]], placed: Mapping[str, Sequence[Placement]], cells: int
) -> None:
    body = []
    for name, placements in placed.items():
        pairs = list(zip(draws, placements, strict=True))
        found = [loads(rates, placement, cells) for rates, placement in pairs]
        over = [sum(load > 1.0 for load in each) for each in found]
        beyond = [sum(max(0.0, load - 1.0) for load in each) / sum(each) for each in found]
        moved = []
        for rates, placement in pairs:
            grown = WAYS[name].grow(rates, cells + 1, placement)
            moved.append(sum(grown[at] != placement[at] for at in grown) / len(rates))
        body.append(
            (
                name,
                f"{spread([max(each) / statistics.mean(each) for each in found]):.2f}",
                f"{spread(over):.0f}",
                f"{spread(beyond):.1%}",
                f"{spread(moved):.2%}",
            )
        )
    head = ("placed by", "fullest cell / mean", "cells above capacity", "launches beyond it",
            "accounts moved for one more cell")  # fmt: skip
    print(table(head, body))


def _print_one_down(
    rates: Sequence[float], placed: Mapping[str, Sequence[Placement]], cells: int
) -> None:
    body = []
    for name, placements in placed.items():
        found = loads(rates, placements[0], cells)
        counts = [len(each) for each in _members(placements[0], cells)]
        asked = [load / sum(rates) for load in found]
        held = [count / len(rates) for count in counts]
        body.append(
            (name, f"{statistics.median(held):.2%}", f"{max(held):.2%}",
             f"{statistics.median(asked):.2%}", f"{max(asked):.2%}")
        )  # fmt: skip
    head = ("one cell down refuses", "of accounts: median", "worst cell", "of launches: median",
            "worst cell")  # fmt: skip
    print(
        "\nThe others see nothing of it: they share no row with it. One database for all: 100 %.\n"
    )
    print(table(head, body))
