"""Orders in which the steps of a few callers, runners and one crash can be taken.

A state is the database, the answers that each runner was given, the requests that are on their way,
and the answer that each caller has heard. From each state every possible next step is taken. States
that are equal in all of this are one, so the orders form a graph without circles, whose paths are
counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, NamedTuple

from exhaustive.disk import Age
from exhaustive.program import Member, Program, Ran, Told

# The refusal that binds its token, and after which a caller tries again.
NO_ROOM = "InsufficientInstanceCapacity"

# A try of a caller: (caller, number of the try).
Message = tuple[int, int]


class Caller(NamedTuple):
    """A caller that has sent `tries`. Its answer, `heard`, is on its way, and arrived once `over`.

    A caller that is over and has heard no answer has given up.
    """

    tries: int = 0
    heard: int | None = None
    over: bool = False


class State(NamedTuple):
    database: int
    age: Age
    runners: tuple[Told, ...]
    # Requests that were sent and not run yet, also those that no caller waits for any more.
    sent: tuple[Message, ...]
    callers: tuple[Caller, ...]


class Waiting(NamedTuple):
    """A candidate for a commit: a request that was sent, or a runner's next transaction."""

    member: Member
    message: Message | None
    runner: int = -1
    # The name of the runner's transaction, for messages.
    does: str = ""

    def __str__(self) -> str:
        if self.message is None:
            return f"runner {self.runner} ({self.does})"
        return f"{_name(self.message[0])}'s try {self.message[1]}"


class Move(NamedTuple):
    """A step: its words, joined only when shown, its next state, and the ways that lead there."""

    words: tuple[object, ...]
    to: State
    ways: int = 1

    def __str__(self) -> str:
        return " ".join(map(str, self.words))


@dataclass(frozen=True, slots=True)
class Space:
    """Callers beside runners. Each caller `asks` for a call of `program`, at most `tries` times.

    `commit_max` bounds the transactions of a commit; the store's writer takes all that wait.
    With `may_be_late`, callers may stop waiting, and requests may get lost; without it, a caller
    asks again only after a crash has broken its connection.
    With `lease_may_end`, time passes once, at any moment, and every lease is over.
    """

    program: Program
    asks: Sequence[int]
    tries: Sequence[int]
    runners: int = 1
    may_crash: bool = True
    may_be_late: bool = True
    lease_may_end: bool = False
    commit_max: int = 1

    def start(self) -> State:
        callers = tuple(Caller() for _ in self.tries)
        return State(self.program.disk.keep(), Age(), ((),) * self.runners, (), callers)

    def moves(self, state: State) -> Iterator[Move]:
        """Yield every next step; none at an end, where all callers and runners are done."""
        if self.may_crash and not state.age.restarted:
            left = self.program.restart(state.database)
            yield Move(("crash",), self._crashed(state, left, state.sent, {}))
        if self.lease_may_end and not state.age.lease_over:
            age = state.age._replace(lease_over=True)
            yield Move(("every lease is over",), state._replace(age=age))
        for number, caller in enumerate(state.callers):
            yield from self._calls(state, number, caller)
        for number, told in enumerate(state.runners):
            yield from self._looks(state, number, told)
        waiting = list(self._waiting(state))
        for size in range(1, min(len(waiting), self.commit_max) + 1):
            for chosen in permutations(waiting, size):
                yield from self._commit(state, chosen)

    # -- callers ------------------------------------------------------------------------------

    def _calls(self, state: State, number: int, caller: Caller) -> Iterator[Move]:
        if caller.over:
            return
        if caller.tries == 0:
            yield Move((_name(number), "sends"), self._sends(state, number, state.sent))
            return
        if caller.heard is not None:
            yield self._hears(state, number, caller.heard)
        waits = caller.heard is not None or (number, caller.tries) in state.sent
        if waits and not self.may_be_late:
            return
        late = self._sends(state, number, state.sent)
        yield Move((_name(number), "waits no longer"), late)
        if (number, caller.tries) in state.sent:
            rest = tuple([one for one in state.sent if one != (number, caller.tries)])
            lost = self._sends(state, number, rest)
            yield Move((_name(number), "waits no longer for a request that was lost"), lost)

    def _hears(self, state: State, number: int, heard: int) -> Move:
        """Return the caller's end; or its next try, if the answer is that there is no room."""
        caller, answer = state.callers[number], self.program.value(heard)
        if answer.code == NO_ROOM and caller.tries < self.tries[number]:
            words = (_name(number), "hears", answer.code, "and asks again")
            return Move(words, self._sends(state, number, state.sent))
        callers = _replaced(state.callers, number, Caller(caller.tries, heard, True))
        return Move((_name(number), "hears", answer), state._replace(callers=callers))

    def _sends(self, state: State, number: int, sent: tuple[Message, ...]) -> State:
        """Send the caller's next try; if it has none left, it is over without an answer."""
        tries = state.callers[number].tries
        if tries == self.tries[number]:
            callers = _replaced(state.callers, number, Caller(tries, None, True))
            return State(state.database, state.age, state.runners, sent, callers)
        more = tuple(sorted([*sent, (number, tries + 1)]))
        callers = _replaced(state.callers, number, Caller(tries + 1))
        return State(state.database, state.age, state.runners, more, callers)

    # -- nodes --------------------------------------------------------------------------------

    def _looks(self, state: State, number: int, told: Told) -> Iterator[Move]:
        if self.program.reads_next(told):
            found = self.program.looked(state.database, state.age, told)
            further = self.program.goes_on(told, found)
            if further != told:
                runners = _replaced(state.runners, number, further)
                yield Move((f"runner {number}", "looks"), state._replace(runners=runners))

    def _waiting(self, state: State) -> Iterator[Waiting]:
        for message in state.sent:
            yield Waiting(self.asks[message[0]], message)
        for number, told in enumerate(state.runners):
            if not self.program.reads_next(told):
                yield Waiting(told, None, number, self.program.does(told))

    def _commit(self, state: State, chosen: tuple[Waiting, ...]) -> Iterator[Move]:
        """Commit the `chosen` in their order; and crash at each point on the way."""
        members = tuple([one.member for one in chosen])
        ran = self.program.commit(state.database, state.age, members)
        taken = [one.message for one in chosen]
        sent = tuple([message for message in state.sent if message not in taken])
        runners, callers = state.runners, state.callers
        for (_, message, number, _), told in zip(chosen, ran.told, strict=True):
            if message is None:
                further = self.program.goes_on(runners[number], told)
                runners = _replaced(runners, number, further)
            else:
                callers = _heard(callers, message, told)
        yield Move(("commit of", *chosen), State(ran.after, state.age, runners, sent, callers))
        if self.may_crash:
            yield from self._crashes(state, chosen, ran, sent)

    def _crashes(
        self, state: State, chosen: tuple[Waiting, ...], ran: Ran, sent: tuple[Message, ...]
    ) -> Iterator[Move]:
        for cut in ran.cuts:
            said = {
                message: told
                for (_, message, _, _), told in zip(chosen, cut.said, strict=True)
                if message is not None and told is not None
            }
            words = ("commit of", *chosen, "crash at", " or ".join(cut.points))
            yield Move(words, self._crashed(state, cut.left, sent, said), len(cut.points))

    def _crashed(
        self, state: State, database: int, sent: tuple[Message, ...], said: dict[Message, int]
    ) -> State:
        """Lose all state of the process, except answers that it had sent; requests stay sent."""
        callers = tuple(
            [one if one.over else Caller(one.tries) for one in state.callers],
        )
        for message, told in said.items():
            callers = _heard(callers, message, told)
        return State(database, Age(restarted=True), ((),) * self.runners, sent, callers)


def _name(caller: int) -> str:
    return "ABC"[caller]


def _replaced(all_: tuple[Any, ...], at: int, new: Any) -> tuple[Any, ...]:
    return (*all_[:at], new, *all_[at + 1 :])


def _heard(callers: tuple[Caller, ...], message: Message, told: int) -> tuple[Caller, ...]:
    """Put an answer on its way to its caller, if the caller still waits for it."""
    number, tries = message
    caller = callers[number]
    if caller.over or caller.tries != tries:
        return callers
    return _replaced(callers, number, Caller(tries, told))
