"""Rates of token buckets: which bucket a request takes from, how it fills, and how that is written.

An operator writes rates of actions, or `ec2` for all that EC2 documents. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sametoken.ec2.catalog import ACTIONS
from sametoken.errors import Misconfigured
from sametoken.nearest import did_you_mean
from sametoken.server import ec2_buckets
from sametoken.server.ec2_buckets import Figures

# Names the rate of all actions without a rate of their own: they share one bucket.
OTHERS = "*"
# Asks for the buckets that EC2 documents.
EC2 = "ec2"
_RATE = re.compile(r"(\*|[A-Za-z0-9]{1,128})=(\d{1,6}(?:\.\d{1,6})?):(\d{1,6})")
# Parameters by which a listing asks for less than everything, as they are spelled in a form.
_PAGES = ("MaxResults", "NextToken")
_FILTERS = "Filter."


@dataclass(frozen=True, slots=True)
class Rate:
    """A bucket's size, `burst`, and the tokens added to it `per_second`."""

    per_second: float
    burst: int


# A rate for each bucket, by its name: that of an action, or one of these.
Rates = Mapping[str, Rate]


def everything_of(action: str) -> str:
    """Name the bucket of a listing's requests that ask for everything at once."""
    return f"{action} of everything"


def resources_of(action: str) -> str:
    """Name the bucket of the resources that an action's requests are for."""
    return f"{action} resources"


def bucket_of(rates: Rates, action: str, form: Mapping[str, str]) -> str | None:
    """Return the bucket from which a request takes a token; None if none bounds it."""
    if not rates:
        return None
    whole = everything_of(action)
    if whole in rates and not _narrows(form):
        return whole
    if action in rates:
        return action
    return OTHERS if OTHERS in rates else None


def _narrows(form: Mapping[str, str]) -> bool:
    return any(name in form for name in _PAGES) or any(name.startswith(_FILTERS) for name in form)


def ec2_rates() -> dict[str, Rate]:
    """Return the rates that EC2 documents, of every action that is served here."""
    own = {
        action: figures for figures, names in ec2_buckets.OWN.items() for action in names.split()
    }
    rates = {action: _rate(own.get(action) or _figures_of_kind(action)) for action in ACTIONS}
    for action in sorted(ec2_buckets.LISTINGS & ACTIONS.keys()):
        rates[everything_of(action)] = _rate(ec2_buckets.OF_EVERYTHING)
    for action, figures in ec2_buckets.OF_RESOURCES.items():
        rates[resources_of(action)] = _rate(figures)
    return rates


def _figures_of_kind(action: str) -> Figures:
    reads = action.startswith(ec2_buckets.READING_WORDS)
    return ec2_buckets.READING if reads else ec2_buckets.CHANGING


def _rate(figures: Figures) -> Rate:
    burst, per_second = figures
    return Rate(per_second, burst)


def read_rates(texts: Iterable[str]) -> dict[str, Rate]:
    """Parse rates, each written as ACTION=PER_SECOND:BURST, or `ec2`. Raises `Misconfigured`.

    An action's own rate stands instead of all that EC2 documents of its requests.
    """
    given = list(texts)
    own = _own_rates(text for text in given if text != EC2)
    if EC2 not in given:
        return own
    if OTHERS in own:
        raise Misconfigured(
            f"with {EC2!r} every action has a rate of its own, so {OTHERS!r} would be for none; "
            "leave one of them out"
        )
    replaced = {everything_of(action) for action in own}
    rates = {name: rate for name, rate in ec2_rates().items() if name not in replaced}
    return rates | own


def _own_rates(texts: Iterable[str]) -> dict[str, Rate]:
    rates: dict[str, Rate] = {}
    for text in texts:
        match = _RATE.fullmatch(text)
        if match is None or int(match[3]) < 1 or float(match[2]) <= 0:
            raise Misconfigured(
                f"{text!r} is no rate. Write ACTION=PER_SECOND:BURST, such as RunInstances=2:5, "
                f"or *=20:100 for all actions without a rate of their own, or {EC2} for what EC2 "
                "documents."
            )
        if match[1] in rates:
            raise Misconfigured(f"{match[1]} has two rates; give it one")
        if match[1] != OTHERS and match[1] not in ACTIONS:
            raise Misconfigured(
                f"{match[1]!r} is no action served here.{did_you_mean(match[1], ACTIONS)}"
            )
        rates[match[1]] = Rate(float(match[2]), int(match[3]))
    return rates
