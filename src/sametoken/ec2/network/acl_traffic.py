"""The traffic of a network ACL's entry: its protocol, and the ports or the ICMP type. Pure.

An entry is stored with the number of its protocol, and with no more than that protocol has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sametoken.ec2.network.rule_forms import ICMP_MAX, PORT_MAX, PROTOCOL_MAX
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document

_NUMBERS = {"icmp": "1", "tcp": "6", "udp": "17", "icmpv6": "58", "all": "-1"}
_NUMBER = re.compile(r"[0-9]{1,3}\Z")
_WITH_PORTS = frozenset({"6", "17"})
_WITH_TYPES = frozenset({"1", "58"})


def asked_traffic(entry: Mapping[str, Any]) -> Document:
    """Return the members that an entry's protocol has.

    Raises EC2's refusal of a protocol, a range of ports, or a type.
    """
    protocol = _protocol(str(entry["Protocol"]))
    found: Document = {"Protocol": protocol}
    if protocol in _WITH_PORTS:
        found["PortRange"] = _ports(entry.get("PortRange") or {})
    elif protocol in _WITH_TYPES:
        found["IcmpTypeCode"] = _type(entry.get("IcmpTypeCode") or {})
    return found


def _protocol(given: str) -> str:
    said = _NUMBERS.get(given.lower(), given)
    if said != "-1" and not (_NUMBER.match(said) and int(said) <= PROTOCOL_MAX):
        raise refusals.invalid_value(
            "protocol", given[:200], "Use -1, tcp, udp, icmp, icmpv6 or a number."
        )
    return str(int(said))


def _ports(given: Mapping[str, Any]) -> Document:
    for member in ("From", "To"):
        if member not in given:
            raise refusals.missing_parameter(f"portRange.{member.lower()}")
    first, last = given["From"], given["To"]
    if not 0 <= first <= last <= PORT_MAX:
        raise refusals.invalid_value(
            "portRange", f"{first}-{last}", f"Ports are from 0 to {PORT_MAX}, the lower one first."
        )
    return {"From": first, "To": last}


def _type(given: Mapping[str, Any]) -> Document:
    for member in ("Type", "Code"):
        if member not in given:
            raise refusals.missing_parameter(f"icmpTypeCode.{member.lower()}")
        if not -1 <= given[member] <= ICMP_MAX:
            raise refusals.invalid_value(
                f"icmpTypeCode.{member.lower()}", given[member], f"It is from -1 to {ICMP_MAX}."
            )
    return {"Type": given["Type"], "Code": given["Code"]}
