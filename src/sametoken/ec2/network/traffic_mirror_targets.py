"""Traffic mirror targets: an interface, a network load balancer, or a gateway endpoint."""

from sametoken.ec2.kit.nouns import Noun, Parents, accepted_members
from sametoken.ec2.kit.parameters import exactly_one
from sametoken.ec2.kit.request import Request
from sametoken.ec2.kit.verbs import plain
from sametoken.ec2.network.vpc_endpoints import ENDPOINT
from sametoken.ec2.protocol.documents import Document
from sametoken.resources.kit.kinds import Kind, Quota
from sametoken.resources.network.interfaces import INTERFACE
from sametoken.store.port import Tx

# The parameter that names the target, and the Type it makes of it.
_TYPES = {
    "NetworkInterfaceId": "network-interface",
    "NetworkLoadBalancerArn": "network-load-balancer",
    "GatewayLoadBalancerEndpointId": "gateway-load-balancer-endpoint",
}


def _build(tx: Tx, request: Request, parents: Parents) -> Document:
    members = accepted_members(TARGETS, request)
    return {**members, "Type": next(_TYPES[name] for name in _TYPES if name in members)}


TARGETS = Noun(
    Kind(
        "traffic-mirror-target",
        "tmt",
        "InvalidTrafficMirrorTargetId",
        "traffic mirror target",
        malformed=None,
        quota=Quota(10_000),
        outlives=frozenset({INTERFACE.name, ENDPOINT.name}),
    ),
    parents={"NetworkInterfaceId": INTERFACE, "GatewayLoadBalancerEndpointId": ENDPOINT},
    accepts=dict.fromkeys(("Description", "NetworkLoadBalancerArn")),
    build=_build,
)
ACTIONS = plain(TARGETS, validate=exactly_one(*_TYPES))
