"""Faults of one account, for a block: what network, EC2 and machines do wrong on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sametoken.errors import Misconfigured
from sametoken.faults.kinds import FORMS
from sametoken.faults.reading import told
from sametoken.faults.ready import rules_of
from sametoken.nearest import did_you_mean
from sametoken.server.fault_names import names
from sametoken.testing.blocks import Block
from sametoken.testing.control import Control


class Faults(Block):
    """Rules of faults for one account's requests and launches, until the block ends.

    Kinds and keys are those of `docs/faults.md`. Raises `Misconfigured` for what is none, with what
    to write instead.
    """

    def __init__(self, control: Control, account: str) -> None:
        self._control = control
        self._account = account
        self._names: list[str] = []

    def undo(self) -> None:
        self.clear()

    def add(self, kind: str, **keys: Any) -> str:
        """Add a rule, and return its name: `faults.add("lose-reply", action="RunInstances")`.

        It strikes each request, or step of a launch, that its keys match: `times=1` the first
        alone, `odds=0.1` one in ten, always the same ones of a `seed`.
        """
        [name] = self._add([{"kind": kind, **keys}])
        return name

    def scenario(self, name: str) -> list[str]:
        """Add the rules of a ready scenario, such as "flaky-network", or of a TOML file."""
        return self._add([told(rule) for rule in rules_of(name, names())])

    def remove(self, name: str) -> None:
        """Take a rule away. Raises `Misconfigured` for a name that no rule has."""
        self._control.ask("DELETE", "/faults", {"names": [name]})
        self._names = [one for one in self._names if one != name]

    def clear(self) -> None:
        """Take all rules away that were added here, and are not gone with a server that died."""
        added, self._names = self._names, []
        if added and self._control.runs:
            standing = {rule["name"] for rule in self._control.ask("GET", "/faults")["rules"]}
            left = [name for name in added if name in standing]
            if left:
                self._control.ask("DELETE", "/faults", {"names": left})

    def fired(self, name: str | None = None) -> int:
        """Count how often a rule fired, by its name; or (None) all rules that are the account's.

        Rules that were aimed at it elsewhere count too, such as those of a marker. Raises
        `Misconfigured` for a name that no rule has.
        """
        shown = self._control.ask("GET", "/faults")
        known = [rule["name"] for rule in shown["rules"] if self._has(rule)]
        if name is not None and name not in known:
            listed = ", ".join(known) or "none"
            raise Misconfigured(
                f"there is no rule {name!r} here.{did_you_mean(name, known)} There are: {listed}"
            )
        return sum(shown["counts"][one]["fired"] for one in ([name] if name else known))

    def _has(self, rule: Mapping[str, Any]) -> bool:
        return rule["name"] in self._names or rule.get("account") == self._account

    def _add(self, rules: Sequence[Mapping[str, Any]]) -> list[str]:
        given = [self._aimed(rule) for rule in rules]
        shown = self._control.ask("POST", "/faults", {"rules": given})
        added = [str(rule["name"]) for rule in shown["rules"][-len(given) :]]
        self._names += added
        return added

    def _aimed(self, rule: Mapping[str, Any]) -> dict[str, Any]:
        """Aim a rule at the account, if rules of its kind can be aimed at one.

        It has no name unless it was given one: what a seed draws depends on it, and the node names
        the first of a kind the same each time.
        """
        form = FORMS.get(rule["kind"])
        aimable = form is None or "account" in form.keys
        return {"account": self._account, **rule} if aimable else dict(rule)
