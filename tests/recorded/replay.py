"""Replaying a tape with requests: each call is made here, and its answer held against EC2's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError, ParamValidationError

from exercises.catalogue import ACTIONS
from recorded.comparing import ID, differences, text_differs, translated
from recorded.recording import Call, Document, Tape

# Ids that are the same for everybody, and so are never made by a call of the tape.
_NOBODYS = frozenset({"vol-ffffffff"})
# A pause between two recorded calls that stands for the wait until something has become ready.
_WAIT_SECONDS = 1.5


class Here:
    """The accounts in which a tape is replayed: clients by caller, and how time passes.

    `instead` makes what a call of another service made, by EC2's actions; None of what it cannot.
    """

    def __init__(
        self,
        client: Callable[[str], Any],
        account: Callable[[str], str],
        later: Callable[[], None],
        instead: Callable[[Call], Document | None] = lambda call: None,
    ) -> None:
        self.client, self.account, self.later, self.instead = client, account, later, instead


def replay(tape: Tape, here: Here) -> Iterator[str]:
    """Yield the differences between a tape and this plane, each with the label of its call.

    A call is left out if its action is not served, or if it names a resource that a call made
    which was left out.
    """
    # Ids, and accounts: the tape's own is that of its first caller, others tell who they are.
    ids = {tape.account: here.account(tape.calls[0].caller)} if tape.account else {}
    for call in tape.calls:
        if call.action == "GetCallerIdentity" and not call.code:
            ids.setdefault(call.answer["Account"], here.account(call.caller))
        if call.pause >= _WAIT_SECONDS:
            here.later()
        if not call.of_ec2:
            made = here.instead(call)
            list(differences("", call.answer, made or {}, ids))
        if not is_driven(call, ids):
            continue
        asked = translated(call.params, ids)
        for one in compared(call, here.client(call.caller), asked, ids):
            yield f"{tape.name}/{call.label} {call.action}: {one}"


def is_driven(call: Call, ids: Mapping[str, str]) -> bool:
    """Tell whether a recorded call can be made here."""
    if not call.of_ec2 or call.action not in ACTIONS or call.params is None:
        return False
    named = _ids_in(call.params) - _NOBODYS
    # A refusal of an id that never was tells as much as one of an id that is known.
    return bool(call.code) or named <= ids.keys()


def _ids_in(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {id for inner in value.values() for id in _ids_in(inner)}
    if isinstance(value, list):
        return {id for inner in value for id in _ids_in(inner)}
    return {value} if isinstance(value, str) and ID.fullmatch(value) else set()


def compared(call: Call, client: Any, asked: Document, ids: dict[str, str]) -> Iterator[str]:
    """Make one call, and name what differs from its recorded answer."""
    try:
        given = getattr(client, xform_name(call.action))(**asked)
    except ClientError as refused:
        error = refused.response["Error"]
        yield from refusals(call, error["Code"], error["Message"])
        return
    except ParamValidationError as wrong:
        yield f"cannot be sent: {wrong}"
        return
    given.pop("ResponseMetadata")
    if call.code:
        yield f"succeeds, and EC2 answers {call.code}"
    else:
        yield from differences("", call.answer, given, ids)


def refusals(call: Call, code: str, text: str) -> Iterator[str]:
    """Name what differs between a recorded refusal and one of here."""
    if code != call.code:
        yield f"is refused with {code}, not {call.code or 'at all'}"
    elif text_differs(call.text, text):
        yield f"says {text!r}, not {call.text!r}"
