"""DescribeVpcEndpointServices, answered from the built-in catalogue of AWS's own. No store."""

from __future__ import annotations

from sametoken.ec2.kit.actions import Action, Read, stateless
from sametoken.ec2.kit.filters import compile_filters, tag_filters, tags_of_document
from sametoken.ec2.kit.paging import page, scope_of
from sametoken.ec2.kit.paths import getters
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol.documents import Document
from sametoken.errors import ServiceError
from sametoken.resources.catalogues.endpoint_services import (
    INTERFACE,
    EndpointService,
    endpoint_services,
)

# Source: EC2 API reference, DescribeVpcEndpointServices, "Filters".
PATHS = {
    "owner": "Owner",
    "service-name": "ServiceName",
    "service-region": "ServiceRegion",
    "service-type": "ServiceType[].ServiceType",
    "supported-ip-address-types": "SupportedIpAddressTypes[]",
}
FILTERS = {**getters(PATHS), **tag_filters(tags_of_document)}
# Services of a page: the most is EC2's; a page of one does no harm.
PAGES = (1, 1000)


def describe(request: Request) -> Document:
    """Return the services by name, and beside them their names alone."""
    params = request.params
    passes = compile_filters(params.get("Filters"), FILTERS)
    known = endpoint_services(request.region)
    wanted = params.get("ServiceNames") or []
    for name in wanted:
        if name not in {one.name for one in known}:
            raise ServiceError(
                "InvalidServiceName", f"The Vpc Endpoint Service '{name[:200]}' does not exist"
            )
    regions = params.get("ServiceRegions") or [request.region]
    shown = [
        _shown(one, request.region)
        for one in known
        if request.region in regions and (not wanted or one.name in wanted)
    ]
    listed = page(
        [one for one in shown if passes(one)],
        lambda one: f"{one['ServiceName']} {one['ServiceId']}",
        max_results=params.get("MaxResults"),
        next_token=params.get("NextToken"),
        scope=scope_of(request),
        minimum=PAGES[0],
        maximum=PAGES[1],
    )
    return {
        "ServiceDetails": listed.items,
        "ServiceNames": list(dict.fromkeys(one["ServiceName"] for one in listed.items)),
        "NextToken": listed.next_token,
    }


def _shown(service: EndpointService, region: str) -> Document:
    """EC2's ServiceDetail."""
    shown: Document = {
        "ServiceName": service.name,
        "ServiceId": service.id,
        "ServiceType": [{"ServiceType": service.type}],
        "ServiceRegion": region,
        "AvailabilityZones": [name for name, _ in service.zones],
        "AvailabilityZoneIds": [id for _, id in service.zones],
        "Owner": "amazon",
        "BaseEndpointDnsNames": [service.base_name],
        "VpcEndpointPolicySupported": True,
        "AcceptanceRequired": False,
        "ManagesVpcEndpoints": False,
        "Tags": [],
        "SupportedIpAddressTypes": ["ipv4"],
    }
    if service.type == INTERFACE:
        shown |= {
            "PrivateDnsName": service.private_names[0],
            "PrivateDnsNames": [{"PrivateDnsName": name} for name in service.private_names],
            "PrivateDnsNameVerificationState": "verified",
        }
    return shown


ACTIONS: tuple[Action, ...] = (Read("DescribeVpcEndpointServices", stateless(describe)),)
