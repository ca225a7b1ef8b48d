"""The first screen: what there is, what waits, and plots of what happens."""

from __future__ import annotations

from sametoken.console.site import Given, Screen, Site
from sametoken.operate import overview

# Tokens that the overview lists; the screen of tokens has more.
_NEWEST = 8


def _overview(site: Site, given: Given) -> dict[str, object]:
    return {"found": overview.look(site.here, newest=_NEWEST)}


SCREENS = (Screen("", "Overview", "overview.html", _overview),)
