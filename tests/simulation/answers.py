"""Answers as the auditor judges them: an accepted one must be true, a refusal must have a reason.

P3: an accepted repeat names the resources that the first request made. P4, P5: a mismatch under a
token has a cause, which is another intent or an ended resource, and a refusal leaves no resource.
P9: every resource that an answer names exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from exercises.exercise import at
from simulation.acts import ENDING
from simulation.history import ApiCall, Delivery, Fate, prefix_of
from simulation.makings import MAKINGS, Making
from simulation.promises import require
from simulation.snapshot import OutcomeRow

if TYPE_CHECKING:
    from simulation.auditor import Auditor, Bound

CAPACITY = "InsufficientInstanceCapacity"
MISMATCH = "IdempotentParameterMismatch"
# Finds the ids that a read shows.
_SHOWN = {
    "DescribeInstances": at("Reservations[].Instances[].InstanceId"),
    "DescribeVolumes": at("Volumes[].VolumeId"),
    "DescribeNetworkInterfaces": at("NetworkInterfaces[].NetworkInterfaceId"),
    "DescribeNatGateways": at("NatGateways[].NatGatewayId"),
    "DescribeVpcEndpoints": at("VpcEndpoints[].VpcEndpointId"),
    "DescribeAddresses": at("Addresses[].AllocationId"),
    "AssociateAddress": at("AssociationId"),
}


def judge(book: Auditor, delivery: Delivery) -> None:
    """Judge an answer that leaves its node; `book` knows every row that has committed."""
    fate, call = delivery.fate, delivery.call
    assert fate is not None, "an answer has a fate"
    require(fate.code != "InternalError", "P11", "{} met a bug", delivery)
    making = MAKINGS.get(call.action)
    if making is not None and fate.status == 200:
        _accepted(book, delivery, making, fate)
    elif making is not None and fate.code != "Unavailable":
        _refused(book, delivery, making, fate)
    elif making is not None:
        _left_nothing(book, delivery)
    if fate.status == 200 and call.action in ENDING:
        _ends(book, call)
    elif fate.result is not None and call.action in _SHOWN:
        for id in _SHOWN[call.action](fate.result):
            require(id in book.seen.resources, "P9", "{} was shown and does not exist", id)


def was_entitled(outcome: OutcomeRow, delivery: Delivery) -> None:
    """P4, P5, P6: an outcome is left only by a request that was accepted or bound a failure."""
    fate = delivery.fate
    if fate is None:
        return
    unknown = fate.code == "Unavailable" and fate.ran
    made = outcome.identities is not None
    allowed = fate.status == 200 if made else fate.code == CAPACITY
    promise = "P6" if not fate.ran else "P4" if fate.code == MISMATCH else "P5"
    require(allowed or unknown, promise, "{} left {}", delivery, outcome)


def _left_nothing(book: Auditor, delivery: Delivery) -> None:
    """Require that a refused request left no outcome, and made no resource, before its answer."""
    call = delivery.call
    if call.client_token is None:
        book.unprotected_are_counted(call.intent)
    for bound in _bindings(book, call):
        if bound.last.request_id == delivery.request_id:
            was_entitled(bound.last, delivery)


def _ends(book: Auditor, call: ApiCall) -> None:
    for id in call.ids:
        row = book.seen.resources.get(id)
        over = row is None or row.gone_at is not None or row.state in ("shutting-down", "deleting")
        require(over, "P9", "{} was ended for its caller, and is {}", id, row)
        book.ended[id] = None


def _accepted(book: Auditor, delivery: Delivery, making: Making, fate: Fate) -> None:
    """P3, P4, P9: the told resources exist, are of this intent, and are all of its, in order."""
    assert fate.result is not None, "an accepted request has a result"
    call, told = delivery.call, making.told(fate.result)
    for id in told:
        row = book.seen.resources.get(id)
        require(row is not None, "P9", "{} was told of {}, which does not exist", delivery, id)
        assert row is not None, "required above"
        place = (row.account, row.region) == (call.account, call.region)
        require(place, "P10", "{} was told of {}", delivery, row)
        mine = row.mark == call.intent
        require(
            mine or not making.makes or making.standing,
            "P4",
            "{} was told of {}, of {}",
            delivery,
            row,
            row.mark,
        )
        # A repeated launch is answered even if its instances have ended; the other actions refuse.
        late = row.gone_at is not None and row.gone_at < delivery.arrived_at
        refuses = making.makes and call.action != "RunInstances" and call.client_token is not None
        require(not (late and refuses), "P3", "{} was told of {}, which had ended", delivery, row)
    if call.client_token is not None:
        _is_as_recorded(book, delivery, making, told)
    elif making.makes and not making.standing:
        _is_a_request_of_its_own(book, delivery, making, told)


def _is_as_recorded(
    book: Auditor, delivery: Delivery, making: Making, told: tuple[str, ...]
) -> None:
    """P3: the ids that the answer tells are those that its token's entry names."""
    bound = _bound(book, delivery.call)
    require(bound is not None, "P9", "{} was accepted, and left no binding", delivery)
    assert bound is not None, "required above"
    first = bound.made if making.makes else bound.told or told
    require(first == told, "P3", "{} was told {}, made was {}", delivery, told, first)
    bound.told = told
    is_first = bound.last.request_id == delivery.request_id
    book.tokens[delivery.call.action, "made" if is_first else "repeated"] += 1


def _is_a_request_of_its_own(
    book: Auditor, delivery: Delivery, making: Making, told: tuple[str, ...]
) -> None:
    """P6: without a token no two requests are told the same resource."""
    if delivery.call.action == "RunInstances":
        reservation = book.seen.resources[told[0]].private["ReservationId"]
        require(book.reservations[reservation] == told, "P3", "{} was told {}", delivery, told)
    for other in book.history.of_intent(delivery.call.intent):
        if other is not delivery and other.fate is not None and other.fate.result is not None:
            shared = set(told) & set(making.told(other.fate.result))
            require(not shared, "P6", "{} and {} share {}", delivery, other, sorted(shared))


def _refused(book: Auditor, delivery: Delivery, making: Making, fate: Fate) -> None:
    """Require that a refusal leaves no resource, and that no bound intent is refused.

    A bound intent may be refused once a resource that it made has ended.
    """
    _left_nothing(book, delivery)
    call = delivery.call
    if call.client_token is None:
        return
    mine = _bound(book, call)
    if fate.code == CAPACITY:
        settled = mine is not None and _stood(mine, delivery) and mine.last.identities is not None
        require(not settled, "P3", "{} is settled", delivery)
        require(mine is not None, "P5", "{} has left no binding", delivery)
        return
    over = mine is not None and _is_over(book, mine, making)
    if mine is not None and _stood(mine, delivery):
        # An intent bound by a capacity failure runs again, and may fail for another reason then.
        fair = over if mine.last.identities is not None else fate.code != MISMATCH
        require(fair, "P3", "{} repeats {}, and is refused", delivery, mine)
    if fate.code == MISMATCH:
        rival = next(_rivals(book, call), None)
        require(over or rival is not None, "P4", "{} mismatches nothing", delivery)
        book.tokens[call.action, "refused after its end" if over else "mismatched"] += 1


def _bindings(book: Auditor, call: ApiCall) -> Iterator[Bound]:
    """Yield the bindings of the call's token, in the entry's present life."""
    scope = (call.account, call.region, call.action, call.client_token)
    for era in book.eras.values():
        entry = era.entry
        if (entry.account, entry.region, entry.action, entry.client_token) == scope:
            yield from era.bound.values()


def _bound(book: Auditor, call: ApiCall) -> Bound | None:
    """Return the binding of the token to this very intent."""
    return next((one for one in _bindings(book, call) if one.intent == call.intent), None)


def _stood(bound: Bound, delivery: Delivery) -> bool:
    """Tell whether the binding was recorded before the request arrived."""
    return bound.last.recorded_at < delivery.arrived_at


def _is_over(book: Auditor, bound: Bound, making: Making) -> bool:
    """Tell whether a resource of the binding has ended, so that a repeat is refused.

    EC2 also refuses to repeat a template's creation once the template has other versions.
    """
    named = bound.made if making.makes else bound.told or _identified(bound.last)
    rows = [book.seen.resources.get(id) for id in named]
    return any(
        row is None or row.gone_at is not None or row.doc.get("LatestVersionNumber", 1) != 1
        for row in rows
    )


def _identified(outcome: OutcomeRow) -> list[str]:
    """Return the ids that an outcome names, which is needed where no answer told them."""
    values = [] if outcome.identities is None else outcome.identities.values()
    texts = (
        str(one) for value in values for one in (value if isinstance(value, list) else [value])
    )
    return [text for text in texts if prefix_of(text) is not None]


def _rivals(book: Auditor, call: ApiCall) -> Iterator[ApiCall]:
    """Yield calls of other intents that may have bound the token in the zone of `call`."""
    scope = (call.action, call.account, call.region, call.client_token)
    for delivery in book.history.deliveries.values():
        other = delivery.call
        if (other.action, other.account, other.region, other.client_token) == scope:
            meets = other.zone == call.zone or "" in (other.zone, call.zone)
            if other.intent != call.intent and meets:
                yield other
