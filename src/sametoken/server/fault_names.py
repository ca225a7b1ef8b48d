"""The names that rules of faults may aim at here: actions, places, types, steps and codes."""

from __future__ import annotations

from functools import lru_cache

from sametoken.ec2.catalog import ACTIONS
from sametoken.ec2.protocol import error_codes
from sametoken.faults.reading import Names
from sametoken.resources.catalogues import geography
from sametoken.resources.catalogues.instance_types import INSTANCE_TYPES
from sametoken.workflow.plans import PLANS


@lru_cache(maxsize=1)
def names() -> Names:
    """Return them all; made when they are first asked for."""
    return Names(
        actions=tuple(ACTIONS),
        regions=tuple(geography.REGIONS),
        zones=tuple(
            zone.name for region in geography.REGIONS for zone in geography.zones_of(region)
        ),
        instance_types=tuple(INSTANCE_TYPES),
        steps=tuple(dict.fromkeys(step.name for plan in PLANS.values() for step in plan.steps)),
        codes=error_codes.LISTED,
    )
