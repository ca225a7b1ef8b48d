"""NAT gateways: each has an interface and an Elastic address, and takes a while to come up."""

from __future__ import annotations

from sametoken.ec2.kit.actions import Action, Change
from sametoken.ec2.kit.nouns import Noun, Parents, shown_members
from sametoken.ec2.kit.repeats import doubles, same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating, describing
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.resources.gateways.nat_gateways import NAT_GATEWAY
from sametoken.resources.kit import endings, ripening, rows
from sametoken.resources.kit.ids import mint
from sametoken.resources.kit.moments import find_moment, kept_moment
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import elastic_addresses, interfaces, vpcs
from sametoken.resources.network.elastic_addresses import ELASTIC_ADDRESS
from sametoken.resources.network.interfaces import INTERFACE
from sametoken.store.port import Tx

# CHANGE_SECONDS is long enough that callers see `pending` and `deleting`; EC2 takes minutes.
CHANGE_SECONDS = 2.0


def _validate(request: Request) -> None:
    params = request.params
    if "SubnetId" not in params:
        raise refusals.missing_parameter("SubnetId")
    public = params.get("ConnectivityType", "public") == "public"
    if public and "AllocationId" not in params:
        raise refusals.missing_parameter("AllocationId")
    if not public and "AllocationId" in params:
        raise refusals.invalid_combination("A private NAT gateway takes no AllocationId")


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    params, subnet = request.params, parents["SubnetId"]
    return {
        "AvailabilityZone": subnet.zone,
        "SubnetId": subnet.id,
        "VpcId": subnet.doc["VpcId"],
        "ConnectivityType": params.get("ConnectivityType", "public"),
        "NatGatewayAddresses": [],
        "private": {
            "PrivateIpAddress": params.get("PrivateIpAddress"),
            "AllocationId": params.get("AllocationId"),
        },
    }


def _furnish(tx: Tx, row: Row) -> None:
    """Give the new gateway its interface, and associate the Elastic address with it.

    A reason why it cannot come up is no refusal: EC2 answers with the gateway, which ends `failed`
    (terraform-provider-aws, issue 709).
    """
    elastic = _address_of(tx, row)
    if elastic is not None:
        failure = _failure(tx, row, elastic)
        if failure is not None:
            _fail(tx, row, elastic.id, failure)
            return
    interface = _new_interface(tx, row)
    address: Document = {
        "NetworkInterfaceId": interface.id,
        "PrivateIp": interface.doc["PrivateIpAddress"],
        "IsPrimary": True,
        "Status": "succeeded",
    }
    if elastic is not None:
        private = interface.doc["PrivateIpAddress"]
        address |= {
            "AllocationId": elastic.id,
            "AssociationId": elastic_addresses.associate(tx, elastic, interface, private),
            "PublicIp": elastic.doc["PublicIp"],
        }
    rows.change(tx, NAT_GATEWAY, row, NatGatewayAddresses=[address])
    ripening.plan(tx, row, "available", CHANGE_SECONDS, cause="its interface is up")


def _address_of(tx: Tx, row: Row) -> Row | None:
    """The Elastic address that the request names, locked."""
    allocation = row.private["AllocationId"]
    if allocation is None:
        return None
    return rows.get(tx, ELASTIC_ADDRESS, row.account, row.region, [allocation], lock=True)[0]


def _new_interface(tx: Tx, row: Row) -> Row:
    subnet = rows.by_ids(tx, [row.doc["SubnetId"]])[row.doc["SubnetId"]]
    group = vpcs.default_group(tx, row.account, row.region, row.doc["VpcId"])
    interface = interfaces.plan_row(
        tx,
        id=mint(tx, INTERFACE.prefix),
        account=row.account,
        region=row.region,
        subnet=subnet,
        groups=[group],
        address=row.private["PrivateIpAddress"],
        instance=None,
        spec={"Description": f"Interface for NAT Gateway {row.id}", "InterfaceType": "nat_gateway"},
    )
    rows.insert(tx, [interface])
    return interface


def _failure(tx: Tx, row: Row, elastic: Row) -> Document | None:
    """The reason why a public gateway cannot come up; None if it can.

    Source: VPC user guide, "Troubleshoot NAT gateways".
    """
    vpc = row.doc["VpcId"]
    if elastic.doc.get("AssociationId") is not None:
        return {
            "FailureCode": "Resource.AlreadyAssociated",
            "FailureMessage": f"Elastic IP address [{elastic.id}] is already associated",
        }
    if not rows.children(tx, [vpc], vpcs.INTERNET_GATEWAY)[vpc]:
        return {
            "FailureCode": "Gateway.NotAttached",
            "FailureMessage": f"Network {vpc} has no Internet gateway attached",
        }
    return None


def _fail(tx: Tx, row: Row, allocation: str, failure: Document) -> None:
    """Let the gateway end `failed`, without interface or address; its subnet can be deleted."""
    addresses = [{"AllocationId": allocation, "IsPrimary": True}]
    private = {**row.private, "failure": failure}
    rows.change(tx, NAT_GATEWAY, row, NatGatewayAddresses=addresses, private=private)
    rows.unlink(tx, row.doc["SubnetId"], row.id)
    ripening.plan(tx, row, "failed", CHANGE_SECONDS, cause=failure["FailureMessage"])


def show(row: Row) -> Document:
    """EC2's NatGateway."""
    shown_here = shown_members(row).items()
    document = {name: value for name, value in shown_here if name != "AvailabilityZone"}
    shown: Document = {
        **document,
        "NatGatewayId": row.id,
        "State": row.state,
        "CreateTime": row.created_at,
    }
    if row.state != "pending":
        shown |= row.private.get("failure", {})
    deleted_at = find_moment(row.private, "deleting")
    if deleted_at is not None:
        shown["DeleteTime"] = deleted_at
    return shown


GATEWAYS = Noun(
    NAT_GATEWAY,
    stem="NatGateway",
    parents={"SubnetId": vpcs.SUBNET},
    accepts=dict.fromkeys(("AllocationId", "ConnectivityType", "PrivateIpAddress")),
    build=_build,
    show=show,
    initial="pending",
    created=_furnish,
)


def delete(tx: Tx, request: Request) -> Document:
    """Delete a gateway: its interface goes at once, its record lingers. Repeats succeed."""
    ids = [request.params["NatGatewayId"]]
    [row] = rows.get(tx, NAT_GATEWAY, request.account, request.region, ids, lock=True)
    if row.state in ("deleting", "deleted"):
        return {"NatGatewayId": row.id}
    ids = [one.get("NetworkInterfaceId") for one in row.doc["NatGatewayAddresses"]]
    for id in (one for one in ids if one is not None):
        interface = rows.by_ids(tx, [id], lock=True)[id]
        interface = elastic_addresses.take_off(tx, interface, cause="its gateway is deleted")
        interfaces.delete(tx, interface, cause="its gateway is deleted")
    private = {**row.private, **kept_moment("deleting", tx.now)}
    row = endings.end(
        tx, NAT_GATEWAY, row, state="deleting", cause="DeleteNatGateway", private=private
    )
    rows.unlink(tx, row.doc["SubnetId"], row.id)
    ripening.plan(tx, row, "deleted", CHANGE_SECONDS, cause="DeleteNatGateway")
    return {"NatGatewayId": row.id}


ACTIONS: tuple[Action, ...] = (
    creating(
        GATEWAYS,
        "CreateNatGateway",
        validate=_validate,
        repeats=doubles("FLD", way="with the same address") + doubles("DER"),
    ),
    describing(GATEWAYS),
    Change("DeleteNatGateway", delete, repeats=same("DER")),
)
