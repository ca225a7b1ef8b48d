"""IpPermissions and rules of security groups: each form turned into the other. Pure.

A permission is a protocol, ports and many peers; a rule has one peer, and an id. Requests use
either form; both are compared and stored as rules.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sametoken.ec2.kit.parameters import parse_block
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.network.security_groups import PEERS

# Names that EC2 shows for protocols, even when a request gives their numbers.
_NAMES = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}
_NUMBER = re.compile(r"[0-9]{1,3}\Z")
_DESCRIPTION = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]*\Z")
_WITH_PORTS = frozenset({"tcp", "udp"})
_WITH_TYPES = frozenset({"icmp", "icmpv6"})
PORT_MAX = 65535
ICMP_MAX = 255
PROTOCOL_MAX = 255
DESCRIPTION_CHARACTERS_MAX = 255
# Parameters of the flat form, which a request may have instead of a permission.
_FLAT = ("IpProtocol", "FromPort", "ToPort")
_FLAT_SOURCE = ("SourceSecurityGroupName", "SourceSecurityGroupOwnerId")
FLAT = (*_FLAT, "CidrIp", *_FLAT_SOURCE)

Rule = Mapping[str, Any]


def asked_permissions(params: Mapping[str, Any]) -> list[Document]:
    """The permissions of a request, also of one in the older, flat form."""
    flat = {name: params[name] for name in FLAT if name in params}
    given: list[Document] = list(params.get("IpPermissions", ()))
    if not flat:
        return given
    if given:
        raise refusals.invalid_combination(
            f"Give IpPermissions or {', '.join(flat)}, not both kinds of parameters"
        )
    if not any(name in flat for name in _FLAT_SOURCE):
        ports = {name: flat[name] for name in _FLAT if name in flat}
        ranges = [{"CidrIp": flat["CidrIp"]}] if "CidrIp" in flat else []
        return [{**ports, "IpRanges": ranges}]
    if len(flat) > sum(name in flat for name in _FLAT_SOURCE):
        raise refusals.invalid_combination(
            "A source security group by name stands alone; use IpPermissions to limit it"
        )
    return _full_access(flat)


def _full_access(flat: Document) -> list[Document]:
    """The permissions for a source group given by name: "full ICMP, UDP, and TCP access"."""
    pair = {"GroupName": flat.get("SourceSecurityGroupName", "")}
    if "SourceSecurityGroupOwnerId" in flat:
        pair["UserId"] = flat["SourceSecurityGroupOwnerId"]
    every = {"tcp": (0, PORT_MAX), "udp": (0, PORT_MAX), "icmp": (-1, -1)}
    return [
        {"IpProtocol": name, "FromPort": first, "ToPort": last, "UserIdGroupPairs": [pair]}
        for name, (first, last) in every.items()
    ]


def to_rules(permission: Rule, *, is_egress: bool) -> Iterator[Document]:
    """Turn a permission into a rule for each peer, in the members of EC2's SecurityGroupRule.

    A peer that is a group keeps the request's pair as ReferencedGroupInfo: the caller looks the
    group up.
    """
    protocol, first, last = _traffic(permission)
    peers = list(_peers(permission))
    if not peers:
        raise ServiceError("MissingParameter", "Each permission must name a source or destination")
    for peer, description in peers:
        rule = {"IsEgress": is_egress, "IpProtocol": protocol, "FromPort": first, "ToPort": last}
        yield {**rule, **peer, **checked_description(description)}


def from_rule_request(asked: Rule, *, is_egress: bool) -> Document:
    """The rule that one SecurityGroupRuleRequest describes."""
    permission = {name: asked[name] for name in _FLAT if name in asked}
    about = {"Description": asked["Description"]} if "Description" in asked else {}
    for member, peers, peer in (
        ("CidrIpv4", "IpRanges", "CidrIp"),
        ("CidrIpv6", "Ipv6Ranges", "CidrIpv6"),
        ("PrefixListId", "PrefixListIds", "PrefixListId"),
        ("ReferencedGroupId", "UserIdGroupPairs", "GroupId"),
    ):
        if member in asked:
            permission[peers] = [{peer: asked[member], **about}]
    rules = list(to_rules(permission, is_egress=is_egress))
    if len(rules) != 1:
        raise refusals.invalid_combination("A rule has exactly one source or destination")
    return rules[0]


def checked_description(text: str | None) -> Document:
    if not text:
        return {}
    if len(text) > DESCRIPTION_CHARACTERS_MAX or not _DESCRIPTION.match(text):
        raise ServiceError(
            "InvalidParameterValue",
            "Invalid rule description. Valid descriptions are strings less than 256 characters "
            "from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
        )
    return {"Description": text}


def _traffic(permission: Rule) -> tuple[str, int, int]:
    """The protocol, and first and last port (for ICMP: type and code); -1 means all."""
    given = str(permission.get("IpProtocol", "")).lower()
    if not given:
        raise refusals.missing_parameter("ipProtocol")
    number = int(given) if _NUMBER.match(given) else None
    written = given if number is None else str(number)
    protocol = _NAMES.get(written, written)
    named = protocol in _WITH_PORTS | _WITH_TYPES | {"-1"}
    if not named and (number is None or number > PROTOCOL_MAX):
        raise refusals.invalid_value("ipProtocol", given[:200], "Use tcp, udp, icmp or a number.")
    first, last = permission.get("FromPort"), permission.get("ToPort")
    if protocol in _WITH_PORTS:
        return protocol, *_ports(first, last)
    if protocol in _WITH_TYPES:
        return protocol, _icmp(first), _icmp(last)
    # "Traffic on all ports is allowed, regardless of any ports you specify."
    return protocol, -1, -1


def _ports(first: int | None, last: int | None) -> tuple[int, int]:
    if first is None or last is None:
        raise ServiceError(
            "InvalidParameterValue",
            "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.",
        )
    if not 0 <= first <= last <= PORT_MAX:
        raise ServiceError("InvalidParameterValue", f"Invalid TCP/UDP port range ({first}:{last})")
    return first, last


def _icmp(number: int | None) -> int:
    if number is None:
        return -1
    if not -1 <= number <= ICMP_MAX:
        raise ServiceError("InvalidParameterValue", f"Invalid ICMP type or code ({number})")
    return number


def _peers(permission: Rule) -> Iterator[tuple[Document, str | None]]:
    """Yield each peer as a member of the rule, with its description."""
    for one in permission.get("IpRanges", ()):
        yield {"CidrIpv4": _block(ipaddress.IPv4Network, one, "CidrIp")}, one.get("Description")
    for one in permission.get("Ipv6Ranges", ()):
        yield {"CidrIpv6": _block(ipaddress.IPv6Network, one, "CidrIpv6")}, one.get("Description")
    for one in permission.get("PrefixListIds", ()):
        if "PrefixListId" not in one:
            raise refusals.missing_parameter("prefixListId")
        yield {"PrefixListId": one["PrefixListId"]}, one.get("Description")
    for one in permission.get("UserIdGroupPairs", ()):
        pair = {name: value for name, value in one.items() if name != "Description"}
        yield {"ReferencedGroupInfo": pair}, one.get("Description")


def _block(
    network: type[ipaddress.IPv4Network | ipaddress.IPv6Network], one: Rule, name: str
) -> str:
    """The block in the form that EC2 stores: without host bits."""
    given = one.get(name, "")
    try:
        return str(parse_block(network, given))
    except ValueError:
        raise ServiceError(
            "InvalidParameterValue", f"CIDR block {given[:200]} is malformed"
        ) from None


def identity(rule: Rule) -> tuple[Any, ...]:
    """The key by which two rules are the same: all but description, tags and id."""
    group = rule.get("ReferencedGroupInfo") or {}
    peer = [rule.get(name) for name in PEERS if name != "ReferencedGroupInfo"]
    traffic = [rule[name] for name in ("IsEgress", "IpProtocol", "FromPort", "ToPort")]
    return (*traffic, *peer, group.get("GroupId"))


def spoken(rule: Rule) -> str:
    """A rule in the wording of EC2's refusals."""
    group = (rule.get("ReferencedGroupInfo") or {}).get("GroupId")
    peers = [rule.get(name) for name in PEERS if name != "ReferencedGroupInfo"]
    peer = next(one for one in (*peers, group) if one)
    if rule["IpProtocol"] not in _WITH_PORTS | _WITH_TYPES:
        traffic = "ALL" if rule["IpProtocol"] == "-1" else rule["IpProtocol"]
        return f"peer: {peer}, {traffic}, ALLOW"
    ports = f"from port: {rule['FromPort']}, to port: {rule['ToPort']}"
    return f"peer: {peer}, {rule['IpProtocol'].upper()}, {ports}, ALLOW"


def to_permissions(rules: Iterable[Rule]) -> list[Document]:
    """The rules of one direction as EC2's IpPermissions; rules of equal traffic share one."""
    found: dict[tuple[Any, ...], Document] = {}
    for rule in rules:
        traffic = (rule["IpProtocol"], rule["FromPort"], rule["ToPort"])
        if traffic not in found:
            found[traffic] = _empty_permission(*traffic)
        member, peer = _as_peer(rule)
        about = {"Description": rule["Description"]} if rule.get("Description") else {}
        found[traffic][member].append({**peer, **about})
    return list(found.values())


def _empty_permission(protocol: str, first: int, last: int) -> Document:
    ports = {}
    if protocol in _WITH_PORTS | _WITH_TYPES:
        ports = {"FromPort": first, "ToPort": last}
    lists = ("UserIdGroupPairs", "IpRanges", "Ipv6Ranges", "PrefixListIds")
    return {"IpProtocol": protocol, **ports, **{name: [] for name in lists}}


def _as_peer(rule: Rule) -> tuple[str, Document]:
    if rule.get("CidrIpv4"):
        return "IpRanges", {"CidrIp": rule["CidrIpv4"]}
    if rule.get("CidrIpv6"):
        return "Ipv6Ranges", {"CidrIpv6": rule["CidrIpv6"]}
    if rule.get("PrefixListId"):
        return "PrefixListIds", {"PrefixListId": rule["PrefixListId"]}
    return "UserIdGroupPairs", dict(rule["ReferencedGroupInfo"])
