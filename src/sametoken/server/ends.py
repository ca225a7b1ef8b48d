"""Ends of requests: each is logged, counted and traced, and under a token put in the journal.

Only requests of proven callers count: nobody else writes into an account's stories. A request that
made something, and was answered so, is told by its entry alone, which is written anyway.
"""

from __future__ import annotations

from collections.abc import Mapping

from sametoken.ec2.catalog import ACTIONS
from sametoken.ec2.kit.actions import Read, Tokened
from sametoken.faults.kinds import Kind
from sametoken.idempotency import Attempt as Outcome
from sametoken.idempotency.fingerprint import fingerprint
from sametoken.resources.account.attempts import Attempt, TokenKey
from sametoken.server import invocations, request_log
from sametoken.server.counts import RequestCounts
from sametoken.server.exchange import Exchange, known
from sametoken.server.execution import keeping_secrets
from sametoken.server.journal import Journal
from sametoken.server.tracing import Tracing

# Faults that keep the reply from its caller.
_UNHEARD = frozenset({Kind.LOSE_REQUEST, Kind.LOSE_REPLY, Kind.CUT_REPLY})
_DONE = 200
# Outcomes that need no word here: of an entry's own, and of reads.
_TOLD = frozenset({Outcome.NEW, "read"})
# The longest token of any action, as the ledger keeps it; a longer one is refused, and is no key.
_TOKEN_CHARACTERS_MAX = 255
# A mismatch may differ in hundreds of paths; this many are enough to explain it.
DIFFERING_MAX = 32


class Ends:
    """Told of the end of each request. `node` is the name of this node, for people.

    `dedupes`: ids of invocations stand in for tokens. There are spans with `tracing` alone. For use
    from the event loop.
    """

    def __init__(
        self, journal: Journal, node: str, *, dedupes: bool, tracing: Tracing | None = None
    ) -> None:
        self.node = node
        self.tracing = tracing
        self.counts = RequestCounts()
        self._journal = journal
        self._dedupes = dedupes

    def answered(self, exchange: Exchange, seconds: float) -> None:
        """Take note of a request that has its reply, answered within `seconds`."""
        request_log.write_line(exchange, seconds)
        self.counts.ended(exchange, seconds)
        if self.tracing is not None:
            self.tracing.ended(exchange, seconds)
        executed = exchange.executed
        is_told = executed is not None and executed.attempt in _TOLD
        if is_told and known(exchange.reply).status == _DONE and not exchange.strikes:
            return
        self._note(exchange, seconds)

    def gone(self, exchange: Exchange) -> None:
        """Take note of a request that was given up, because nobody waits for its reply."""
        request_log.write_gone(exchange)
        self.counts.gone(exchange)
        self._note(exchange, None)

    def _note(self, exchange: Exchange, seconds: float | None) -> None:
        token = self._token(exchange)
        if token is None:
            return
        account, region = known(exchange.principal).account, known(exchange.signature).region
        reply, executed, wire = exchange.reply, exchange.executed, known(exchange.wire)
        outcome = "refused" if executed is None else executed.attempt
        strikes = exchange.strikes
        attempt = Attempt(
            round(exchange.received * 1e6),
            exchange.request_id,
            "gone" if seconds is None and executed is None else outcome,
            0 if reply is None or seconds is None else reply.status,
            "-" if reply is None else reply.code,
            None if seconds is None else round(seconds * 1e6),
            self.node,
            invocations.id_of(wire),
            invocations.number_of(wire),
            seconds is not None and not any(one.kind in _UNHEARD for one in strikes),
            [one.name for one in strikes],
            _sent(exchange),
        )
        key = TokenKey(token, account, region, exchange.action)
        self._journal.note(key, attempt, made=outcome == Outcome.NEW)

    def _token(self, exchange: Exchange) -> str | None:
        """Return the token of a request whose caller is proven; None if it has none."""
        action = ACTIONS.get(exchange.action)
        if exchange.principal is None or action is None or isinstance(action, Read):
            return None
        if exchange.admitted is not None:
            token = exchange.admitted.client_token
        else:
            given = (exchange.form or {}).get("ClientToken")
            token = given if isinstance(action, Tokened) else None
        if not token and self._dedupes:
            token = invocations.token_of(known(exchange.wire).last(invocations.HEADER))
        return token if token and _can_be(token) else None


def _can_be(token: str) -> bool:
    """Tell whether any action takes such a token: refused ones are as their callers sent them."""
    return len(token) <= _TOKEN_CHARACTERS_MAX and token.isascii() and token.isprintable()


def _sent(exchange: Exchange) -> Mapping[str, str | None]:
    """Return what the request had where it differed: "" for nothing, None for a secret."""
    executed, admitted = exchange.executed, exchange.admitted
    if executed is None or not executed.differing or admitted is None:
        return {}
    action = admitted.action
    assert isinstance(action, Tokened), "only their parameters are compared"
    rules = keeping_secrets(action.rules, admitted.codec.secrets)[-1]
    # The digests are not used, so no key is needed.
    made = fingerprint(admitted.request.params, rules, b"")
    return {
        path: made.plain.get(path) if path in made.digests else ""
        for path in executed.differing[:DIFFERING_MAX]
    }
