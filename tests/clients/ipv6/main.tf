# A network with IPv6, a secondary block, and machines with addresses of both kinds.

variable "assigns" { type = bool }

data "aws_ami" "linux" {
  owners      = ["amazon"]
  most_recent = true
  filter {
    name   = "name"
    values = ["al2023-ami-2023*-x86_64"]
  }
}

resource "aws_vpc" "net" {
  cidr_block                       = "10.8.0.0/16"
  assign_generated_ipv6_cidr_block = true
}
resource "aws_vpc_ipv4_cidr_block_association" "more" {
  vpc_id     = aws_vpc.net.id
  cidr_block = "10.9.0.0/16"
}
resource "aws_subnet" "both" {
  vpc_id                          = aws_vpc.net.id
  cidr_block                      = "10.8.1.0/24"
  ipv6_cidr_block                 = cidrsubnet(aws_vpc.net.ipv6_cidr_block, 8, 1)
  assign_ipv6_address_on_creation = var.assigns
  enable_dns64                    = true
  availability_zone               = "us-east-1a"
}
resource "aws_subnet" "second" {
  vpc_id            = aws_vpc.net.id
  cidr_block        = "10.9.1.0/24"
  availability_zone = "us-east-1a"
  depends_on        = [aws_vpc_ipv4_cidr_block_association.more]
}
resource "aws_egress_only_internet_gateway" "out" {
  vpc_id = aws_vpc.net.id
}
resource "aws_route_table" "both" {
  vpc_id = aws_vpc.net.id
}
resource "aws_route" "out" {
  route_table_id              = aws_route_table.both.id
  destination_ipv6_cidr_block = "::/0"
  egress_only_gateway_id      = aws_egress_only_internet_gateway.out.id
}
resource "aws_route_table_association" "both" {
  subnet_id      = aws_subnet.both.id
  route_table_id = aws_route_table.both.id
}
resource "aws_security_group" "web" {
  name   = "web"
  vpc_id = aws_vpc.net.id
  ingress {
    protocol         = "tcp"
    from_port        = 443
    to_port          = 443
    cidr_blocks      = ["0.0.0.0/0"]
    ipv6_cidr_blocks = ["::/0"]
  }
  egress {
    protocol         = "-1"
    from_port        = 0
    to_port          = 0
    ipv6_cidr_blocks = ["::/0"]
  }
}
resource "aws_network_acl" "both" {
  vpc_id     = aws_vpc.net.id
  subnet_ids = [aws_subnet.both.id]
  ingress {
    rule_no         = 100
    protocol        = "-1"
    from_port       = 0
    to_port         = 0
    action          = "allow"
    ipv6_cidr_block = "::/0"
  }
}
resource "aws_network_interface" "own" {
  subnet_id          = aws_subnet.both.id
  ipv6_address_count = 2
  security_groups    = [aws_security_group.web.id]
}
resource "aws_ec2_capacity_reservation" "one" {
  instance_type           = "t3.micro"
  instance_platform       = "Linux/UNIX"
  availability_zone       = "us-east-1a"
  instance_count          = 1
  instance_match_criteria = "targeted"
}
resource "aws_instance" "both" {
  ami                    = data.aws_ami.linux.id
  instance_type          = "t3.micro"
  subnet_id              = aws_subnet.both.id
  ipv6_address_count     = 1
  vpc_security_group_ids = [aws_security_group.web.id]
  capacity_reservation_specification {
    capacity_reservation_target {
      capacity_reservation_id = aws_ec2_capacity_reservation.one.id
    }
  }
}

output "addresses" { value = aws_instance.both.ipv6_addresses }
output "block" { value = aws_subnet.both.ipv6_cidr_block }
output "reservation" { value = aws_ec2_capacity_reservation.one.id }
