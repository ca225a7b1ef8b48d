"""Faults for an operator: rules of files and scenarios, and the board of a node that serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sametoken.faults.board import Board
from sametoken.faults.reading import read_word, told
from sametoken.faults.ready import rules_of
from sametoken.faults.rules import Rule
from sametoken.operate.asking import ask
from sametoken.operate.opened import Opened
from sametoken.server.fault_names import names
from sametoken.store.reading import Reads


def rules_named(asked: Sequence[str]) -> tuple[Rule, ...]:
    """Return the rules of files and scenarios, together, by the names that they will have.

    Raises `Misconfigured` for what a node would refuse.
    """
    rules = [rule for one in asked for rule in rules_of(one, names())]
    return Board(lambda: 0.0, rules, owns_process=True).rules()


def rule_of(words: Sequence[str]) -> Rule:
    """Return the rule of a command's words: a kind, and its keys."""
    return read_word(";".join(words), names(), where="the rule", joint=" ")


def listed(here: Opened[Reads]) -> dict[str, Any]:
    """Return the board of the node that serves the database."""
    return _told(here, "GET", None)


def put(here: Opened[Reads], rules: Sequence[Rule]) -> dict[str, Any]:
    """Have these rules in force there, and no others."""
    return _told(here, "PUT", {"rules": [told(one) for one in rules]})


def add(here: Opened[Reads], rules: Sequence[Rule]) -> dict[str, Any]:
    """Have these rules in force there too."""
    return _told(here, "POST", {"rules": [told(one) for one in rules]})


def clear(here: Opened[Reads], named: Sequence[str]) -> dict[str, Any]:
    """Take the named rules off the board there, or all."""
    return _told(here, "DELETE", {"names": list(named)} if named else None)


def _told(here: Opened[Reads], method: str, given: dict[str, object] | None) -> dict[str, Any]:
    found: dict[str, Any] = ask(here, method, "/faults", given)
    return found
