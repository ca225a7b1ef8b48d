"""The two tunnels of a VPN connection: their options, and the configuration of the device.

The pre-shared keys are made here, or given by the caller. EC2 shows them in every answer about a
living connection, so they are stored as long as it lives, and no longer.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sametoken.ec2.kit.parameters import Accepted
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.protocol.xml import escaped
from sametoken.errors import ServiceError
from sametoken.resources.kit.rows import Row
from sametoken.resources.network import public_addresses
from sametoken.store.port import Tx

TUNNELS = 2
# Least and most of each number; None means no most. The most of the rekey margin depends on another
# number. Source of this table and those below: EC2 API reference, VpnTunnelOptionsSpecification.
_RANGES: Mapping[str, tuple[int, int | None]] = {
    "DPDTimeoutSeconds": (30, None),
    "Phase1LifetimeSeconds": (900, 28_800),
    "Phase2LifetimeSeconds": (900, 3_600),
    "RekeyFuzzPercentage": (0, 100),
    "ReplayWindowSize": (64, 2_048),
}
_REKEY_SECONDS_MIN = 60
_CIPHERS = frozenset({"AES128", "AES256", "AES128-GCM-16", "AES256-GCM-16"})
_HASHES = frozenset({"SHA1", "SHA2-256", "SHA2-384", "SHA2-512"})
_GROUPS = frozenset({2, *range(14, 25), 35})
_CHOICES: Mapping[str, frozenset[Any]] = {
    "DPDTimeoutAction": frozenset({"clear", "none", "restart"}),
    "IKEVersions": frozenset({"ikev1", "ikev2"}),
    "Phase1DHGroupNumbers": _GROUPS,
    "Phase1EncryptionAlgorithms": _CIPHERS,
    "Phase1IntegrityAlgorithms": _HASHES,
    "Phase2DHGroupNumbers": _GROUPS | {5, 36, 37},
    "Phase2EncryptionAlgorithms": _CIPHERS,
    "Phase2IntegrityAlgorithms": _HASHES,
    "StartupAction": frozenset({"add", "start"}),
}
_DEFAULTS: Document = {
    "DPDTimeoutAction": "clear",
    "DPDTimeoutSeconds": 30,
    "EnableTunnelLifecycleControl": False,
    "Phase1LifetimeSeconds": 28_800,
    "Phase2LifetimeSeconds": 3_600,
    "RekeyFuzzPercentage": 100,
    "RekeyMarginTimeSeconds": 270,
    "ReplayWindowSize": 1_024,
    "StartupAction": "add",
}
# Names that the shape of the answer spells unlike the request's.
_SHOWN_AS = {
    "DPDTimeoutAction": "DpdTimeoutAction",
    "DPDTimeoutSeconds": "DpdTimeoutSeconds",
    "IKEVersions": "IkeVersions",
}
ACCEPTED: Accepted = {
    **dict.fromkeys(_RANGES),
    **dict.fromkeys(_CHOICES),
    **dict.fromkeys(
        (
            "EnableTunnelLifecycleControl",
            "PreSharedKey",
            "RekeyMarginTimeSeconds",
            "TunnelInsideCidr",
        )
    ),
    "LogOptions": {"CloudWatchLogOptions": None},
}
_KEY = re.compile(r"(?!0)[A-Za-z0-9._]{8,64}\Z")
_KEY_CHARACTERS = 32
_INSIDE = ipaddress.IPv4Network("169.254.0.0/16")
_INSIDE_PREFIX = 30
_RESERVED = frozenset({*(f"169.254.{third}.0/30" for third in range(6)), "169.254.169.252/30"})
# Number of probes. With a hundred of the 16,384 blocks taken, this many never all miss.
_PROBES = 64


def check(given: Sequence[Document]) -> None:
    """Raise EC2's refusals of tunnel options. No refusal repeats a pre-shared key."""
    if len(given) > TUNNELS:
        raise refusals.invalid_value("TunnelOptions", len(given), f"There are {TUNNELS} tunnels.")
    for tunnel in given:
        numbers = {**_DEFAULTS, **tunnel}
        for name, (least, most) in _RANGES.items():
            _check_number(name, numbers[name], least, most)
        for name, choices in _CHOICES.items():
            for value in _values(tunnel.get(name, ())):
                if value not in choices:
                    allowed = ", ".join(str(one) for one in sorted(choices))
                    raise refusals.invalid_value(name, value, f"Use one of: {allowed}.")
        if numbers["Phase2LifetimeSeconds"] >= numbers["Phase1LifetimeSeconds"]:
            raise refusals.invalid_combination("Phase 2 must be shorter than phase 1")
        _check_number(
            "RekeyMarginTimeSeconds", numbers["RekeyMarginTimeSeconds"],
            _REKEY_SECONDS_MIN, numbers["Phase2LifetimeSeconds"] // 2,
        )  # fmt: skip
        if not _KEY.match(tunnel.get("PreSharedKey", "acceptable")):
            raise refusals.invalid_value(
                "PreSharedKey", "****",
                "Use 8 to 64 letters, digits, periods and underscores, the first no zero.",
            )  # fmt: skip
        if "TunnelInsideCidr" in tunnel:
            _check_inside(tunnel["TunnelInsideCidr"])


def _check_number(name: str, value: int, least: int, most: int | None) -> None:
    if value < least or (most is not None and value > most):
        bound = f"At least {least}." if most is None else f"From {least} to {most}."
        raise refusals.invalid_value(name, value, bound)


def _check_inside(block: str) -> None:
    try:
        network = ipaddress.IPv4Network(block)
    except ValueError:
        network = ipaddress.IPv4Network("0.0.0.0/0")
    # Compare the text as well: written with a netmask, a reserved block would not be known as one.
    is_plain = block == str(network)
    fits = is_plain and network.prefixlen == _INSIDE_PREFIX and network.subnet_of(_INSIDE)
    if not fits or block in _RESERVED:
        raise refusals.invalid_value(
            "TunnelInsideCidr", block[:200], f"Use a /30 of {_INSIDE} that EC2 does not reserve."
        )


def _values(given: Any) -> list[Any]:
    """The values of a choice, which is either one text or a list of `Value`s."""
    return [given] if isinstance(given, str) else [one.get("Value") for one in given]


def intent(given: Sequence[Document]) -> list[Document]:
    """The options of both tunnels, in the form in which two requests compare."""
    filled = []
    for tunnel in [*given, *[{}] * (TUNNELS - len(given))]:
        lists = {
            name: sorted(_values(value))
            for name, value in tunnel.items()
            if isinstance(value, list)
        }
        filled.append({**_DEFAULTS, **tunnel, **lists})
    return filled


def lay_out(
    tx: Tx, holder: str, given: Sequence[Document], standing: Sequence[Row]
) -> list[Document]:
    """Lay out both tunnels as EC2 shows them, with addresses and keys of their own.

    `holder` is the connection's id; `standing` are the connections of its gateway, whose inside
    blocks must differ from the new ones. Raises `InvalidCidr.InUse`.
    """
    taken = {one["TunnelInsideCidr"] for row in standing for one in row.private["tunnels"]}
    asked = [one["TunnelInsideCidr"] for one in given if "TunnelInsideCidr" in one]
    for number, block in enumerate(asked):
        if block in taken or block in asked[:number]:
            raise ServiceError(
                "InvalidCidr.InUse", f"The inside CIDR {block} is in use by another tunnel"
            )
    taken.update(asked)
    tunnels = []
    for tunnel in [*given, *[{}] * (TUNNELS - len(given))]:
        made = {"TunnelInsideCidr": None, "PreSharedKey": None, **tunnel}
        if made["TunnelInsideCidr"] is None:
            made["TunnelInsideCidr"] = _free_inside(tx, taken)
            taken.add(made["TunnelInsideCidr"])
        if made["PreSharedKey"] is None:
            # Start the key with a letter, because EC2 takes no key that starts with a zero.
            made["PreSharedKey"] = f"k{tx.world.token_hex(_KEY_CHARACTERS - 1)}"
        shown = {_SHOWN_AS.get(name, name): value for name, value in made.items()}
        tunnels.append({"OutsideIpAddress": public_addresses.hold(tx, holder), **shown})
    return tunnels


def _free_inside(tx: Tx, taken: set[str]) -> str:
    count = 2 ** (_INSIDE_PREFIX - _INSIDE.prefixlen)
    first, size = int(_INSIDE.network_address), 2 ** (32 - _INSIDE_PREFIX)
    for _ in range(_PROBES):
        number = first + int(tx.world.random() * count) * size
        block = f"{ipaddress.IPv4Address(number)}/{_INSIDE_PREFIX}"
        if block not in taken and block not in _RESERVED:
            return block
    raise ServiceError("InvalidCidr.InUse", "No inside CIDR is free at this gateway.")


def without_keys(tunnels: Sequence[Document]) -> list[Document]:
    """The tunnels as they stay in the row of a connection that has ended."""
    return [
        {name: value for name, value in one.items() if name != "PreSharedKey"} for one in tunnels
    ]


def configuration(row: Row) -> str:
    """The XML document for the customer's device, in the form that EC2's samples have."""
    private = row.private
    parts: Document = {
        "customer_gateway_id": row.doc["CustomerGatewayId"],
        "vpn_gateway_id": row.doc.get("VpnGatewayId", ""),
        "vpn_connection_type": row.doc["Type"],
    }
    static = row.doc["Options"]["StaticRoutesOnly"]
    if static:
        parts["vpn_connection_attributes"] = "NoBGPVPNConnection"
    parts["ipsec_tunnel"] = [_device_tunnel(one, private, static) for one in private["tunnels"]]
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<vpn_connection id="{row.id}">{_elements(parts)}</vpn_connection>'
    )


def _device_tunnel(tunnel: Document, private: Document, static: bool) -> Document:
    inside = ipaddress.IPv4Network(tunnel["TunnelInsideCidr"])

    def end(outside: str, number: int, asn: str) -> Document:
        found: Document = {
            "tunnel_outside_address": {"ip_address": outside},
            "tunnel_inside_address": {
                "ip_address": str(inside[number]),
                "network_mask": str(inside.netmask),
                "network_cidr": inside.prefixlen,
            },
        }
        return found if static else {**found, "bgp": {"asn": asn, "hold_time": 30}}

    return {
        "customer_gateway": end(private["customer_address"], 2, private["customer_asn"]),
        "vpn_gateway": end(tunnel["OutsideIpAddress"], 1, private["amazon_asn"]),
        "ike": {
            "authentication_protocol": "sha1",
            "encryption_protocol": "aes-128-cbc",
            "lifetime": tunnel.get("Phase1LifetimeSeconds", _DEFAULTS["Phase1LifetimeSeconds"]),
            "perfect_forward_secrecy": "group2",
            "mode": "main",
            "pre_shared_key": tunnel["PreSharedKey"],
        },
        "ipsec": {
            "protocol": "esp",
            "authentication_protocol": "hmac-sha1-96",
            "encryption_protocol": "aes-128-cbc",
            "lifetime": tunnel.get("Phase2LifetimeSeconds", _DEFAULTS["Phase2LifetimeSeconds"]),
            "perfect_forward_secrecy": "group2",
            "mode": "tunnel",
            "clear_df_bit": "true",
            "fragmentation_before_encryption": "true",
            "tcp_mss_adjustment": 1379,
            "dead_peer_detection": {"interval": 10, "retries": 3},
        },
    }


def _elements(parts: Mapping[str, Any]) -> str:
    """Members as elements; a list is its element several times."""
    return "".join(
        f"<{name}>{_elements(one) if isinstance(one, Mapping) else escaped(str(one))}</{name}>"
        for name, value in parts.items()
        for one in (value if isinstance(value, list) else [value])
    )
