"""Instances in EC2's form: the view of a launch, and DescribeInstances with its relatives."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sametoken.ec2.compute.instance_filters import INSTANCE_FILTERS, STATUS_FILTERS
from sametoken.ec2.kit import fragments, narrowing
from sametoken.ec2.kit.actions import Action, Read
from sametoken.ec2.kit.describing import pieces
from sametoken.ec2.kit.filters import compile_filters, tag_filters, tags_of_document
from sametoken.ec2.kit.fragments import Fragment, S
from sametoken.ec2.kit.nouns import shown_members
from sametoken.ec2.kit.paging import Page, page_in_order, scope_of
from sametoken.ec2.kit.paths import getters
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.spelling import PAGE_MAXIMUM, PAGE_MINIMUM
from sametoken.ec2.network.interface_documents import instance_interface
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.protocol.model import ServiceModel
from sametoken.ec2.protocol.xml import LATER, Rendered, around
from sametoken.ec2.storage.volumes import volume_mapping
from sametoken.idempotency import Identities
from sametoken.resources.compute.instances import INSTANCE, STATE_CODES, InstanceState
from sametoken.resources.kit import families, rows, transitions
from sametoken.resources.kit.kinds import L
from sametoken.resources.kit.listings import By, Wish
from sametoken.resources.kit.looks import OUTLINE, WHOLE, Look
from sametoken.resources.kit.moments import find_moment
from sametoken.resources.kit.rows import Row
from sametoken.resources.network.interfaces import INTERFACE, public_dns_name
from sametoken.resources.storage.volumes import VOLUME
from sametoken.store.port import Tx, WouldWait

_FILTERS = {**getters(INSTANCE_FILTERS), **tag_filters(tags_of_document)}
_STATUS_FILTERS = getters(STATUS_FILTERS)
# The paths of filters that show a column of the row.
_COLUMNS = {
    "InstanceId": By.ID,
    "ClientToken": By.CLIENT_TOKEN,
    "State.Name": By.STATE,
    "Placement.AvailabilityZone": By.ZONE,
}
_STATUS_COLUMNS = {"InstanceState.Name": By.STATE, "AvailabilityZone": By.ZONE}
# The members of an instance that other rows tell.
_JOINED = (
    "BlockDeviceMappings", "Ipv6Address", "NetworkInterfaces", "PublicDnsName", "PublicIpAddress",
)  # fmt: skip

# EC2 shows neither devices nor addresses of an instance in these states.
_LEAVING = frozenset({InstanceState.TERMINATED.value})


@dataclass(frozen=True, slots=True)
class Shown:
    """An instance with its volumes and interfaces, and its EC2 form."""

    row: Row
    interfaces: list[Row]
    volumes: list[Row]
    document: Document

    @property
    def id(self) -> str:
        return self.row.id


def view(tx: Tx, request: Request, identities: Identities) -> Document:
    """RunInstances' answer, from the same identities at the first answer and at every replay."""
    shown = show(tx, identities["instances"])
    by_id = {one.row.id: one.document for one in shown}
    instances = [by_id[id] for id in identities["instances"]]
    return _reservation(identities["reservation"], request.account, instances)


def show(tx: Tx, ids: Sequence[str]) -> list[Shown]:
    """The instances of `ids`, tombstones too, with their attachments."""
    if len(ids) == 1:
        found = families.find(tx, ids[0])
        return [] if found is None else [_show_one(*found)]
    return show_rows(tx, list(rows.by_ids(tx, ids).values()))


def show_rows(tx: Tx, found: Sequence[Row]) -> list[Shown]:
    attached = rows.children(tx, [row.id for row in found])
    return [_show_one(row, attached[row.id]) for row in found]


def _show_one(row: Row, attached: list[Row]) -> Shown:
    leaving = row.state in _LEAVING
    interfaces = [one for one in attached if one.kind == INTERFACE.name and not leaving]
    interfaces.sort(key=lambda one: one.doc["Attachment"]["DeviceIndex"])
    volumes = [one for one in attached if one.kind == VOLUME.name and not leaving]
    mappings = [
        volume_mapping(one, attachment)
        for one in volumes
        for attachment in one.doc["Attachments"]
        if attachment["InstanceId"] == row.id
    ]
    mappings.sort(key=lambda one: one["DeviceName"] != row.doc["RootDeviceName"])
    document = {
        **shown_members(row),
        "InstanceId": row.id,
        "State": {"Code": STATE_CODES[InstanceState(row.state)], "Name": row.state},
        "LaunchTime": find_moment(row.private, "launched") or row.created_at,
        "BlockDeviceMappings": mappings,
        "NetworkInterfaces": [instance_interface(one) for one in interfaces],
        "ProductCodes": [],
        "Operator": {"Managed": False},
        "NetworkPerformanceOptions": {"BandwidthWeighting": "default"},
        # The moment of the launch: no action served here changes how an instance is billed.
        "UsageOperationUpdateTime": row.created_at,
        "MaintenanceOptions": {
            "RebootMigration": "default",
            **row.doc.get("MaintenanceOptions", {}),
        },
    }
    if row.state == InstanceState.PENDING:
        document["StateReason"] = {"Code": "pending", "Message": "pending"}
    if leaving:
        for name in ("PrivateIpAddress", "SubnetId", "VpcId"):
            document.pop(name, None)
        document["PrivateDnsName"] = ""
        document["SecurityGroups"] = []
    document["PublicDnsName"] = ""
    if interfaces and interfaces[0].doc["Ipv6Addresses"]:
        document["Ipv6Address"] = interfaces[0].doc["Ipv6Addresses"][0]["Ipv6Address"]
    association = interfaces[0].doc.get("Association") if interfaces else None
    # Show an Elastic address even of a stopped instance, an automatic one only while it runs.
    if association and (row.state == InstanceState.RUNNING or "AllocationId" in association):
        document["PublicIpAddress"] = association["PublicIp"]
        document["PublicDnsName"] = public_dns_name(row.region, association["PublicIp"])
    return Shown(row, interfaces, volumes, document)


def _reservation(id: str, account: str, instances: list[Document] | Rendered) -> Document:
    return {"ReservationId": id, "OwnerId": account, "Groups": [], "Instances": instances}


@dataclass(frozen=True, slots=True)
class Sought:
    """The test of DescribeInstances' filters, their digest, and wishes that narrow the listing."""

    matches: Callable[[Document], bool]
    asked: bytes
    wishes: list[Wish]


def sought(request: Request) -> Sought:
    given = request.params.get("Filters")
    return Sought(
        compile_filters(given, _FILTERS),
        fragments.digest(given),
        narrowing.wishes(given, INSTANCE_FILTERS, INSTANCE, columns=_COLUMNS),
    )


def describe_instances(tx: Tx, request: Request) -> Document:
    """Return reservations, each with those of its instances that were asked for."""
    seek: Sought = request.prepared or sought(request)

    def passing(ids: Sequence[str]) -> list[Shown]:
        return [one for one in show(tx, ids) if seek.matches(_tested(one))]

    def found(after: str) -> Iterator[Fragment]:
        if seek.asked and not seek.wishes:
            yield from _scanned(tx, request, after, seek.matches)
            return
        for piece in _pieces(tx, OUTLINE, request, after, seek.wishes):
            yield from fragments.of(tx, piece, seek.asked, passing, render)

    listed = _page(request, found)
    return {"Reservations": fragments.together(listed.items), "NextToken": listed.next_token}


def _scanned(
    tx: Tx, request: Request, after: str, matches: Callable[[Document], bool]
) -> Iterator[Fragment]:
    """Look at all instances, where no index helps: at their rows before those below them."""
    if tx.hurried:
        raise WouldWait
    likely = compile_filters(_of_rows(request.params["Filters"]), _FILTERS)
    for piece in _pieces(tx, WHOLE, request, after, ()):
        rows_alone = [row for row in piece if likely(_tested(_show_one(row, [])))]
        yield from (render(one) for one in show_rows(tx, rows_alone) if matches(_tested(one)))


def render(one: Shown) -> Fragment:
    model = ServiceModel.load("ec2")
    reservation = _reservation(one.row.private["ReservationId"], one.row.account, LATER)
    within = around(model.element("DescribeInstancesResult", "Reservations")(reservation))
    return Fragment(one.id, model.element("Reservation", "Instances")(one.document), within)


def describe_instance_status(tx: Tx, request: Request) -> Document:
    """Return the status of running instances; with IncludeAllInstances of all."""
    given = request.params.get("Filters")
    matches = compile_filters(given, _STATUS_FILTERS)
    wishes = narrowing.wishes(given, STATUS_FILTERS, INSTANCE, columns=_STATUS_COLUMNS)
    every = request.params.get("IncludeAllInstances", False)
    if not every:
        wishes.insert(0, Wish(By.STATE, (InstanceState.RUNNING.value,)))

    def found(after: str) -> Iterator[Shown]:
        # A status shows nothing of the rows below an instance.
        for piece in _pieces(tx, WHOLE, request, after, wishes):
            for row in piece:
                one = _show_one(row, [])
                if (every or row.state == InstanceState.RUNNING) and matches(_status(one)):
                    yield one

    listed = _page(request, found)
    return {
        "InstanceStatuses": [_status(one) for one in listed.items],
        "NextToken": listed.next_token,
    }


def _pieces(
    tx: Tx, look: Look[L], request: Request, after: str, wishes: Sequence[Wish]
) -> Iterator[list[L]]:
    return pieces(tx, look, request, INSTANCE, request.params.get("InstanceIds"), after, wishes)


def _of_rows(given: Sequence[Document] | None) -> list[Document]:
    """The filters that look at nothing but the instance's own row."""
    paths = ((one, INSTANCE_FILTERS.get(str(one.get("Name")), "")) for one in given or ())
    return [one for one, path in paths if not path.startswith(_JOINED)]


def _tested(one: Shown) -> Document:
    """The document that filters look at: two members of the reservation as well."""
    reservation = one.row.private["ReservationId"]
    return {**one.document, "ReservationId": reservation, "OwnerId": one.row.account}


def _page(request: Request, found: Callable[[str], Iterator[S]]) -> Page[S]:
    """Return the page asked for, of the instances that `found` yields after an id."""
    return page_in_order(
        found,
        lambda one: one.id,
        max_results=request.params.get("MaxResults"),
        next_token=request.params.get("NextToken"),
        scope=scope_of(request),
        minimum=PAGE_MINIMUM,
        maximum=PAGE_MAXIMUM,
    )


def _status(one: Shown) -> Document:
    """EC2's InstanceStatus: checks have passed once the machine runs."""
    runs = one.row.state == InstanceState.RUNNING
    summary: Document = {
        "Status": "ok" if runs else "not-applicable",
        "Details": [{"Name": "reachability", "Status": "passed"}] if runs else [],
    }
    return {
        "InstanceId": one.row.id,
        "AvailabilityZone": one.row.zone,
        "AvailabilityZoneId": one.document["Placement"]["AvailabilityZoneId"],
        "InstanceState": one.document["State"],
        "InstanceStatus": summary,
        "SystemStatus": summary,
        "AttachedEbsStatus": summary,
        "Events": [],
    }


def get_console_output(tx: Tx, request: Request) -> Document:
    """Return the machine's boot output, base64 as EC2 sends it; empty before it boots."""
    ids = [request.params["InstanceId"]]
    row = rows.get(tx, INSTANCE, request.account, request.region, ids)[0]
    moves = transitions.of(tx, row.id)
    text = "".join(
        f"[{one.moved_at:%Y-%m-%d %H:%M:%S}] {one.from_state} -> {one.to_state}: {one.cause}\r\n"
        for one in moves
    )
    return {
        "InstanceId": row.id,
        "Output": base64.b64encode(text.encode()).decode(),
        "Timestamp": moves[-1].moved_at if moves else row.created_at,
    }


ACTIONS: tuple[Action, ...] = (
    Read("DescribeInstances", describe_instances, prepare=sought, hurries=True),
    Read("DescribeInstanceStatus", describe_instance_status),
    Read("GetConsoleOutput", get_console_output),
)
