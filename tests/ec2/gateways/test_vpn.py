"""VPN connections: repeats without a token, states, configuration, and pre-shared keys."""

from __future__ import annotations

import ipaddress
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from ec2.asking import by_filter, code, refusal, row_of
from ec2.gateways.vpn_ends import connect, customer, ends, gateway, ripen
from plane import Plane, everything, running_plane
from sametoken.server.choices import Choices


@pytest.fixture
def ec2(plane: Plane, request: pytest.FixtureRequest) -> Any:
    """Return a client of an account that only this test uses."""
    keys = plane.account(request.node.name[-60:])
    return plane.client(keys=keys, max_pool_connections=32)


def described(ec2: Any, id: str) -> dict[str, Any]:
    [found] = ec2.describe_vpn_connections(VpnConnectionIds=[id])["VpnConnections"]
    shown: dict[str, Any] = found
    return shown


def test_thirty_two_equal_requests_at_once_make_one_connection(ec2: Any) -> None:
    asked = ends(ec2)
    with ThreadPoolExecutor(32) as pool:
        made = list(pool.map(lambda _: connect(ec2, asked), range(32)))
    assert len({one["VpnConnectionId"] for one in made}) == 1
    assert len({one["CustomerGatewayConfiguration"] for one in made}) == 1, "the keys, too"
    assert len(ec2.describe_vpn_connections()["VpnConnections"]) == 1


def test_a_repeat_shows_what_became_of_the_connection(plane: Plane, ec2: Any) -> None:
    asked = ends(ec2)
    first = connect(ec2, asked)
    assert (first["State"], first["Category"]) == ("pending", "VPN")
    assert first["GatewayAssociationState"] == "associated"
    ripen(plane)
    again = connect(ec2, asked)
    assert again == {**first, "State": "available"} == described(ec2, first["VpnConnectionId"])


@pytest.mark.parametrize(
    "options",
    [
        {"StaticRoutesOnly": False},
        {"TunnelOptions": []},
        {"TunnelOptions": [{"DPDTimeoutSeconds": 30, "StartupAction": "add"}]},
        {"LocalIpv4NetworkCidr": "0.0.0.0/0", "TunnelInsideIpVersion": "ipv4"},
    ],
    ids=str,
)
def test_options_left_out_are_their_defaults(ec2: Any, options: dict[str, Any]) -> None:
    asked = ends(ec2)
    one, other = connect(ec2, asked), connect(ec2, asked, Options=options)
    assert one["VpnConnectionId"] == other["VpnConnectionId"]


def test_the_order_of_what_a_tunnel_permits_says_nothing(ec2: Any) -> None:
    asked = ends(ec2)
    permitted = [{"Value": "ikev1"}, {"Value": "ikev2"}]
    ids = {
        connect(ec2, asked, Options={"TunnelOptions": [{"IKEVersions": order}]})["VpnConnectionId"]
        for order in (permitted, permitted[::-1])
    }
    assert len(ids) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"StaticRoutesOnly": True},
        {"RemoteIpv4NetworkCidr": "10.0.0.0/8"},
        {"TunnelOptions": [{"PreSharedKey": "another_key"}]},
        {"TunnelOptions": [{"StartupAction": "add"}, {"DPDTimeoutSeconds": 40}]},
    ],
    ids=str,
)
def test_other_options_between_the_same_two_are_a_conflict(
    ec2: Any, options: dict[str, Any]
) -> None:
    asked = ends(ec2)
    first = connect(ec2, asked)
    refused = refusal(ec2.create_vpn_connection, **asked, Options=options)
    assert (refused.code, refused.status) == ("InvalidOption.Conflict", 400)
    assert "another_key" not in refused.message
    [alone] = ec2.describe_vpn_connections()["VpnConnections"]
    assert alone["CustomerGatewayConfiguration"] == first["CustomerGatewayConfiguration"]


def test_another_gateway_has_a_connection_of_its_own(ec2: Any) -> None:
    asked = ends(ec2)
    other = {**asked, "VpnGatewayId": gateway(ec2)}
    alone = {name: asked[name] for name in ("Type", "CustomerGatewayId")}
    made = [connect(ec2, one) for one in (asked, other, alone)]
    assert len({one["VpnConnectionId"] for one in made}) == 3
    assert (made[2]["GatewayAssociationState"], "VpnGatewayId" in made[2]) == (
        "not-associated", False,
    )  # fmt: skip


def device(connection: dict[str, Any]) -> ElementTree.Element:
    return ElementTree.fromstring(connection["CustomerGatewayConfiguration"])


def texts(tunnel: ElementTree.Element, *paths: str) -> list[str]:
    return [tunnel.findtext(path) or "" for path in paths]


def test_the_configuration_is_what_a_device_is_set_up_from(ec2: Any) -> None:
    key = "given.By_the_caller"
    options = {"TunnelOptions": [{"TunnelInsideCidr": "169.254.10.0/30", "PreSharedKey": key}]}
    made = connect(ec2, ends(ec2), Options=options)
    document = device(made)
    assert document.get("id") == made["VpnConnectionId"]
    assert document.findtext("customer_gateway_id") == made["CustomerGatewayId"]
    first, second = document.findall("ipsec_tunnel")
    assert texts(
        first, "ike/pre_shared_key", "vpn_gateway/tunnel_inside_address/ip_address",
        "customer_gateway/tunnel_inside_address/ip_address", "customer_gateway/bgp/asn",
        "vpn_gateway/bgp/asn", "customer_gateway/tunnel_outside_address/ip_address",
    ) == [key, "169.254.10.1", "169.254.10.2", "65010", "64512", "198.51.100.7"]  # fmt: skip
    made_key, outside = texts(
        second, "ike/pre_shared_key", "vpn_gateway/tunnel_outside_address/ip_address"
    )
    assert re.fullmatch(r"[1-9A-Za-z._][0-9A-Za-z._]{31}", made_key) and made_key != key
    shown = made["Options"]["TunnelOptions"]
    assert [one["PreSharedKey"] for one in shown] == [key, made_key]
    assert shown[1]["OutsideIpAddress"] == outside != shown[0]["OutsideIpAddress"]
    assert ipaddress.ip_network(shown[1]["TunnelInsideCidr"]).prefixlen == 30
    assert [one["Status"] for one in made["VgwTelemetry"]] == ["DOWN", "DOWN"]


def test_a_static_connections_configuration_has_no_bgp(ec2: Any) -> None:
    document = device(connect(ec2, ends(ec2), Options={"StaticRoutesOnly": True}))
    assert document.findtext("vpn_connection_attributes") == "NoBGPVPNConnection"
    assert document.findall(".//bgp") == []


def test_deleting_takes_the_keys_at_once_and_the_record_later(plane: Plane, ec2: Any) -> None:
    asked = ends(ec2)
    made = connect(ec2, asked)
    id, keys = made["VpnConnectionId"], made["Options"]["TunnelOptions"]
    for _ in range(2):
        ec2.delete_vpn_connection(VpnConnectionId=id)
        shown = described(ec2, id)
        assert shown["State"] == "deleting" and "CustomerGatewayConfiguration" not in shown
    kept = json.dumps(row_of(plane, id).doc)
    assert not any(one["PreSharedKey"] in kept for one in keys)
    assert code(ec2.delete_customer_gateway, CustomerGatewayId=asked["CustomerGatewayId"]) == (
        "IncorrectState"
    )
    ripen(plane)
    assert described(ec2, id)["State"] == "deleted"
    delete = ec2.delete_vpn_connection
    assert code(delete, VpnConnectionId=id) == "InvalidVpnConnectionID.NotFound"
    ec2.delete_customer_gateway(CustomerGatewayId=asked["CustomerGatewayId"])
    ec2.delete_vpn_gateway(VpnGatewayId=asked["VpnGatewayId"])


def test_a_new_connection_after_the_old_one_has_new_keys(ec2: Any) -> None:
    asked = ends(ec2)
    old = connect(ec2, asked)
    ec2.delete_vpn_connection(VpnConnectionId=old["VpnConnectionId"])
    new = connect(ec2, asked)
    assert new["VpnConnectionId"] != old["VpnConnectionId"]
    keys = [{one["PreSharedKey"] for one in c["Options"]["TunnelOptions"]} for c in (old, new)]
    assert not keys[0] & keys[1]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"Type": "ipsec.2"}, "InvalidParameterValue"),
        ({"TransitGatewayId": "tgw-00000000000000000"}, "InvalidTransitGatewayID.NotFound"),
        ({"VpnGatewayId": "vgw-00000000000000000"}, "InvalidVpnGatewayID.NotFound"),
        ({"CustomerGatewayId": "cgw-x"}, "InvalidCustomerGatewayId.Malformed"),
        ({"PreSharedKeyStorage": "SecretsManager"}, "UnsupportedOperation"),
        ({"Options": {"EnableAcceleration": True}}, "UnsupportedOperation"),
        ({"Options": {"LocalIpv6NetworkCidr": "::/0"}}, "UnsupportedOperation"),
        ({"Options": {"LocalIpv4NetworkCidr": "10.0.0.1/8"}}, "InvalidParameterValue"),
        ({"Options": {"TunnelOptions": [{"StartupAction": "add"}] * 3}}, "InvalidParameterValue"),
    ],
    ids=str,
)
def test_what_cannot_be_a_connection_is_refused(
    ec2: Any, wrong: dict[str, Any], expected: str
) -> None:
    assert code(ec2.create_vpn_connection, **{**ends(ec2), **wrong}) == expected
    assert ec2.describe_vpn_connections()["VpnConnections"] == []


@pytest.mark.parametrize(
    "tunnel",
    [
        {"PreSharedKey": "0starts_with_a_zero"},
        {"PreSharedKey": "short"},
        {"TunnelInsideCidr": "169.254.0.0/30"},
        {"TunnelInsideCidr": "169.254.0.0/255.255.255.252"},
        {"TunnelInsideCidr": "10.0.0.0/30"},
        {"TunnelInsideCidr": "169.254.10.0/29"},
        {"Phase1LifetimeSeconds": 899},
        {"Phase1LifetimeSeconds": 3600, "Phase2LifetimeSeconds": 3600},
        {"RekeyMarginTimeSeconds": 1801},
        {"DPDTimeoutAction": "explode"},
        {"IKEVersions": [{"Value": "ikev3"}]},
        {"Phase1DHGroupNumbers": [{"Value": 5}]},
    ],
    ids=str,
)
def test_what_cannot_be_a_tunnel_is_refused_and_no_key_repeated(
    ec2: Any, tunnel: dict[str, Any]
) -> None:
    options = {"TunnelOptions": [{"StartupAction": "add"}, tunnel]}
    refused = refusal(ec2.create_vpn_connection, **ends(ec2), Options=options)
    assert refused.code in ("InvalidParameterValue", "InvalidParameterCombination")
    assert tunnel.get("PreSharedKey", "-") not in refused.message


def test_tunnels_of_one_gateway_have_different_insides(ec2: Any) -> None:
    asked = ends(ec2)
    inside = {"TunnelInsideCidr": "169.254.20.0/30"}
    twice = {"TunnelOptions": [inside, inside]}
    assert code(ec2.create_vpn_connection, **asked, Options=twice) == "InvalidCidr.InUse"
    connect(ec2, asked, Options={"TunnelOptions": [inside]})
    other = {**asked, "CustomerGatewayId": customer(ec2, DeviceName="other")}
    refused = code(ec2.create_vpn_connection, **other, Options={"TunnelOptions": [inside]})
    assert refused == "InvalidCidr.InUse"


def test_filters_find_connections_by_what_they_join(ec2: Any) -> None:
    asked = ends(ec2)
    id = connect(ec2, asked, Options={"StaticRoutesOnly": True})["VpnConnectionId"]
    connect(ec2, {**asked, "CustomerGatewayId": customer(ec2, BgpAsn=65020)})
    for name, value in (
        ("bgp-asn", "65010"),
        ("customer-gateway-id", asked["CustomerGatewayId"]),
        ("option.static-routes-only", "true"),
        ("vpn-connection-id", id),
    ):
        found = ec2.describe_vpn_connections(Filters=by_filter(name, value))["VpnConnections"]
        assert [one["VpnConnectionId"] for one in found] == [id], name
    for name in ("bgp-asn", "transit-gateway-id"):
        assert not ec2.describe_vpn_connections(Filters=by_filter(name, "1"))["VpnConnections"]


def test_tags_are_given_and_found(ec2: Any) -> None:
    asked = ends(ec2)
    tags = [{"Key": "site", "Value": "one"}]
    made = connect(ec2, asked, TagSpecifications=[{"ResourceType": "vpn-connection", "Tags": tags}])
    assert made["Tags"] == tags
    found = ec2.describe_vpn_connections(Filters=by_filter("tag:site", "one"))["VpnConnections"]
    assert [one["VpnConnectionId"] for one in found] == [made["VpnConnectionId"]]
    ec2.create_tags(Resources=[asked["CustomerGatewayId"]], Tags=tags)
    listed = ec2.describe_tags(Filters=by_filter("key", "site"))["Tags"]
    assert {one["ResourceType"] for one in listed} == {"customer-gateway", "vpn-connection"}


def test_keys_are_not_kept_where_invocations_stand_in_for_tokens(tmp_path: Path) -> None:
    """A repeat is answered from the connection's row, so the ledger need not keep the keys."""
    with running_plane(tmp_path, choices=Choices(dedupe_invocations=True)) as plane:
        ec2 = plane.client()
        made = connect(ec2, ends(ec2), Options={"TunnelOptions": [{"PreSharedKey": "kept_not"}]})
        keys = [one["PreSharedKey"] for one in made["Options"]["TunnelOptions"]]
        ec2.delete_vpn_connection(VpnConnectionId=made["VpnConnectionId"])
        kept = repr(everything(plane.store))
    assert made["VpnConnectionId"] in kept
    assert [key for key in keys if key in kept] == []
