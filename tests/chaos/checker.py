"""Judges a history: the answers that clients got, against the database's rows at the end. No I/O.

The checker uses nothing of the product, so that no mistake of its own can excuse it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from chaos.history import Answer, Call, Event, History, Token

# KINDS are the resources that each create makes.
KINDS = {
    "RunInstances": "instance",
    "CreateVolume": "volume",
    "CreateNetworkInterface": "network-interface",
    "CreateRouteTable": "route-table",
    "CreateNetworkAcl": "network-acl",
}
MISMATCH = "IdempotentParameterMismatch"
# Virtual CPUs of the instance types that are launched.
_VCPUS = {"t3.micro": 2, "t3.small": 2}
_WITH_A_VPC = frozenset({"route-table", "network-acl"})
_PASSING = frozenset({"pending", "shutting-down", "stopping", "creating", "deleting"})


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise.

    `kind`: lost, doubled, changed (a reply names other ids, or refuses what it must not), orphaned,
    unfinished (work, or the history itself), refused.
    """

    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


class Checker:
    """A history, indexed. Ask it for its `violations`."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._calls: dict[Token, list[Call]] = defaultdict(list)
        for call in history.creates():
            self._calls[call.named].append(call)
        # Removals by id: the moment when each was first asked, and the ids whose removal was
        # answered.
        self._asked_away: dict[str, int] = {}
        self._removed: set[str] = set()
        for call in history.removals():
            for id in call.about:
                self._asked_away.setdefault(id, call.n)
            if any(_has_removed(answer) for answer in call.answers):
                self._removed.update(call.about)
        self._resources = {row["id"]: row for row in self._rows("resource")}
        self._entries = {_named(row): row for row in self._rows("entry")}
        self._named = {id for row in self._entries.values() for id in row["ids"]}

    def _rows(self, table: str) -> list[Event]:
        return self._history.rows.get(table, [])

    def violations(self) -> list[Violation]:
        """Every broken promise that the history shows; empty when all were kept."""
        if self._history.end is None:
            return [Violation("unfinished", "the history does not reach its end")]
        found: list[Violation] = []
        for token, calls in self._calls.items():
            told = _told(calls)
            found += self._replies(token, told)
            found += self._refusals(token, calls, told)
            found += self._holdings(token, calls, told)
        found += self._entries_and_things()
        found += self._parts()
        found += self._counters()
        found += self._machines()
        found += self._work()
        return found

    # -- answers to clients ------------------------------------------------------------------------

    def _replies(self, token: Token, told: list[tuple[Answer, Call]]) -> Iterator[Violation]:
        """Check that every reply names the same ids, for the same parameters."""
        if len({answer.ids for answer, _ in told}) > 1:
            yield Violation("changed", f"{token}: {sorted({answer.ids for answer, _ in told})}")
        if len({_intent(call) for _, call in told}) > 1:
            yield Violation("changed", f"{token}: made for two intents")

    def _refusals(
        self, token: Token, calls: list[Call], told: list[tuple[Answer, Call]]
    ) -> Iterator[Violation]:
        """Check the refusals: only other parameters, or a removed resource, may be a mismatch."""
        first = _intent(told[0][1]) if told else _intent(calls[0])
        for call in calls:
            for answer in call.answers:
                if answer.outcome != "refused" or _is_unsure(answer.code):
                    continue
                if answer.code != MISMATCH:
                    yield Violation("refused", f"{token}: {answer.code}")
                elif _intent(call) == first and not self._was_asked_away(told, answer.n):
                    yield Violation("changed", f"{token}: a mismatch for an equal request")

    def _was_asked_away(self, told: list[tuple[Answer, Call]], before: int) -> bool:
        ids = {id for answer, _ in told for id in answer.ids}
        return any(self._asked_away.get(id, before) < before for id in ids)

    # -- rows at the end ---------------------------------------------------------------------------

    def _holdings(
        self, token: Token, calls: list[Call], told: list[tuple[Answer, Call]]
    ) -> Iterator[Violation]:
        """Check that a token has one whole set of resources, with every id that replies named."""
        entry = self._entries.get(token)
        held = set() if entry is None else set(entry["ids"])
        named = {id for answer, _ in told for id in answer.ids if not id.startswith("r-")}
        if told and entry is None:
            yield Violation("lost", f"{token}: acknowledged, and has no entry")
        for id in sorted(named):
            row = self._resources.get(id)
            if row is None:
                yield Violation("lost", f"{token}: {id} is not there")
            elif row["gone"] and id not in self._asked_away:
                yield Violation("lost", f"{token}: {id} is gone, and nobody asked for that")
        if entry is not None and named - held:
            yield Violation("lost", f"{token}: its entry does not name {sorted(named - held)}")
        if entry is not None and len(held) != _wanted(calls[0]):
            kind = "doubled" if len(held) > _wanted(calls[0]) else "lost"
            yield Violation(kind, f"{token}: {len(held)} for {_wanted(calls[0])}")

    def _entries_and_things(self) -> Iterator[Violation]:
        """Check that entries were asked for and settled, and name the resources of their token."""
        for token, entry in self._entries.items():
            if token not in self._calls:
                yield Violation("orphaned", f"{token}: nobody asked for it")
            if entry["settled"] != 1:
                yield Violation("unfinished", f"{token}: {entry['settled']} outcomes")
            for id in entry["ids"]:
                if id not in self._resources:
                    yield Violation("lost", f"{token}: its entry names {id}, which is not there")
        actions = {kind: action for action, kind in KINDS.items()}
        for row in self._resources.values():
            if row["token"] is None:
                continue
            token = Token(row["account"], row["region"], actions[row["kind"]], row["token"])
            if token not in self._entries:
                yield Violation("orphaned", f"{row['id']}: {token} has no entry")
            elif row["id"] not in self._entries[token]["ids"]:
                yield Violation("doubled", f"{row['id']}: {token} has made others")
        for id in sorted(self._removed & self._resources.keys()):
            if not self._resources[id]["gone"]:
                state = self._resources[id]["state"]
                yield Violation("orphaned", f"{id} was removed, and is {state}")

    def _living(self, kind: str) -> dict[str, Event]:
        return {
            id: row
            for id, row in self._resources.items()
            if row["kind"] == kind and not row["gone"]
        }

    def _parts(self) -> Iterator[Violation]:
        """Check that unnamed resources and addresses belong to living ones.

        Each VPC also has a route table and a network ACL that came with it.
        """
        instances, interfaces = self._living("instance"), self._living("network-interface")
        came: Counter[tuple[str, str]] = Counter()
        for kind in KINDS.values():
            for id in sorted(self._living(kind).keys() - self._named):
                row = self._resources[id]
                came[kind, row["account"]] += kind in _WITH_A_VPC
                if came[kind, row["account"]] == 1 or instances.keys() & set(row["parents"]):
                    continue
                yield Violation("orphaned", f"{id}: of no entry and no living instance")
        for id in self._living("placement"):
            if id.replace("placement-", "i-", 1) not in instances:
                yield Violation("orphaned", f"{id}: of no living instance")
        holders = Counter(row["holder"] for row in self._rows("address"))
        for holder, count in holders.items():
            if holder not in interfaces:
                yield Violation("orphaned", f"{count} addresses of {holder}, which is gone")

    def _counters(self) -> Iterator[Violation]:
        """Check that capacity and quota are held by living instances alone."""
        used: Counter[str] = Counter()
        for row in self._living("instance").values():
            used[f"capacity/{row['zone']}/{row['type']}"] += 1
            used[f"vcpus/{row['account']}/{row['region']}"] += _VCPUS[row["type"]]
        held = {row["name"]: int(row["used"]) for row in self._rows("counter")}
        for name in sorted(used.keys() | held.keys()):
            if used[name] != held.get(name, 0):
                wrong = f"{name}: {held.get(name, 0)} are held, {used[name]} explained"
                yield Violation("orphaned", wrong)

    # -- launches -------------------------------------------------------------------------------

    def _machines(self) -> Iterator[Violation]:
        """Check that an instance has one machine, booted once, one volume and one interface."""
        instances = self._living("instance")
        machines = {row["instance"]: row for row in self._rows("machine")}
        for id, machine in machines.items():
            if machine["boots"] > 1:
                yield Violation("doubled", f"the machine of {id} booted {machine['boots']} times")
            if machine["state"] != "absent" and id not in instances:
                yield Violation("orphaned", f"a machine of {id}, which is gone")
        for id, row in instances.items():
            state = machines[id]["state"] if id in machines else "absent"
            if row["state"] == "running" and state != "running":
                yield Violation("lost", f"{id} is running, its machine {state}")
        held = Counter(
            (parent, kind)
            for kind in ("volume", "network-interface")
            for row in self._living(kind).values()
            for parent in row["parents"]
        )
        for id in instances:
            for kind in ("volume", "network-interface"):
                if held[id, kind] != 1:
                    wrong = "doubled" if held[id, kind] else "lost"
                    yield Violation(wrong, f"{id} has {held[id, kind]} of {kind}")

    def _work(self) -> Iterator[Violation]:
        """Check that no work is under way any more."""
        for row in self._rows("work"):
            if row["due"]:
                what = f"{row['instance']}: {row['plan']} is at step {row['step']}"
                yield Violation("unfinished", what)
            if row["instance"] not in self._resources:
                yield Violation("orphaned", f"work of {row['instance']}, which is not there")
        for id, row in self._resources.items():
            if row["state"] in _PASSING:
                yield Violation("unfinished", f"{id} is {row['state']}")


def _named(row: Event) -> Token:
    return Token(row["account"], row["region"], row["action"], row["token"])


def _told(calls: list[Call]) -> list[tuple[Answer, Call]]:
    """A token's successful replies, in the order in which they came."""
    found = [
        (answer, call) for call in calls for answer in call.answers if answer.outcome == "made"
    ]
    return sorted(found, key=lambda one: one[0].n)


def _intent(call: Call) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(call.parameters.items()))


def _wanted(call: Call) -> int:
    """The number of resources that a create makes."""
    return int(call.parameters.get("MinCount", "1"))


def _is_unsure(code: str) -> bool:
    """True when the code says that the request may be repeated as it is."""
    return code in _UNSURE


# Codes that come with 5xx, and with throttling; `-` is a reply without a code.
_UNSURE = frozenset(
    {
        "-",
        "InternalError",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "Throttling",
        "Unavailable",
    }
)


def _has_removed(answer: Answer) -> bool:
    """True when this try, or an earlier one, removed the resource."""
    return answer.outcome == "made" or answer.code.endswith(".NotFound")
