"""The board of a node for those who ask from outside: documents in, documents out. No HTTP here.

Each function answers with the board as it then is. Raises `Misconfigured` with a sentence that says
what to write instead; then nothing has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sametoken.ec2.protocol.documents import Document
from sametoken.errors import Misconfigured
from sametoken.faults.board import Board, Firing, counted
from sametoken.faults.reading import read_rules, told
from sametoken.server.fault_names import names


def show(board: Board) -> Document:
    """Return the rules, the counts of each by its name, and the last strikes."""
    standing = board.standing()
    return {
        "rules": [told(one.rule) for one in standing],
        "counts": counted(standing),
        "firings": [_shown(one) for one in board.firings()],
    }


def put(board: Board, document: Any) -> Document:
    """Have the rules of `document` in force, and no others."""
    board.set(read_rules(document, names(), where="the request"))
    return show(board)


def add(board: Board, document: Any) -> Document:
    """Have the rules of `document` in force too."""
    board.add(read_rules(document, names(), where="the request"))
    return show(board)


def clear(board: Board, document: Mapping[str, Any]) -> Document:
    """Take the rules of a list called `names` off the board, or all without one."""
    if not document:
        board.clear()
        return show(board)
    named = document.get("names")
    is_list = isinstance(named, list) and all(isinstance(one, str) for one in named)
    if document.keys() != {"names"} or not is_list:
        raise Misconfigured('give nothing, or the names of rules: {"names": ["lose-reply"]}')
    board.remove(document["names"])
    return show(board)


def _shown(firing: Firing) -> Document:
    occasion = firing.occasion
    shown = {
        "at": datetime.fromtimestamp(firing.at, UTC).isoformat(),
        "rule": firing.rule.name,
        "kind": firing.rule.kind.value,
        "what": occasion.what,
        "account": occasion.account,
        "region": occasion.region,
        "zone": occasion.zone,
        "action": occasion.action,
        "token": occasion.token,
        "step": occasion.step,
        "attempt": occasion.attempt,
    }
    return {name: value for name, value in shown.items() if value != ""}
