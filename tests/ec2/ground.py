"""Ground for requests to stand on: one account of a plane without runners, and what it needs.

Nothing goes on by itself here: whoever wants a launch to end, or a volume to be available, says
`later()`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import boto3
from botocore import xform_name
from botocore.config import Config

from ec2.asking import drive
from ec2.census import Census, taken
from ec2.samples import in_subnet, vpc
from plane import LAUNCH, Plane
from sametoken.resources.kit import counters, quotas, ripening
from sdk import Keys

Document = dict[str, Any]

# Longer than anything here takes to become available by itself.
A_WHILE = timedelta(seconds=10)


class Switched:
    """One client of a plane that asks as one account after the other.

    For suites of hundreds of accounts: to make a client takes as long as ten requests.
    """

    def __init__(self, plane: Plane) -> None:
        session = boto3.session.Session("nobodys", "nobodys")
        self._credentials = session.get_credentials()
        self._client = session.client(
            "ec2",
            region_name="us-east-1",
            endpoint_url=plane.url,
            config=Config(retries={"total_max_attempts": 1, "mode": "standard"}),
        )

    def to(self, keys: Keys) -> Any:
        """The client, asking with these keys from now on."""
        self._credentials.access_key = keys.access_key_id
        self._credentials.secret_key = keys.secret
        return self._client


@dataclass
class Ground:
    """`switched` asks for the account if given, else a client of its own."""

    plane: Plane
    keys: Keys
    switched: Switched | None = None

    @cached_property
    def client(self) -> Any:
        if self.switched is not None:
            return self.switched.to(self.keys)
        return self.plane.client(keys=self.keys)

    def call(self, action: str, **params: Any) -> Document:
        answer: Document = getattr(self.client, xform_name(action))(**params)
        return answer

    def census(self) -> Census:
        return taken(self.plane, self.keys.account)

    def raise_quota(self, what: str, maximum: int = 100) -> None:
        """Let the account have more of `what` than EC2 gives a new one."""
        name = quotas.name_of(what, self.keys.account, self.region)
        self.plane.run(lambda tx: counters.set_maximum(tx, name, maximum))

    def later(self) -> None:
        """A while after: whatever was on its way has arrived."""
        drive(self.plane)
        self.plane.advance(A_WHILE)
        self.plane.run(ripening.ripen_due)
        drive(self.plane)

    @property
    def region(self) -> str:
        return str(self.client.meta.region_name)

    @property
    def zone(self) -> str:
        return f"{self.region}a"

    @property
    def default_vpc(self) -> str:
        return vpc(self.client)

    @property
    def default_subnet(self) -> str:
        return str(in_subnet(self.client)["SubnetId"])

    def vpc(self) -> str:
        """A VPC of one's own."""
        return str(self.call("CreateVpc", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])

    def subnet(self) -> str:
        """A subnet in a VPC of one's own."""
        made = self.call("CreateSubnet", VpcId=self.vpc(), CidrBlock="10.0.1.0/24")
        return str(made["Subnet"]["SubnetId"])

    def instance(self, **more: Any) -> str:
        """An instance that runs, in `zone`."""
        asked = {**LAUNCH, "Placement": {"AvailabilityZone": self.zone}, **more}
        id = str(self.call("RunInstances", **asked)["Instances"][0]["InstanceId"])
        self.later()
        return id

    def stopped(self) -> str:
        id = self.instance()
        self.call("StopInstances", InstanceIds=[id])
        self.later()
        return id

    def volume(self) -> str:
        """A volume that is available, in `zone`."""
        id = str(self.call("CreateVolume", AvailabilityZone=self.zone, Size=8)["VolumeId"])
        self.later()
        return id

    def attached_volume(self) -> str:
        volume = self.volume()
        self.call("AttachVolume", VolumeId=volume, InstanceId=self.instance(), Device="/dev/sdf")
        return volume

    def snapshot(self) -> str:
        id = str(self.call("CreateSnapshot", VolumeId=self.volume())["SnapshotId"])
        self.later()
        return id

    def image(self, name: str = "mine") -> str:
        made = self.call("CreateImage", InstanceId=self.instance(), Name=name)
        self.later()
        return str(made["ImageId"])

    def interface(self) -> str:
        made = self.call("CreateNetworkInterface", SubnetId=self.default_subnet)
        return str(made["NetworkInterface"]["NetworkInterfaceId"])

    def attachment(self) -> str:
        """The attachment of a second interface of an instance."""
        asked = {"NetworkInterfaceId": self.interface(), "InstanceId": self.instance()}
        made = self.call("AttachNetworkInterface", **asked, DeviceIndex=1)
        return str(made["AttachmentId"])

    def allocation(self) -> str:
        return str(self.call("AllocateAddress")["AllocationId"])

    def association(self) -> str:
        asked = {"AllocationId": self.allocation(), "NetworkInterfaceId": self.interface()}
        return str(self.call("AssociateAddress", **asked)["AssociationId"])

    def gateway(self) -> str:
        return str(self.call("CreateInternetGateway")["InternetGateway"]["InternetGatewayId"])

    def default_gateway(self) -> str:
        """The gateway of the default VPC."""
        [shown] = self.call("DescribeInternetGateways")["InternetGateways"]
        return str(shown["InternetGatewayId"])

    def group(self, vpc: str | None = None) -> str:
        """A security group that lets 22 in, by default in a VPC of one's own."""
        asked = {"VpcId": self.vpc() if vpc is None else vpc}
        made = self.call("CreateSecurityGroup", **asked, GroupName="mine", Description="of mine")
        self.call("AuthorizeSecurityGroupIngress", GroupId=made["GroupId"], **INBOUND)
        return str(made["GroupId"])

    def rules(self, group: str, *, outbound: bool) -> list[str]:
        shown = self.call(
            "DescribeSecurityGroupRules", Filters=[{"Name": "group-id", "Values": [group]}]
        )
        rules = shown["SecurityGroupRules"]
        return [one["SecurityGroupRuleId"] for one in rules if one["IsEgress"] is outbound]

    def table(self, vpc: str | None = None) -> str:
        made = self.call("CreateRouteTable", VpcId=vpc or self.default_vpc)
        return str(made["RouteTable"]["RouteTableId"])

    def table_association(self) -> str:
        asked = {"RouteTableId": self.table(), "SubnetId": self.default_subnet}
        return str(self.call("AssociateRouteTable", **asked)["AssociationId"])

    def acl(self) -> str:
        made = self.call("CreateNetworkAcl", VpcId=self.default_vpc)
        return str(made["NetworkAcl"]["NetworkAclId"])

    def template(self) -> str:
        data = {"InstanceType": "t3.micro", "ImageId": LAUNCH["ImageId"]}
        made = self.call("CreateLaunchTemplate", LaunchTemplateName="web", LaunchTemplateData=data)
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def prefix_list(self) -> str:
        asked = {"PrefixListName": "mine", "AddressFamily": "IPv4", "MaxEntries": 5}
        return str(self.call("CreateManagedPrefixList", **asked)["PrefixList"]["PrefixListId"])

    def customer_gateway(self) -> str:
        made = self.call("CreateCustomerGateway", **CUSTOMER)["CustomerGateway"]
        return str(made["CustomerGatewayId"])

    def vpn_gateway(self, vpc: str | None = None) -> str:
        """A virtual private gateway, attached to `vpc` if one is given."""
        made = self.call("CreateVpnGateway", Type="ipsec.1")["VpnGateway"]
        if vpc is not None:
            self.call("AttachVpnGateway", VpnGatewayId=made["VpnGatewayId"], VpcId=vpc)
        return str(made["VpnGatewayId"])

    def vpn_ends(self) -> Document:
        """What a VPN connection joins."""
        ends = {"CustomerGatewayId": self.customer_gateway(), "VpnGatewayId": self.vpn_gateway()}
        return {"Type": "ipsec.1", **ends}

    def vpn_connection(self) -> str:
        made = self.call("CreateVpnConnection", **self.vpn_ends())["VpnConnection"]
        return str(made["VpnConnectionId"])


CUSTOMER: Document = {"Type": "ipsec.1", "IpAddress": "198.51.100.7", "BgpAsn": 65010}
_SSH: Document = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
INBOUND: Document = {"IpPermissions": [{**_SSH, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]}
# What every new group lets out.
OUTBOUND: Document = {
    "IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
}
OTHER: Document = {"IpPermissions": [{**_SSH, "IpRanges": [{"CidrIp": "192.168.0.0/16"}]}]}
