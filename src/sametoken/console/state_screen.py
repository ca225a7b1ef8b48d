"""The screen of what is kept: a fresh start, and saved states. An order that undoes asks."""

from __future__ import annotations

from sametoken.console.site import Act, Given, Screen, Site
from sametoken.operate import accounts


def _state(site: Site, given: Given) -> dict[str, object]:
    is_file = site.here.database.file is not None
    names = sorted({(one.account, one.name) for one in accounts.keys(site.here)})
    return {
        "database": str(site.here.database),
        "saved": site.ruled.saved() if is_file else None,
        "accounts": names,
        "name": given.get("name", ""),
    }


def _reset(site: Site, given: Given) -> str:
    site.ruled.reset(given.get("account") or None)
    return "reset"


def _save(site: Site, given: Given) -> str:
    site.ruled.save(given.get("name", "").strip())
    return "saved"


def _load(site: Site, given: Given) -> str:
    site.ruled.load(given.get("name", ""))
    return "loaded"


def _delete(site: Site, given: Given) -> str:
    site.ruled.forget(given.get("name", ""))
    return "deleted"


def _ask_reset(given: Given) -> str:
    whose = f"account {given['account']} has" if given.get("account") else "all accounts have"
    return (
        f"Remove all that {whose} made: resources, tokens and launches? Keys, limits, faults and "
        "the clock stay."
    )


def _ask_load(given: Given) -> str:
    return (
        f"Go back to the state {given.get('name', '')!r}? All that was made since is gone, and the "
        "clock goes back as well."
    )


def _ask_delete(given: Given) -> str:
    return f"Delete the saved state {given.get('name', '')!r}?"


SCREENS = (Screen("/state", "State", "state.html", _state, of_development=True),)
ACTS = (
    Act("/state/reset", "/state", _reset, _ask_reset),
    Act("/state/save", "/state", _save),
    Act("/state/load", "/state", _load, _ask_load),
    Act("/state/delete", "/state", _delete, _ask_delete),
)
