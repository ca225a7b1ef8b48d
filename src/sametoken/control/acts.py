"""Acts of the control routes: for each its method and path, the members it takes, and what it does.

Functions of dictionaries, which know nothing of HTTP; `web` serves them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, get_args

from sametoken.control.controls import Controls
from sametoken.errors import Misconfigured
from sametoken.faults.board import Board
from sametoken.nearest import did_you_mean
from sametoken.operate.clock import Told
from sametoken.operate.durations import read_duration
from sametoken.operate.story.model import Story
from sametoken.resources.account.accounts import Access
from sametoken.server import fault_control as faults

Given = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Act:
    """An act. `members` are those that its body may have, each with the type of its value.

    With None any members are taken, as `run` checks them. `says` is its line in the list of acts.
    """

    method: str
    path: str
    says: str
    run: Callable[[Given], object]
    members: Mapping[str, type] | None = field(default_factory=dict)

    def check(self, given: Given) -> None:
        """Raise `Misconfigured` for a member that the act does not take, or not with that value."""
        if self.members is None:
            return
        for name, value in given.items():
            if name not in self.members:
                takes = f"it takes {', '.join(self.members)}" if self.members else "it takes none"
                hint = did_you_mean(name, self.members)
                raise Misconfigured(f"{self.path} knows no member {name!r}; {takes}.{hint}")
            wanted = self.members[name]
            if type(value) is not wanted:
                raise Misconfigured(f"{name} is {value!r}; give a {_KINDS[wanted]}")


_KINDS = {str: "text", int: "whole number", dict: "object"}


def acts_of(controls: Controls) -> list[Act]:
    """List all acts on a node."""
    return [
        *_clock_acts(controls),
        *_state_acts(controls),
        *_account_acts(controls),
        *_fault_acts(controls.node.faults),
        Act(
            "POST",
            "/console",
            "make a link that lets one browser into the console, once",
            lambda _: {"link": controls.console_link()},
        ),
        Act(
            "GET",
            "/stories",
            "tell the stories of a token, or of a resource's or request's id, called of; of one"
            " account, by its 12 digits, or of all",
            lambda given: {"stories": _stories(controls, given)},
            {"of": str, "account": str},
        ),
    ]


def _clock_acts(controls: Controls) -> list[Act]:
    return [
        Act("GET", "/clock", "tell the store's clock", lambda _: _told(controls.clock())),
        Act("POST", "/clock/freeze", "stop it", lambda _: _told(controls.freeze())),
        Act("POST", "/clock/resume", "let it go on", lambda _: _told(controls.resume())),
        Act(
            "POST",
            "/clock/advance",
            'move it on by a span such as "25h", and wait for all that falls due',
            lambda given: _told_after(controls, controls.advance(read_duration(_by(given)))),
            {"by": str},
        ),
    ]


def _state_acts(controls: Controls) -> list[Act]:
    named = {
        "save": ("save the present state under a new name", controls.save),
        "load": ("go back to a saved state", controls.load),
        "delete": ("delete a saved state", controls.forget),
    }
    return [
        Act(
            "POST",
            "/reset",
            "remove all that an account has made, or all accounts",
            lambda given: controls.reset(given.get("account")),
            {"account": str},
        ),
        Act("GET", "/snapshots", "list saved states", lambda _: {"snapshots": controls.saved()}),
        *(
            Act("POST", f"/snapshots/{verb}", says, partial(_with_name, act), {"name": str})
            for verb, (says, act) in named.items()
        ),
    ]


def _account_acts(controls: Controls) -> list[Act]:
    def create_account(given: Given) -> object:
        access = given.get("access", "full")
        if access not in get_args(Access):
            raise Misconfigured(f"access is {access!r}; give {' or '.join(get_args(Access))}")
        named = {name: value for name, value in given.items() if name not in ("name", "access")}
        return asdict(controls.new_account(given.get("name"), access=access, **named))

    def set_limits(given: Given) -> object:
        controls.set_limits(dict(given))
        return _limits(controls)

    return [
        Act("GET", "/accounts", "list access keys", lambda _: {"keys": _all(controls.accounts())}),
        Act(
            "POST",
            "/accounts",
            "make an access key, and its account if the name is new or left out",
            create_account,
            {"name": str, "access_key_id": str, "secret_access_key": str, "access": str},
        ),
        Act("GET", "/limits", "list limits", lambda _: _limits(controls)),
        Act("PUT", "/limits", "set limits, or with null unset them", set_limits, None),
    ]


def _fault_acts(board: Board) -> list[Act]:
    return [
        Act("GET", "/faults", "list the faults and the last strikes", lambda _: faults.show(board)),
        Act(
            "PUT",
            "/faults",
            "have the faults of a list called rules in force, and no others",
            lambda given: faults.put(board, given),
            None,
        ),
        Act(
            "POST",
            "/faults",
            "have the faults of a list called rules in force too",
            lambda given: faults.add(board, given),
            None,
        ),
        Act(
            "DELETE",
            "/faults",
            "take the faults of a list called names out of force, or all",
            lambda given: faults.clear(board, given),
            None,
        ),
    ]


def _stories(controls: Controls, given: Given) -> list[Story]:
    if "of" not in given:
        raise Misconfigured('the member "of" is missing; give a token such as /stories?of=order-17')
    return controls.stories(given["of"], given.get("account"))


def _by(given: Given) -> str:
    if "by" not in given:
        raise Misconfigured('the member "by" is missing; give a span such as {"by": "25h"}')
    by: str = given["by"]
    return by


def _with_name(act: Callable[[str], None], given: Given) -> None:
    if "name" not in given:
        raise Misconfigured('the member "name" is missing; give one such as {"name": "before"}')
    act(given["name"])


def _told(told: Told) -> dict[str, object]:
    return {
        "now": told.now.isoformat(),
        "frozen": told.stands,
        "ahead_seconds": max(0.0, told.ahead.total_seconds()),
    }


def _told_after(controls: Controls, moment: datetime) -> dict[str, object]:
    return _told(controls.clock()) | {"now": moment.isoformat()}


def _all(values: list[Any]) -> list[dict[str, object]]:
    return [asdict(one) for one in values]


def _limits(controls: Controls) -> dict[str, object]:
    return {"limits": _all(controls.limits())}
