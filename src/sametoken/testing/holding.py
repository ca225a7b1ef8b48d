"""Judging what an account holds: sentences on all that it should not. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sametoken.errors import Misconfigured
from sametoken.nearest import did_you_mean
from sametoken.operate.holdings import Holdings
from sametoken.resources.kit.kinds import KINDS

# Kinds that a launch also makes, so that one of them too many is seen without being asked for.
_ALWAYS = {"instances": 1, "volumes": 0, "network_interfaces": 0}


def wrongs(found: Holdings, wanted: Mapping[str, int]) -> list[str]:
    """List what is wrong with `found`, where an account should hold `wanted`: plurals of kinds."""
    counts = {**_ALWAYS, **wanted}
    return [*_miscounts(found, counts), *found.orphans, *_unfinished(found)]


def _miscounts(found: Holdings, counts: Mapping[str, int]) -> Iterator[str]:
    for plural, count in counts.items():
        living = found.living.get(_kind(plural), ())
        if len(living) != count:
            listed = "".join(f"\n    {one}" for one in living)
            alone = "" if plural == "instances" else " that no instance has"
            yield f"{plural.replace('_', ' ')}{alone}: {len(living)}, and not {count}{listed}"


def _unfinished(found: Holdings) -> Iterator[str]:
    if found.waits:
        yield "the clock is frozen: call clock.resume(), or clock.advance(…) to what is due later"
    yield from (f"not done yet: {one}" for one in found.unfinished)


def _kind(plural: str) -> str:
    """Return the kind that is meant: `key_pairs` and `dhcp_options` are as in code, and in plural.

    Raises `Misconfigured` for a word that is none.
    """
    spelled = plural.replace("_", "-")
    for kind in (spelled, spelled.removesuffix("s")):
        if kind in KINDS:
            return kind
    known = {f"{kind.replace('-', '_').removesuffix('s')}s" for kind in KINDS}
    raise Misconfigured(f"{plural!r} are nothing that lives here.{did_you_mean(plural, known)}")
