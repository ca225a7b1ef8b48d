"""The screen of the clock: what it says, and orders to stop it and to move it on."""

from __future__ import annotations

from sametoken.console.site import Act, Given, Screen, Site
from sametoken.operate import clock
from sametoken.operate.durations import read_duration

# Spans that a person mostly wants: past a boot, past a lease, past a retention.
_SPANS = ("1m", "15m", "1h", "25h")


def _clock(site: Site, given: Given) -> dict[str, object]:
    return {"told": clock.look(site.here), "spans": _SPANS, "by": given.get("by", "")}


def _freeze(site: Site, given: Given) -> str:
    site.ruled.freeze()
    return "frozen"


def _resume(site: Site, given: Given) -> str:
    site.ruled.resume()
    return "resumed"


def _advance(site: Site, given: Given) -> str:
    site.ruled.advance(read_duration(given.get("by", "").strip()))
    return "advanced"


SCREENS = (Screen("/clock", "Clock", "clock.html", _clock, of_development=True),)
ACTS = (
    Act("/clock/freeze", "/clock", _freeze),
    Act("/clock/resume", "/clock", _resume),
    Act("/clock/advance", "/clock", _advance),
)
