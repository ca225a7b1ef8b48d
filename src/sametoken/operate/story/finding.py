"""Finding what a story is about: a token, or what a resource's or a request's id leads to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sametoken.idempotency import Entry, Scope, entries
from sametoken.resources.account import attempts
from sametoken.resources.account.attempts import Kept, TokenKey
from sametoken.resources.compute import instances
from sametoken.resources.compute.instances import INSTANCE
from sametoken.resources.kit import rows
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx

RESERVATION_PREFIX = "r-"


@dataclass(frozen=True, slots=True)
class Subjects:
    """Tokens in their scopes, and instances of launches that had none, by launch.

    `entries` and `attempts` are those of the tokens, None as far as they were not read on the way.
    """

    tokens: tuple[TokenKey, ...] = ()
    untokened: tuple[tuple[Row, ...], ...] = ()
    entries: Mapping[TokenKey, Entry] = field(default_factory=dict)
    attempts: Mapping[TokenKey, Kept] | None = None

    def __bool__(self) -> bool:
        return bool(self.tokens or self.untokened)


def find(tx: Tx, named: str, account: str | None) -> Subjects:
    """Find what is meant by a token, an instance's, reservation's, resource's or request's id.

    Only what is `account`'s; of all accounts with None. A token of that name comes first.
    """
    bound = {_key(one.scope, one.client_token): one for one in entries.find_everywhere(tx, named)}
    kept = attempts.of_token(tx, named)
    tried = sorted(key for key in kept if key.client_token)
    found = _own([*bound, *tried], account)
    if found:
        return Subjects(found, entries=bound, attempts=kept)
    launched = _launched(tx, named, account)
    ids = [row.id for row in launched] or [named]
    held = [_key(*one) for id in ids for one in entries.of_resource(tx, id)]
    if found := _own(held, account):
        return Subjects(found)
    if launched:
        return Subjects(untokened=(tuple(launched),))
    return Subjects(_own(_of_request(tx, named), account))


def _launched(tx: Tx, named: str, account: str | None) -> list[Row]:
    """List the instances that are meant by an instance's or a reservation's id."""
    ids = [named]
    if named.startswith(RESERVATION_PREFIX):
        ids = instances.of_reservation(tx, named)
    found = rows.by_ids(tx, ids).values()
    return [row for row in found if row.kind == INSTANCE.name and account in (None, row.account)]


def _of_request(tx: Tx, named: str) -> list[TokenKey]:
    bound = [_key(*one) for one in entries.of_request(tx, named)]
    tried = None if bound else attempts.of_request(tx, named)
    return bound if tried is None else [tried]


def _own(found: Iterable[TokenKey], account: str | None) -> tuple[TokenKey, ...]:
    return tuple(dict.fromkeys(key for key in found if account in (None, key.account)))


def _key(scope: Scope, client_token: str) -> TokenKey:
    return TokenKey(client_token, scope.account, scope.region, scope.action)
