"""Limits: capacity per type and zone, vCPUs and EC2's quotas, and how fast one may ask."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sametoken.ec2.catalog import ACTIONS, QUOTAS
from sametoken.errors import Misconfigured
from sametoken.nearest import did_you_mean
from sametoken.operate.opened import Opened
from sametoken.resources.catalogues.geography import REGIONS, zone_by_name
from sametoken.resources.catalogues.instance_types import INSTANCE_TYPES
from sametoken.resources.kit import counters
from sametoken.server.rates import Rate, ec2_rates, everything_of, resources_of
from sametoken.store.port import Store, Tx
from sametoken.store.reading import Reads

# The largest number that every database holds in an integer column.
MAXIMUM_MAX = 2**31 - 1
_ACCOUNT = re.compile(r"[0-9]{12}")


@dataclass(frozen=True, slots=True)
class Limit:
    """A counter's name or its family's, and its `maximum`; None: as many as one likes.

    `per` is what a default counts in, when that is less than a Region.
    """

    name: str
    maximum: int | None
    is_default: bool = False
    per: str = ""


def check_name(name: str) -> None:
    """Raise `Misconfigured` for a limit that nothing would ever be held to."""
    kind, *rest = name.split("/")
    if kind not in ("capacity", "vcpus", *QUOTAS) or len(rest) != 2:
        raise Misconfigured(
            f"{name!r} is no limit; use capacity/ZONE/TYPE, vcpus/ACCOUNT/REGION or "
            f"KIND/ACCOUNT/REGION with one of: {', '.join(QUOTAS)}"
        )
    if kind == "capacity":
        _check_capacity(*rest)
    else:
        _check_quota(*rest)


def _check(name: str, maximum: object) -> None:
    check_name(name)
    if type(maximum) is not int or not 0 <= maximum <= MAXIMUM_MAX:
        raise Misconfigured(
            f"{maximum!r} is no maximum of {name}; give a whole number, from 0 to {MAXIMUM_MAX}"
        )


def _check_capacity(zone: str, instance_type: str) -> None:
    if zone != "*" and zone_by_name(zone) is None:
        raise Misconfigured(f"{zone!r} is no zone; use one, such as us-east-1a, or *")
    if instance_type != "*" and instance_type not in INSTANCE_TYPES:
        hint = did_you_mean(instance_type, INSTANCE_TYPES)
        raise Misconfigured(
            f"{instance_type!r} is no instance type served here; use one, or *.{hint}"
        )


def _check_quota(account: str, region: str) -> None:
    if account != "*" and not _ACCOUNT.fullmatch(account):
        raise Misconfigured(f"{account!r} is no account; use one's 12 digits, or *")
    if region != "*" and region not in REGIONS:
        raise Misconfigured(f"{region!r} is no Region; use one of {', '.join(REGIONS)}, or *")


def set_maximum(here: Opened[Store], name: str, maximum: int) -> None:
    """Hold `name` to `maximum`. Raises `Misconfigured` if one of them is none, with what to write.

    No layer below would notice: SQLite keeps a text in a column of integers, and each launch that
    is held against it would fail.
    """
    _check(name, maximum)
    here.store.run(lambda tx: counters.set_maximum(tx, name, maximum))


def unset_maximum(here: Opened[Store], name: str) -> None:
    """Hold `name` to its default again. Raises `Misconfigured` when it has none of its own."""
    if not here.store.run(lambda tx: counters.unset_maximum(tx, name)):
        raise Misconfigured(
            f"{name!r} has no maximum of its own; `sametoken limits list` shows all"
        )


def set_maxima(here: Opened[Store], maxima: Mapping[str, int | None]) -> None:
    """Set several limits at once, or with None unset them: all of them, or none if one is wrong."""
    for name, maximum in maxima.items():
        if maximum is None:
            check_name(name)
        else:
            _check(name, maximum)

    def change(tx: Tx) -> None:
        for name, maximum in maxima.items():
            if maximum is None:
                counters.unset_maximum(tx, name)
            else:
                counters.set_maximum(tx, name, maximum)

    here.store.run(change)


def limits(here: Opened[Reads]) -> list[Limit]:
    """The limits that were set, then the defaults of all others."""
    return [
        *(Limit(name, maximum) for name, maximum in here.store.read(counters.maxima_set)),
        Limit("capacity/*/*", counters.CAPACITY_DEFAULT, is_default=True),
        Limit("vcpus/*/*", counters.VCPUS_DEFAULT, is_default=True),
        *(
            Limit(f"{kind}/*/*", quota.maximum, is_default=True, per=quota.per)
            for kind, quota in QUOTAS.items()
        ),
    ]


def buckets(action: str | None) -> dict[str, Rate]:
    """The token buckets that EC2 documents: of an action, or with None of every one served here.

    Raises `Misconfigured` for an action that is not.
    """
    rates = ec2_rates()
    if action is None:
        return rates
    if action not in ACTIONS:
        raise Misconfigured(f"{action!r} is no action served here.{did_you_mean(action, ACTIONS)}")
    names = (action, everything_of(action), resources_of(action))
    return {name: rates[name] for name in names if name in rates}
