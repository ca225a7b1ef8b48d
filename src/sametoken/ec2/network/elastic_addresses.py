"""Elastic IP addresses: allocated, associated, disassociated and released.

EC2 takes no client token for any of these. Associating and disassociating are idempotent by nature:
the same target again succeeds with the same association, a second disassociation succeeds (EC2
developer guide, "Ensuring idempotency in Amazon EC2 API requests"). A repeated AllocateAddress
allocates another, until the quota; a repeated ReleaseAddress finds no address.
"""

from __future__ import annotations

from collections.abc import Sequence

from sametoken.ec2.kit.actions import Action, Change, Read
from sametoken.ec2.kit.describing import describe
from sametoken.ec2.kit.nouns import Noun, Parents, requested_tags
from sametoken.ec2.kit.repeats import conflicts, same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.spelling import PAGE_MAXIMUM
from sametoken.ec2.kit.verbs import creating
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.compute.instances import INSTANCE, InstanceState
from sametoken.resources.kit import rows
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import elastic_addresses, interfaces
from sametoken.resources.network.elastic_addresses import ASSOCIATION, ELASTIC_ADDRESS
from sametoken.resources.network.interfaces import INTERFACE
from sametoken.resources.network.vpcs import INTERNET_GATEWAY
from sametoken.store.port import Tx

# Filters of DescribeAddresses whose names are not their paths.
ADDRESS_PATHS = {
    "domain": "Domain",
}
_ALLOCATED = ("PublicIp", "PublicIpv4Pool", "NetworkBorderGroup", "Domain")


def _lay_out(tx: Tx, request: Request, parents: Parents) -> Row:
    tags = requested_tags(request, ELASTIC_ADDRESS)
    return elastic_addresses.lay_out(tx, request.account, request.region, tags)


def _instances(tx: Tx, found: Sequence[Row]) -> list[Document]:
    """The instance that each address leads to: the one its interface is attached to now."""
    wanted = [row.doc.get("NetworkInterfaceId") for row in found]
    attached = rows.by_ids(tx, [id for id in wanted if id is not None])
    shown = []
    for id in wanted:
        attachment = None if id is None else attached[id].doc.get("Attachment")
        shown.append({} if attachment is None else {"InstanceId": attachment["InstanceId"]})
    return shown


ADDRESSES = Noun(
    ELASTIC_ADDRESS,
    stem="Address",
    spelled={"id": "AllocationId", "one": None},
    paths=ADDRESS_PATHS,
    accepts=dict.fromkeys(("Domain", "NetworkBorderGroup", "PublicIpv4Pool")),
    lay_out=_lay_out,
    joins=_instances,
)


def _validate_allocate(request: Request) -> None:
    params = request.params
    for name, only in (
        ("Domain", "vpc"),
        ("NetworkBorderGroup", request.region),
        ("PublicIpv4Pool", "amazon"),
    ):
        if params.get(name, only) != only:
            raise refusals.invalid_value(
                name[0].lower() + name[1:], params[name], f"Use {only}, or leave it out."
            )


def _allocated(tx: Tx, row: Row) -> Document:
    return {"AllocationId": row.id, **{name: row.doc[name] for name in _ALLOCATED}}


def describe_addresses(tx: Tx, request: Request) -> Document:
    """Return addresses by allocation, by public address, by filter; all at once, as EC2 does."""
    named = request.params.get("PublicIps", [])
    if named:
        ids = [*request.params.get("AllocationIds", [])]
        ids += [_by_public_ip(tx, request, address).id for address in named]
        request = request.with_params(AllocationIds=ids)
    found = describe(
        tx, request, ELASTIC_ADDRESS, ADDRESSES.shown, ADDRESSES.many, ADDRESSES.filters,
        ids=ADDRESSES.ids, joins=_instances,
    )  # fmt: skip
    return {ADDRESSES.many: found[ADDRESSES.many]}


def describe_attribute(tx: Tx, request: Request) -> Document:
    """Return the addresses, without domain names: no address here has one."""
    return describe(
        tx, request, ELASTIC_ADDRESS, _named, "Addresses", {}, ids="AllocationIds",
        sizes=(1, PAGE_MAXIMUM),
    )  # fmt: skip


def _named(row: Row) -> Document:
    return {"AllocationId": row.id, "PublicIp": row.doc["PublicIp"]}


def associate(tx: Tx, request: Request) -> Document:
    """Associate an address with an instance or interface. A repeat returns the same association."""
    params = request.params
    row = _lock_address(tx, request)
    interface = _target(tx, request)
    private_address = _private_address(request, interface)
    if not elastic_addresses.is_associated(row, interface, private_address):
        if not params.get("AllowReassociation", True):
            _refuse_associated(row, interface, private_address)
        _check_gateway(tx, interface.doc["VpcId"])
    return {"AssociationId": elastic_addresses.associate(tx, row, interface, private_address)}


def _target(tx: Tx, request: Request) -> Row:
    """Lock the interface that is meant: the named one, or the only one of the instance."""
    params = request.params
    if ("InstanceId" in params) == ("NetworkInterfaceId" in params):
        raise refusals.invalid_combination("Give either InstanceId or NetworkInterfaceId.")
    account, region = request.account, request.region
    if "NetworkInterfaceId" in params:
        asked = [params["NetworkInterfaceId"]]
        [interface] = rows.get(tx, INTERFACE, account, region, asked, lock=True)
        if interfaces.is_served(interface):
            raise ServiceError(
                "AuthFailure", "You do not have permission to access the specified resource."
            )
        return interface
    owner = rows.get(tx, INSTANCE, account, region, [params["InstanceId"]])[0]
    if owner.state not in (InstanceState.RUNNING, InstanceState.STOPPING, InstanceState.STOPPED):
        raise ServiceError(
            "InvalidInstanceID",
            f"The {owner.state} instance '{owner.id}' is not in a valid state for this operation.",
        )
    return interfaces.only_attached_to(tx, owner.id)


def _private_address(request: Request, interface: Row) -> str:
    asked = request.params.get("PrivateIpAddress", interface.doc["PrivateIpAddress"])
    if asked not in [one["PrivateIpAddress"] for one in interfaces.addresses_of(interface)]:
        raise refusals.invalid_value(
            "privateIpAddress", asked, f"It is not an address of {interface.id}."
        )
    return str(asked)


def _refuse_associated(row: Row, interface: Row, private_address: str) -> None:
    """Raise a refusal when the address or the private address has an association already."""
    standing = {row.id: row.doc.get("AssociationId")}
    for one in interfaces.addresses_of(interface):
        association = one.get("Association", {})
        if one["PrivateIpAddress"] == private_address and "AllocationId" in association:
            standing[interface.id] = association["AssociationId"]
    for id, association_id in standing.items():
        if association_id is not None:
            raise ServiceError(
                "Resource.AlreadyAssociated",
                f"resource {id} is already associated with associate-id {association_id}",
            )


def _check_gateway(tx: Tx, vpc: str) -> None:
    if not rows.children(tx, [vpc], INTERNET_GATEWAY)[vpc]:
        raise ServiceError(
            "Gateway.NotAttached", f"Network {vpc} is not attached to any internet gateway"
        )


def disassociate(tx: Tx, request: Request) -> Document:
    """End an association. Repeats succeed."""
    params = request.params
    if ("AssociationId" in params) == ("PublicIp" in params):
        raise refusals.invalid_combination("Give either AssociationId or PublicIp.")
    if "PublicIp" in params:
        id = _by_public_ip(tx, request, params["PublicIp"]).id
    else:
        association = rows.find(tx, params["AssociationId"])
        if association is None or not _is_own(request, association):
            raise ASSOCIATION.not_found([params["AssociationId"][:200]])
        if association.gone_at is not None:
            return {}
        id = association.doc["AllocationId"]
    row = rows.by_ids(tx, [id], lock=True)[id]
    elastic_addresses.disassociate(tx, row, cause="DisassociateAddress")
    return {}


def _is_own(request: Request, row: Row) -> bool:
    place = (ASSOCIATION.name, request.account, request.region)
    return (row.kind, row.account, row.region) == place


def release(tx: Tx, request: Request) -> Document:
    """Release an address for good; it must not be associated."""
    group = request.params.get("NetworkBorderGroup", request.region)
    if group != request.region:
        raise refusals.invalid_combination(f"No address is allocated in {group}.")
    row = _lock_address(tx, request)
    if row.doc.get("AssociationId") is not None:
        raise ServiceError("InvalidIPAddress.InUse", f"Address {row.doc['PublicIp']} is in use.")
    elastic_addresses.release(tx, row)
    return {}


def _lock_address(tx: Tx, request: Request) -> Row:
    params = request.params
    if "AllocationId" in params and "PublicIp" in params:
        raise refusals.invalid_combination(
            "You may specify public IP or allocation id, but not both in the same call"
        )
    if "PublicIp" in params:
        ids = [_by_public_ip(tx, request, params["PublicIp"]).id]
    elif "AllocationId" in params:
        ids = [params["AllocationId"]]
    else:
        raise refusals.missing_parameter("AllocationId")
    return rows.get(tx, ELASTIC_ADDRESS, request.account, request.region, ids, lock=True)[0]


def _by_public_ip(tx: Tx, request: Request, address: str) -> Row:
    found = rows.find_named(tx, ELASTIC_ADDRESS, request.account, request.region, address)
    if found is None:
        raise ServiceError("InvalidAddress.NotFound", f"Address '{address[:200]}' not found.")
    return found


ACTIONS: tuple[Action, ...] = (
    creating(ADDRESSES, "AllocateAddress", validate=_validate_allocate, result=_allocated),
    Read("DescribeAddresses", describe_addresses),
    Read("DescribeAddressesAttribute", describe_attribute),
    Change("AssociateAddress", associate, repeats=same("DOC")),
    Change("DisassociateAddress", disassociate, repeats=same("DOC")),
    Change("ReleaseAddress", release, repeats=conflicts("InvalidAllocationID.NotFound", "MOD")),
)
