"""Terraform's interfaces, Elastic addresses and key pairs: made, unchanged, retagged, removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clients.terraform import Terraform, require_terraform
from ec2.asking import by_filter, running
from plane import running_plane

_CONFIGURATION = """
variable "owner" {{ type = string }}
variable "instance" {{ type = string }}
variable "other_instance" {{ type = string }}
locals {{ tags = {{ Owner = var.owner }} }}

data "aws_vpc" "default" {{ default = true }}
data "aws_subnet" "one" {{
  vpc_id            = data.aws_vpc.default.id
  availability_zone = "us-east-1a"
}}

resource "aws_key_pair" "admin" {{
  key_name   = "admin"
  public_key = "{public_key}"
  tags       = local.tags
}}
resource "aws_security_group" "one" {{
  name   = "one"
  vpc_id = data.aws_vpc.default.id
}}
resource "aws_network_interface" "front" {{
  subnet_id         = data.aws_subnet.one.id
  description       = "front"
  private_ips       = [for n in [50, 51] : cidrhost(data.aws_subnet.one.cidr_block, n)]
  security_groups   = [aws_security_group.one.id]
  source_dest_check = false
  tags              = local.tags
}}
resource "aws_network_interface_attachment" "front" {{
  instance_id          = var.instance
  network_interface_id = aws_network_interface.front.id
  device_index         = 1
}}
resource "aws_eip" "front" {{
  domain                    = "vpc"
  network_interface         = aws_network_interface.front.id
  associate_with_private_ip = cidrhost(data.aws_subnet.one.cidr_block, 50)
  tags                      = local.tags
}}
resource "aws_eip" "web" {{
  domain = "vpc"
}}
resource "aws_eip_association" "web" {{
  instance_id   = var.other_instance
  allocation_id = aws_eip.web.id
}}
"""


def test_terraform_makes_keeps_changes_and_removes_addresses(tmp_path: Path) -> None:
    require_terraform()
    public = Ed25519PrivateKey.generate().public_key()
    line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    folder = tmp_path / "terraform"
    folder.mkdir()
    with running_plane(tmp_path) as plane:
        client = plane.client()
        [subnet] = client.describe_subnets(Filters=by_filter("availability-zone", "us-east-1a"))[
            "Subnets"
        ]
        ids = [running(client, SubnetId=subnet["SubnetId"]) for _ in range(2)]
        instances = dict(zip(("instance", "other_instance"), ids, strict=True))
        before = _ids(client)
        terraform = Terraform(folder, plane.url, plane.keys)
        terraform.configure(_CONFIGURATION.format(public_key=line))
        terraform.apply(owner="one", **instances)
        assert terraform.plan(owner="one", **instances) is None
        made = _ids(client) - before
        assert len(made) == 4
        terraform.apply(owner="two", **instances)
        assert terraform.plan(owner="two", **instances) is None
        assert _ids(client) - before == made, "only tags have changed"
        terraform.destroy(owner="two", **instances)
        assert _ids(client) == before


def _ids(client: Any) -> set[Any]:
    """Every interface, address and key pair of the account."""
    listed = (
        (client.describe_network_interfaces()["NetworkInterfaces"], "NetworkInterfaceId"),
        (client.describe_addresses()["Addresses"], "AllocationId"),
        (client.describe_key_pairs()["KeyPairs"], "KeyPairId"),
    )
    return {one[name] for found, name in listed for one in found}
