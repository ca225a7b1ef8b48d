"""The values of DHCP options, as EC2 reads them. Pure.

Sources: answers of EC2's CreateDhcpOptions, and its reference, which documents fewer values than
are taken: a name has several, and a node type is any number of eight bits.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence

from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError

AMAZON_DNS = "AmazonProvidedDNS"
NAME_CHARACTERS_MAX = 253
NODE_TYPES = range(-128, 128)
# Seconds of a preferred lease.
LEASES = range(140, 2**31)
_WHOLE = re.compile(r"-?[0-9]{1,18}\Z")


def combined(given: Sequence[Document]) -> list[Document]:
    """Return each option once, with the values given under its name, in order.

    Values are separated by commas too. Raises EC2's refusal of a value, or of an unknown option.
    """
    values: dict[str, list[str]] = {}
    for one in given:
        key = one.get("Key", "")
        if key not in _CHECKS:
            raise refusals.invalid_value("name", key[:200], "Unknown DHCP option")
        said = [part.strip() for text in one.get("Values", []) for part in text.split(",")]
        if not said or "" in said:
            raise _refused(f"empty string for '{key}' is not allowed")
        values.setdefault(key, []).extend(said)
    for key, all_values in values.items():
        most, check = _CHECKS[key]
        if len(all_values) > most:
            raise _refused(",".join(all_values))
        for value in all_values:
            check(key, value)
    return [
        {"Key": key, "Values": [{"Value": value} for value in said]} for key, said in values.items()
    ]


def _refused(value: str) -> ServiceError:
    return refusals.invalid_value("value", value[:300], "Invalid DHCP option value.")


def _check_name(key: str, value: str) -> None:
    if len(value) > NAME_CHARACTERS_MAX:
        raise _refused(value)


def _check_server(key: str, value: str) -> None:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise _refused(value) from None


def _check_dns_server(key: str, value: str) -> None:
    if value != AMAZON_DNS:
        _check_server(key, value)


def _check_netbios_server(key: str, value: str) -> None:
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        raise _refused(value) from None


def _check_node_type(key: str, value: str) -> None:
    if not _WHOLE.match(value) or int(value) not in NODE_TYPES:
        raise _refused(value)


def _check_lease(key: str, value: str) -> None:
    if not _WHOLE.match(value):
        raise _refused(f"'{value[:200]}' for '{key}' is not allowed")
    if int(value) not in LEASES:
        raise _refused(f"'{value}' for '{key}' is out of bounds")


# How many values each option has at most, and the check of each.
_CHECKS: Mapping[str, tuple[int, Callable[[str, str], None]]] = {
    "domain-name": (4, _check_name),
    "domain-name-servers": (4, _check_dns_server),
    "ipv6-address-preferred-lease-time": (1, _check_lease),
    "netbios-name-servers": (4, _check_netbios_server),
    "netbios-node-type": (1, _check_node_type),
    "ntp-servers": (8, _check_server),
}
VALUES_MAX = {key: most for key, (most, _) in _CHECKS.items()}
