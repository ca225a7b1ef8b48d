"""Terraform makes a network, finds nothing to change in it, retags it, and takes it away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clients.terraform import Terraform, require_terraform
from plane import Plane, running_plane

_CONFIGURATION = """
variable "owner" { type = string }
locals { tags = { Name = "terraform", Owner = var.owner } }

resource "aws_vpc" "net" {
  cidr_block = "10.7.0.0/16"
  tags       = local.tags
}
resource "aws_subnet" "one" {
  vpc_id            = aws_vpc.net.id
  cidr_block        = "10.7.1.0/24"
  availability_zone = "us-east-1a"
  tags              = local.tags
}
resource "aws_subnet" "two" {
  vpc_id               = aws_vpc.net.id
  cidr_block           = "10.7.2.0/24"
  availability_zone_id = "use1-az2"
}
resource "aws_internet_gateway" "out" {
  vpc_id = aws_vpc.net.id
  tags   = local.tags
}
resource "aws_route_table" "public" {
  vpc_id = aws_vpc.net.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.out.id
  }
  tags = local.tags
}
resource "aws_route_table" "main" { vpc_id = aws_vpc.net.id }
resource "aws_route" "far" {
  route_table_id         = aws_route_table.main.id
  destination_cidr_block = "192.168.0.0/16"
  gateway_id             = aws_internet_gateway.out.id
}
resource "aws_route_table_association" "one" {
  subnet_id      = aws_subnet.one.id
  route_table_id = aws_route_table.public.id
}
resource "aws_main_route_table_association" "main" {
  vpc_id         = aws_vpc.net.id
  route_table_id = aws_route_table.main.id
}
resource "aws_network_acl" "front" {
  vpc_id     = aws_vpc.net.id
  subnet_ids = [aws_subnet.one.id]
  ingress {
    protocol   = "tcp"
    rule_no    = 100
    action     = "allow"
    cidr_block = "0.0.0.0/0"
    from_port  = 443
    to_port    = 443
  }
  egress {
    protocol   = "-1"
    rule_no    = 100
    action     = "allow"
    cidr_block = "0.0.0.0/0"
    from_port  = 0
    to_port    = 0
  }
  tags = local.tags
}
resource "aws_network_acl" "back" { vpc_id = aws_vpc.net.id }
resource "aws_network_acl_association" "two" {
  network_acl_id = aws_network_acl.back.id
  subnet_id      = aws_subnet.two.id
}
resource "aws_network_acl_rule" "ping" {
  network_acl_id = aws_network_acl.back.id
  rule_number    = 200
  protocol       = "icmp"
  rule_action    = "allow"
  cidr_block     = "10.0.0.0/8"
  icmp_type      = 8
  icmp_code      = -1
}
resource "aws_security_group" "inline" {
  name        = "inline"
  description = "rules in the group"
  vpc_id      = aws_vpc.net.id
  ingress {
    description = "ssh"
    protocol    = "tcp"
    from_port   = 22
    to_port     = 22
    cidr_blocks = ["10.0.0.0/8", "192.168.0.0/16"]
  }
  ingress {
    protocol  = "-1"
    from_port = 0
    to_port   = 0
    self      = true
  }
  egress {
    protocol         = "-1"
    from_port        = 0
    to_port          = 0
    cidr_blocks      = ["0.0.0.0/0"]
    ipv6_cidr_blocks = ["::/0"]
  }
  tags = local.tags
}
resource "aws_security_group" "outside" {
  name   = "outside"
  vpc_id = aws_vpc.net.id
}
resource "aws_vpc_security_group_ingress_rule" "web" {
  security_group_id = aws_security_group.outside.id
  ip_protocol       = "tcp"
  from_port         = 80
  to_port           = 80
  cidr_ipv4         = "0.0.0.0/0"
  description       = "for ${var.owner}"
  tags              = local.tags
}
resource "aws_vpc_security_group_ingress_rule" "peer" {
  security_group_id            = aws_security_group.outside.id
  ip_protocol                  = "udp"
  from_port                    = 53
  to_port                      = 53
  referenced_security_group_id = aws_security_group.inline.id
}
resource "aws_vpc_security_group_egress_rule" "all" {
  security_group_id = aws_security_group.outside.id
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}
resource "aws_security_group_rule" "old" {
  security_group_id = aws_security_group.outside.id
  type              = "ingress"
  protocol          = "icmp"
  from_port         = -1
  to_port           = -1
  cidr_blocks       = ["10.0.0.0/8"]
}
resource "aws_vpc_dhcp_options" "names" {
  domain_name         = "example.test"
  domain_name_servers = ["10.7.0.2", "10.7.0.3"]
  tags                = local.tags
}
resource "aws_vpc_dhcp_options_association" "names" {
  vpc_id          = aws_vpc.net.id
  dhcp_options_id = aws_vpc_dhcp_options.names.id
}
output "vpc" { value = aws_vpc.net.id }
output "tagged" {
  value = [
    aws_vpc.net.id, aws_subnet.one.id, aws_internet_gateway.out.id, aws_route_table.public.id,
    aws_network_acl.front.id, aws_security_group.inline.id, aws_vpc_dhcp_options.names.id,
    aws_vpc_security_group_ingress_rule.web.id,
  ]
}
"""
_LISTS = (
    ("describe_vpcs", "Vpcs", "VpcId"),
    ("describe_subnets", "Subnets", "SubnetId"),
    ("describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    ("describe_route_tables", "RouteTables", "RouteTableId"),
    ("describe_network_acls", "NetworkAcls", "NetworkAclId"),
    ("describe_security_groups", "SecurityGroups", "GroupId"),
    ("describe_security_group_rules", "SecurityGroupRules", "SecurityGroupRuleId"),
    ("describe_dhcp_options", "DhcpOptions", "DhcpOptionsId"),
)


def _holdings(ec2: Any) -> dict[str, dict[str, Any]]:
    """All that stands in the account, as it is described, by kind and id."""
    return {
        member: {one[id]: one for one in getattr(ec2, call)()[member]}
        for call, member, id in _LISTS
    }


def _owners(ec2: Any, ids: list[str]) -> dict[str, str]:
    found = ec2.describe_tags(
        Filters=[{"Name": "key", "Values": ["Owner"]}, {"Name": "resource-id", "Values": ids}]
    )
    return {one["ResourceId"]: one["Value"] for one in found["Tags"]}


def test_a_network_is_applied_stays_unchanged_is_retagged_and_destroyed(tmp_path: Path) -> None:
    require_terraform()
    with running_plane(tmp_path, runners=0) as plane:
        _check(plane, tmp_path)


def _check(plane: Plane, folder: Path) -> None:
    ec2 = plane.client()
    before = _holdings(ec2)
    terraform = Terraform(folder, plane.url, plane.keys)
    terraform.configure(_CONFIGURATION)

    terraform.apply(owner="first")
    made = terraform.output()
    assert _owners(ec2, made["tagged"]) == dict.fromkeys(made["tagged"], "first")
    assert terraform.plan(owner="first") is None

    terraform.apply(owner="second")
    assert terraform.output() == made, "tags and a description change in place"
    assert _owners(ec2, made["tagged"]) == dict.fromkeys(made["tagged"], "second")

    terraform.destroy(owner="second")
    assert _holdings(ec2) == before
