"""botocore's waiters for served actions: each acceptor ends its waiter, or keeps it waiting.

A waiter's model lists its acceptors: answers that end it well, that end it badly, or that it waits
out. Each acceptor that can match here has a sample, which prepares the resource and gives the
request. The plane's clock moves on at every question of a waiter, so no test sleeps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError, WaiterError
from botocore.session import get_session
from botocore.waiter import AcceptorConfig

from ec2.ground import Ground
from exercises.storage import attached
from plane import Plane
from sametoken.ec2.catalog import ACTIONS

Document = dict[str, Any]
Ask = Callable[[Ground], Document]

_MODEL = get_session().get_waiter_model("ec2")
SERVED = sorted(
    name for name in _MODEL.waiter_names if _MODEL.get_waiter(name).operation in ACTIONS
)
# Attempts of a waiter: more than any resource here takes, and few for one that must go on waiting.
QUESTIONS, FEW = 20, 3


def told(name: str, acceptor: AcceptorConfig) -> str:
    return f"{name} {acceptor.state} {acceptor.expected}"


ACCEPTORS = {
    told(name, acceptor): (name, acceptor)
    for name in SERVED
    for acceptor in _MODEL.get_waiter(name).acceptors
}


def ids(member: str, of: Callable[[Ground], str]) -> Ask:
    return lambda ground: {member: [of(ground)]}


def absent(member: str, prefix: str) -> Ask:
    """Name an id that no resource has."""
    return lambda ground: {member: [f"{prefix}-00000000000000001"]}


def one(kind: str) -> Callable[[Ground], str]:
    return lambda ground: ground.own(kind)


def new(kind: str) -> Callable[[Ground], str]:
    """Make a resource of `kind`, and do not wait until it is available."""
    return lambda ground: ground.new(kind)


def changed(action: str, of: Callable[[Ground], str]) -> Callable[[Ground], str]:
    """Change an instance's state by `action`, and do not wait until it has changed."""

    def change(ground: Ground) -> str:
        id = of(ground)
        ground.call(action, InstanceIds=[id])
        return id

    return change


def terminated(ground: Ground) -> str:
    id = changed("TerminateInstances", one("instance"))(ground)
    ground.later()
    return id


def nat(ground: Ground, **more: Any) -> str:
    asked = {"SubnetId": ground.subnet(), "ConnectivityType": "private", **more}
    return str(ground.call("CreateNatGateway", **asked)["NatGateway"]["NatGatewayId"])


def failing_nat(ground: Ground) -> str:
    """Make a NAT gateway with the Elastic address of another, so that it fails."""
    public = {"ConnectivityType": "public", "AllocationId": ground.own("elastic-ip")}
    nat(ground, **public)
    return nat(ground, **public)


def deleted_nat(ground: Ground) -> str:
    id = nat(ground)
    ground.call("DeleteNatGateway", NatGatewayId=id)
    return id


def long_deleted_nat(ground: Ground) -> str:
    id = deleted_nat(ground)
    ground.later()
    return id


def deleted_customer(ground: Ground) -> str:
    id = ground.own("customer-gateway")
    ground.call("DeleteCustomerGateway", CustomerGatewayId=id)
    return id


def deleted_connection(ground: Ground) -> str:
    id = ground.own("vpn-connection")
    ground.call("DeleteVpnConnection", VpnConnectionId=id)
    return id


def long_deleted_connection(ground: Ground) -> str:
    id = deleted_connection(ground)
    ground.later()
    return id


def key(ground: Ground) -> Document:
    ground.call("CreateKeyPair", KeyName="mine", KeyType="ed25519")
    return {"KeyNames": ["mine"]}


SAMPLES: dict[str, Ask] = {
    "CustomerGatewayAvailable failure deleted": ids("CustomerGatewayIds", deleted_customer),
    "CustomerGatewayAvailable success available": ids(
        "CustomerGatewayIds", one("customer-gateway")
    ),
    "ImageAvailable success available": ids("ImageIds", new("image")),
    "ImageExists retry InvalidAMIID.NotFound": absent("ImageIds", "ami"),
    "ImageExists success True": ids("ImageIds", new("image")),
    "InstanceExists retry InvalidInstanceID.NotFound": absent("InstanceIds", "i"),
    "InstanceExists success True": ids("InstanceIds", new("instance")),
    "InstanceRunning failure shutting-down": ids(
        "InstanceIds", changed("TerminateInstances", one("instance"))
    ),
    "InstanceRunning failure stopping": ids(
        "InstanceIds", changed("StopInstances", one("instance"))
    ),
    "InstanceRunning failure terminated": ids("InstanceIds", terminated),
    "InstanceRunning retry InvalidInstanceID.NotFound": absent("InstanceIds", "i"),
    "InstanceRunning success running": ids("InstanceIds", new("instance")),
    "InstanceStatusOk retry InvalidInstanceID.NotFound": absent("InstanceIds", "i"),
    "InstanceStatusOk success ok": ids("InstanceIds", new("instance")),
    "InstanceStopped failure pending": ids("InstanceIds", new("instance")),
    "InstanceStopped failure terminated": ids("InstanceIds", terminated),
    "InstanceStopped success stopped": ids(
        "InstanceIds", changed("StopInstances", one("instance"))
    ),
    "InstanceTerminated failure pending": ids("InstanceIds", new("instance")),
    "InstanceTerminated failure stopping": ids(
        "InstanceIds", changed("StopInstances", one("instance"))
    ),
    "InstanceTerminated success terminated": ids(
        "InstanceIds", changed("TerminateInstances", one("instance"))
    ),
    "InternetGatewayExists success True": ids("InternetGatewayIds", one("internet-gateway")),
    "KeyPairExists retry InvalidKeyPair.NotFound": lambda ground: {"KeyNames": ["nobodys"]},
    "KeyPairExists success True": key,
    "NatGatewayAvailable failure deleted": ids("NatGatewayIds", long_deleted_nat),
    "NatGatewayAvailable failure deleting": ids("NatGatewayIds", deleted_nat),
    "NatGatewayAvailable failure failed": ids("NatGatewayIds", failing_nat),
    "NatGatewayAvailable retry NatGatewayNotFound": absent("NatGatewayIds", "nat"),
    "NatGatewayAvailable success available": ids("NatGatewayIds", nat),
    "NatGatewayDeleted success NatGatewayNotFound": absent("NatGatewayIds", "nat"),
    "NatGatewayDeleted success deleted": ids("NatGatewayIds", deleted_nat),
    "NetworkInterfaceAvailable failure InvalidNetworkInterfaceID.NotFound": absent(
        "NetworkInterfaceIds", "eni"
    ),
    "NetworkInterfaceAvailable success available": ids(
        "NetworkInterfaceIds", one("network-interface")
    ),
    "SecurityGroupExists retry InvalidGroup.NotFound": absent("GroupIds", "sg"),
    "SecurityGroupExists success True": ids("GroupIds", one("security-group")),
    "SnapshotCompleted success completed": ids("SnapshotIds", new("snapshot")),
    "SubnetAvailable success available": ids("SubnetIds", one("subnet")),
    "SystemStatusOk success ok": ids("InstanceIds", new("instance")),
    "VolumeAvailable success available": ids("VolumeIds", new("volume")),
    "VolumeDeleted success InvalidVolume.NotFound": absent("VolumeIds", "vol"),
    "VolumeInUse success in-use": ids(
        "VolumeIds", lambda ground: str(attached(ground)["VolumeId"])
    ),
    "VpcAvailable success available": ids("VpcIds", one("vpc")),
    "VpcExists retry InvalidVpcID.NotFound": absent("VpcIds", "vpc"),
    "VpcExists success 200": ids("VpcIds", one("vpc")),
    "VpnConnectionAvailable failure deleted": ids("VpnConnectionIds", long_deleted_connection),
    "VpnConnectionAvailable failure deleting": ids("VpnConnectionIds", deleted_connection),
    "VpnConnectionAvailable success available": ids("VpnConnectionIds", new("vpn-connection")),
    "VpnConnectionDeleted failure pending": ids("VpnConnectionIds", new("vpn-connection")),
    "VpnConnectionDeleted success deleted": ids("VpnConnectionIds", deleted_connection),
}
# Acceptors that cannot match here, and why.
NEVER = {
    "CustomerGatewayAvailable failure deleting": "a customer gateway is deleted at once",
    "ImageAvailable failure failed": "no image fails: nothing is copied for it",
    "InternetGatewayExists retry InvalidInternetGateway.NotFound": (
        "EC2's own code is InvalidInternetGatewayID.NotFound"
    ),
    "SnapshotCompleted failure error": "no snapshot fails: nothing is copied for it",
    "VolumeAvailable failure deleted": "a deleted volume is not shown at all, as in EC2",
    "VolumeDeleted success deleted": "a deleted volume is not shown at all, as in EC2",
    "VolumeInUse failure deleted": "a deleted volume is not shown at all, as in EC2",
}


def test_every_acceptor_of_a_served_waiter_has_a_sample_or_a_reason() -> None:
    """An action with a waiter that is served anew needs a sample or a reason for each acceptor."""
    assert sorted({**SAMPLES, **NEVER}) == sorted(ACCEPTORS)
    assert not SAMPLES.keys() & NEVER.keys()


def seen(ground: Ground, name: str, asked: Document) -> AcceptorConfig | None:
    """Return the acceptor that matches the answer of this moment, if one does."""
    config = _MODEL.get_waiter(name)
    try:
        answer = ground.call(config.operation, **asked)
    except ClientError as refused:
        answer = refused.response
    return next((one for one in config.acceptors if one.matcher_func(answer)), None)


@pytest.mark.parametrize("case", SAMPLES)
def test_a_waiter_ends_for_the_reason_its_model_gives(still: Plane, case: str) -> None:
    name, acceptor = ACCEPTORS[case]
    ground = Ground(still, still.account(case[-60:]))
    asked = SAMPLES[case](ground)
    questions: list[str] = []

    def before_asking(**context: Any) -> None:
        """Let time pass between two questions."""
        if questions:
            ground.later()
        questions.append(name)

    operation = _MODEL.get_waiter(name).operation
    ground.client.meta.events.register(f"before-call.ec2.{operation}", before_asking)
    waiter = ground.client.get_waiter(xform_name(name))
    most = FEW if acceptor.state == "retry" else QUESTIONS
    config = {"Delay": 0, "MaxAttempts": most}
    if acceptor.state == "success":
        waiter.wait(**asked, WaiterConfig=config)
    else:
        with pytest.raises(WaiterError) as ended:
            waiter.wait(**asked, WaiterConfig=config)
        assert acceptor.explanation in str(ended.value)
    assert (len(questions) == most) == (acceptor.state == "retry")
    # Other acceptors end the waiter the same way; check that this one matched.
    final = seen(Ground(still, ground.keys), name, asked)
    assert final is not None and told(name, final) == case
