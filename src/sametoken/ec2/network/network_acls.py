"""Network ACLs: their entries, and the subnets that they filter."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from sametoken.ec2.kit.actions import Action, Change
from sametoken.ec2.kit.nouns import Noun, Parents, named
from sametoken.ec2.kit.parameters import asked_block
from sametoken.ec2.kit.repeats import conflicts, doubles, same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import creating, deleting, describing
from sametoken.ec2.network import acl_traffic
from sametoken.ec2.network.route_tables import DELETED, GRAMMAR, MISMATCH
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.kit import listings, quotas, rows
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import vpcs
from sametoken.resources.network.vpcs import NETWORK_ACL, VPC
from sametoken.store.port import Tx

# Filters of DescribeNetworkAcls whose names are not their paths.
NETWORK_ACL_PATHS = {
    "association.association-id": "Associations[].NetworkAclAssociationId",
    "default": "IsDefault",
    "entry.cidr": "Entries[].CidrBlock",
    "entry.icmp.code": "Entries[].IcmpTypeCode.Code",
    "entry.icmp.type": "Entries[].IcmpTypeCode.Type",
    "entry.ipv6-cidr": "Entries[].Ipv6CidrBlock",
}

# Rules 1 to 32766 are the caller's; the last rule denies everything and stays.
RULE_NUMBER_MAX = 32766
_ENTRY = (
    "CidrBlock", "Egress", "IcmpTypeCode", "Ipv6CidrBlock", "PortRange", "Protocol", "RuleAction",
    "RuleNumber",
)  # fmt: skip
_BLOCKS: Mapping[str, type[ipaddress.IPv4Network] | type[ipaddress.IPv6Network]] = {
    "CidrBlock": ipaddress.IPv4Network,
    "Ipv6CidrBlock": ipaddress.IPv6Network,
}


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    return {
        "VpcId": parents["VpcId"].id,
        "IsDefault": False,
        # Deny everything in a new ACL, until entries allow traffic.
        "Entries": vpcs.final_acl_entries(parents["VpcId"]),
        "Associations": [],
    }


NETWORK_ACLS = Noun(
    NETWORK_ACL,
    paths=NETWORK_ACL_PATHS,
    parents={"VpcId": VPC},
    build=_build,
)


def _refuse_used(tx: Tx, row: Row) -> None:
    if row.doc["IsDefault"]:
        raise refusals.invalid_value("networkAclId", row.id, "The default ACL cannot be deleted.")
    if row.doc["Associations"]:
        raise ServiceError(
            "DependencyViolation",
            f"The networkAcl '{row.id}' has dependencies and cannot be deleted.",
        )


def create_entry(tx: Tx, request: Request) -> Document:
    """Add an entry. The equal entry again succeeds (captured); another of its number is refused."""
    acl, entry = _acl(tx, request), _asked_entry(request)
    existing = _entry_at(acl, entry)
    if existing == entry:
        return {}
    if existing is not None:
        raise ServiceError(
            "NetworkAclEntryAlreadyExists",
            f"The network acl entry identified by {entry['RuleNumber']} already exists.",
        )
    _check_quota(tx, acl, entry)
    _set_entries(tx, acl, [*acl.doc["Entries"], entry])
    return {}


def _check_quota(tx: Tx, acl: Row, new: Document) -> None:
    """Check the quota of each direction.

    It is "enforced separately for IPv4 rules and IPv6 rules" (VPC user guide).
    """
    standing = [
        one
        for one in acl.doc["Entries"]
        if one["Egress"] == new["Egress"]
        and ("CidrBlock" in one) == ("CidrBlock" in new)
        and one["RuleNumber"] <= RULE_NUMBER_MAX
    ]
    quotas.refuse_beyond(tx, "network-acl-entry", acl.account, acl.region, len(standing) + 1)


def replace_entry(tx: Tx, request: Request) -> Document:
    acl, entry = _acl(tx, request), _asked_entry(request)
    existing = _require_entry(acl, entry)
    _set_entries(tx, acl, [entry if one == existing else one for one in acl.doc["Entries"]])
    return {}


def delete_entry(tx: Tx, request: Request) -> Document:
    acl = _acl(tx, request)
    existing = _require_entry(acl, dict(request.params))
    if existing["RuleNumber"] > RULE_NUMBER_MAX:
        raise refusals.invalid_value("ruleNumber", existing["RuleNumber"], "This rule stays.")
    _set_entries(tx, acl, [one for one in acl.doc["Entries"] if one != existing])
    return {}


def replace_association(tx: Tx, request: Request) -> Document:
    """Move a subnet to another ACL. A repeat returns the association that the first call made.

    "Idempotent by default, no token" (EC2 developer guide, "Ensuring idempotency").
    """
    id = request.params["AssociationId"]
    new = _acl(tx, request)
    before = new.private.get("replaced", {}).get(id)
    if before is not None and _association(new, before) is not None:
        return {"NewAssociationId": before}
    for row in listings.every(tx, NETWORK_ACL, request.account, request.region):
        association = _association(row, id)
        if association is not None and row.id == new.id:
            return {"NewAssociationId": id}
        if association is not None:
            if row.doc["VpcId"] != new.doc["VpcId"]:
                raise refusals.invalid_value(
                    "networkAclId", new.id, f"It is not in {row.doc['VpcId']}."
                )
            return _move(tx, rows.by_ids(tx, [row.id], lock=True)[row.id], new, association)
    raise ServiceError(
        "InvalidAssociationID.NotFound",
        f"The association ID '{id[:200]}' does not exist",
    )


def _association(acl: Row, id: str) -> Document | None:
    found: list[Document] = acl.doc["Associations"]
    return next((one for one in found if one["NetworkAclAssociationId"] == id), None)


def _move(tx: Tx, old: Row, new: Row, association: Document) -> Document:
    kept = [one for one in old.doc["Associations"] if one != association]
    rows.change(tx, NETWORK_ACL, old, Associations=kept)
    moved = vpcs.acl_association(tx, new.id, association["SubnetId"])
    id = moved["NetworkAclAssociationId"]
    associations = [*new.doc["Associations"], moved]
    # Remember the replaced association as long as the new one stands: a repeat names the old id.
    standing = {one["NetworkAclAssociationId"] for one in associations}
    replaced = {was: now for was, now in new.private.get("replaced", {}).items() if now in standing}
    replaced[association["NetworkAclAssociationId"]] = id
    private = {**new.private, "replaced": replaced}
    rows.change(tx, NETWORK_ACL, new, Associations=associations, private=private)
    return {"NewAssociationId": id}


def _acl(tx: Tx, request: Request) -> Row:
    return named(tx, request, NETWORK_ACL, "NetworkAclId", lock=True)


def _asked_entry(request: Request) -> Document:
    entry = {name: request.params[name] for name in _ENTRY if name in request.params}
    if not 1 <= entry["RuleNumber"] <= RULE_NUMBER_MAX:
        raise refusals.invalid_value(
            "ruleNumber", entry["RuleNumber"], f"It must be from 1 to {RULE_NUMBER_MAX}."
        )
    traffic = acl_traffic.asked_traffic(entry)
    plain = {name: entry[name] for name in ("Egress", "RuleAction", "RuleNumber")}
    return {**plain, **_asked_block(entry), **traffic}


def _asked_block(entry: Document) -> Document:
    """The one block of an entry, with its host bits cleared."""
    given = [name for name in _BLOCKS if name in entry]
    if not given:
        raise refusals.missing_parameter("CidrBlock")
    if len(given) > 1:
        raise refusals.invalid_combination("Give CidrBlock or Ipv6CidrBlock, not both")
    [name] = given
    return {name: str(asked_block(name, _BLOCKS[name], entry[name]))}


def _entry_at(acl: Row, wanted: Document) -> Document | None:
    place = (wanted["Egress"], wanted["RuleNumber"])
    entries: list[Document] = acl.doc["Entries"]
    return next((one for one in entries if (one["Egress"], one["RuleNumber"]) == place), None)


def _require_entry(acl: Row, wanted: Document) -> Document:
    found = _entry_at(acl, wanted)
    if found is None:
        raise ServiceError(
            "InvalidNetworkAclEntry.NotFound",
            f"The network acl entry identified by {wanted['RuleNumber']} does not exist.",
        )
    return found


def _set_entries(tx: Tx, acl: Row, entries: list[Document]) -> None:
    rows.change(tx, NETWORK_ACL, acl, Entries=vpcs.in_order(entries))


ACTIONS: tuple[Action, ...] = (
    creating(
        NETWORK_ACLS,
        "CreateNetworkAcl",
        mismatch=MISMATCH,
        deleted=DELETED,
        grammar=GRAMMAR,
        repeats=doubles("NAT"),
    ),
    describing(NETWORK_ACLS),
    deleting(NETWORK_ACLS, "DeleteNetworkAcl", check=_refuse_used),
    Change(
        "CreateNetworkAclEntry",
        create_entry,
        repeats=same("NAT"),
    ),
    Change("ReplaceNetworkAclEntry", replace_entry, repeats=same("DER")),
    Change(
        "DeleteNetworkAclEntry",
        delete_entry,
        repeats=conflicts("InvalidNetworkAclEntry.NotFound", "MEM"),
    ),
    Change("ReplaceNetworkAclAssociation", replace_association, repeats=same("DOC")),
)
