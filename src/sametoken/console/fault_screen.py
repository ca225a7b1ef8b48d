"""The screen of faults: rules in force, ready scenarios, and what has struck."""

from __future__ import annotations

from dataclasses import replace

from sametoken.console.site import Act, Given, Screen, Site
from sametoken.faults.board import Board
from sametoken.faults.ready import scenarios
from sametoken.faults.rules import Rule
from sametoken.operate import faults
from sametoken.server import fault_control

# Strikes that are shown, the newest first.
_STRIKES = 50
# Members of a strike that are left out where they are empty.
_UNTOLD = dict.fromkeys(("account", "action", "step", "token"), "")


def _faults(site: Site, given: Given) -> dict[str, object]:
    board = site.ruled.node.faults
    shown = fault_control.show(board)
    on = {rule.name: rule for rule in board.rules()}
    ready = [
        {"name": name, "says": says, "is_on": all(on.get(one.name) == one for one in _rules(name))}
        for name, says in scenarios().items()
    ]
    rules = [
        {
            "name": rule["name"], "kind": rule["kind"],
            "keys": {key: rule[key] for key in rule if key not in ("name", "kind")},
            **shown["counts"][rule["name"]],
        }
        for rule in shown["rules"]
    ]  # fmt: skip
    strikes = [_UNTOLD | one for one in reversed(shown["firings"][-_STRIKES:])]
    return {
        "scenarios": ready,
        "rules": rules,
        "strikes": strikes,
        "written": given.get("rule", ""),
    }


def _rules(scenario: str) -> tuple[Rule, ...]:
    """Return the rules of a scenario by names that tell where they are from."""
    return tuple(
        replace(rule, name=f"{scenario}: {rule.name}") for rule in faults.rules_named([scenario])
    )


def _switch_on(site: Site, given: Given) -> str:
    board = site.ruled.node.faults
    rules = _rules(given.get("scenario", ""))
    _remove(board, rules)
    board.add(rules)
    return "on"


def _switch_off(site: Site, given: Given) -> str:
    _remove(site.ruled.node.faults, _rules(given.get("scenario", "")))
    return "off"


def _remove(board: Board, rules: tuple[Rule, ...]) -> None:
    there = {one.name for one in board.rules()}
    board.remove([one.name for one in rules if one.name in there])


def _add(site: Site, given: Given) -> str:
    site.ruled.node.faults.add([faults.rule_of(given.get("rule", "").split())])
    return "added"


def _take_off(site: Site, given: Given) -> str:
    site.ruled.node.faults.remove([given.get("name", "")])
    return "removed"


def _clear(site: Site, given: Given) -> str:
    site.ruled.node.faults.clear()
    return "cleared"


SCREENS = (Screen("/faults", "Faults", "faults.html", _faults, of_development=True),)
ACTS = (
    Act("/faults/on", "/faults", _switch_on),
    Act("/faults/off", "/faults", _switch_off),
    Act("/faults/add", "/faults", _add),
    Act("/faults/remove", "/faults", _take_off),
    Act("/faults/clear", "/faults", _clear),
)
