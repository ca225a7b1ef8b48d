"""Telling stories: what became of a token, from all rows that know anything of it, in one snapshot.

Reads alone, so a story holds nobody up. Requests and steps have written all of it anyway, but for
the attempts that `server.journal` writes later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from sametoken.errors import Misconfigured
from sametoken.idempotency import Scope, entries
from sametoken.idempotency.ledger import Entry, Outcome
from sametoken.operate.opened import Opened
from sametoken.operate.story import attempts as tried
from sametoken.operate.story import resources as made
from sametoken.operate.story import steps, verdicts
from sametoken.operate.story.finding import find
from sametoken.operate.story.model import Attempt, Bound, Launch, Story
from sametoken.resources.account import attempts
from sametoken.resources.account.attempts import Kept, TokenKey
from sametoken.resources.compute.instances import INSTANCE
from sametoken.resources.kit import rows
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx
from sametoken.store.reading import Reads
from sametoken.workflow import work


def tell(here: Opened[Reads], named: str, *, account: str | None = None) -> list[Story]:
    """Tell the stories of what is `named`: a token (one for each scope that it was used in), an
    instance, a reservation, another resource that a token made, or a request, by its id.

    Only those of `account`; of all accounts with None. Raises `Misconfigured` if there is none.
    """
    found = here.store.read(lambda tx: _tell(tx, named, account))
    if not found:
        whose = "" if account is None else f" of account {account}"
        raise Misconfigured(
            f"nothing{whose} is kept of {named!r}: no token, instance, reservation or request has "
            "that name; `sametoken tokens list` shows the tokens that are retained"
        )
    return found


def _tell(tx: Tx, named: str, account: str | None) -> list[Story]:
    subjects = find(tx, named, account)
    kept = subjects.attempts
    if kept is None:
        missed = [attempts.missed(one) for one in {key.account for key in subjects.tokens}]
        kept = attempts.of(tx, [*subjects.tokens, *missed])
    return [
        *(_of_token(tx, key, subjects.entries.get(key), kept) for key in subjects.tokens),
        *(_of_launch(tx, launched) for launched in subjects.untokened),
    ]


@dataclass(frozen=True, slots=True)
class _Held:
    """Resources that an entry holds: work of launches, and rows, by id."""

    ids: Sequence[str]
    works: dict[str, work.Work]
    rows: dict[str, Row]

    @property
    def launches(self) -> tuple[Launch, ...]:
        found = (id for id in self.ids if id in self.works)
        return tuple(steps.told(self.works[id], self.rows.get(id)) for id in found)


def _held(tx: Tx, ids: Sequence[str]) -> _Held:
    launched = [id for id in ids if id.startswith(f"{INSTANCE.prefix}-")]
    works = work.of_instances(tx, launched) if launched else {}
    every = chain(ids, *(made.parts_of(one) for one in works.values()))
    return _Held(ids, works, rows.by_ids(tx, every) if ids else {})


def _of_token(tx: Tx, key: TokenKey, entry: Entry | None, kept: Mapping[TokenKey, Kept]) -> Story:
    """Tell of a token; its `entry` is looked up if it was not read yet."""
    if entry is None:
        scope = Scope(key.account, key.region, key.action)
        entry = entries.Ledger().find(tx, scope, key.client_token)
    own = kept.get(key, Kept())
    claimed_at, kept_until, notes, held = None, None, list[entries.Repeat](), _held(tx, ())
    if entry is not None:
        claimed_at, kept_until, ids = entries.holding(tx, entry)
        notes = entries.read_attempts(tx, entry)
        held = _held(tx, ids)
    outcomes = () if entry is None else entry.outcomes
    every = tried.told(outcomes, notes, own, claimed_at, tx.now)
    launches = held.launches
    resources = made.told(tx, held.ids, held.works, held.rows)
    verdict, said = verdicts.of(outcomes, every, launches, resources)
    return Story(
        tx.now, *_scope_of(key), key.client_token, verdict, said, claimed_at, kept_until,
        tuple(_bound(one) for one in outcomes), tuple(every), own.left_out, launches, resources,
        _unknown(entry, every, launches, kept.get(attempts.missed(key.account))),
    )  # fmt: skip


def _of_launch(tx: Tx, launched: Sequence[Row]) -> Story:
    """Tell of a launch without a token, by its instances."""
    first = launched[0]
    held = _held(tx, [row.id for row in launched])
    launches = held.launches
    resources = made.told(tx, held.ids, held.works, held.rows)
    verdict, said = verdicts.of((), (), launches, resources)
    unknown = "The launch had no client token, so nobody can tell which requests asked for it."
    return Story(
        tx.now, first.account, first.region, "RunInstances", None, verdict, said, first.created_at,
        None, (), (), 0, launches, resources, (unknown, *_gaps(launches)),
    )  # fmt: skip


def _scope_of(key: TokenKey) -> tuple[str, str, str]:
    return key.account, key.region, key.action


def _bound(outcome: Outcome) -> Bound:
    assert outcome.recorded_at is not None, "it was read"
    kept = outcome.fingerprint
    return Bound(
        outcome.zone,
        outcome.state.value,
        outcome.recorded_at,
        outcome.request_id,
        outcome.identities or {},
        dict(sorted(kept.plain.items())),
        tuple(sorted(kept.digests.keys() - kept.plain.keys())),
    )


def _unknown(
    entry: Entry | None, every: Sequence[Attempt], launches: Sequence[Launch], missed: Kept | None
) -> tuple[str, ...]:
    """Return sentences on what cannot be known of a token."""
    said = list[str]()
    blank = [one for one in every if one.outcome == tried.UNKNOWN]
    for one in blank:
        said.append(
            f"The request that claimed the token at {_moment(one.made_at)} made nothing, and what "
            "its caller was told is not kept: its node ended before it had written that down."
        )
    if missed is not None:
        said.append(
            f"{missed.left_out} attempts of the account were not kept, because too many tokens "
            "were repeated or refused in the same second; some may be of this token."
        )
    for one in every:
        if one.outcome == tried.UNDONE:
            said.append(
                f"Request {one.request_id} was answered as new, and the database does not have "
                "what it made: it was undone after the answer, as by a failover."
            )
    return (*said, *_gaps(launches))


def _gaps(launches: Sequence[Launch]) -> list[str]:
    return [
        f"The steps of {one.instance} before plan {one.walks[0].epoch + 1} are not kept: an "
        "earlier version drove them."
        for one in launches
        if one.walks[0].epoch > 0
    ]


def _moment(moment: datetime) -> str:
    return f"{moment:%F %T}"
