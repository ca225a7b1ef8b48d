"""The screen of accounts and limits, to be read."""

from __future__ import annotations

from sametoken.console.site import Given, Screen, Site
from sametoken.operate import accounts, limits


def _accounts(site: Site, given: Given) -> dict[str, object]:
    return {"keys": accounts.keys(site.here), "limits": limits.limits(site.here)}


SCREENS = (Screen("/accounts", "Accounts", "accounts.html", _accounts),)
