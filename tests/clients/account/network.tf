# A network of two subnets, each with its own way out.

resource "aws_vpc" "net" {
  cidr_block = "10.7.0.0/16"
  tags       = local.tags
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
resource "aws_subnet" "public" {
  vpc_id            = aws_vpc.net.id
  cidr_block        = "10.7.1.0/24"
  availability_zone = "us-east-1a"
  tags              = local.tags
}
resource "aws_subnet" "private" {
  vpc_id               = aws_vpc.net.id
  cidr_block           = "10.7.2.0/24"
  availability_zone_id = "use1-az2"
}

resource "aws_internet_gateway" "out" {
  vpc_id = aws_vpc.net.id
  tags   = local.tags
}
resource "aws_eip" "nat" {
  domain     = "vpc"
  tags       = local.tags
  depends_on = [aws_internet_gateway.out]
}
resource "aws_nat_gateway" "out" {
  subnet_id     = aws_subnet.public.id
  allocation_id = aws_eip.nat.id
  tags          = local.tags
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.net.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.out.id
  }
  tags = local.tags
}
resource "aws_route_table" "private" { vpc_id = aws_vpc.net.id }
resource "aws_route" "out" {
  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.out.id
}
resource "aws_route_table_association" "public" {
  subnet_id      = aws_subnet.public.id
  route_table_id = aws_route_table.public.id
}
resource "aws_main_route_table_association" "private" {
  vpc_id         = aws_vpc.net.id
  route_table_id = aws_route_table.private.id
}

# The provider waits ten seconds after each switch of these, so this VPC has nothing that waits for
# them.
resource "aws_vpc" "slow" {
  cidr_block           = "10.8.0.0/16"
  enable_dns_hostnames = true
}
resource "aws_subnet" "slow" {
  vpc_id                  = aws_vpc.slow.id
  cidr_block              = "10.8.1.0/24"
  map_public_ip_on_launch = true
}

# The default VPC and a subnet of it, which exist before and are only read.
data "aws_vpc" "default" { default = true }
data "aws_subnet" "default" {
  vpc_id            = data.aws_vpc.default.id
  availability_zone = "us-east-1a"
}
output "found" { value = [data.aws_vpc.default.id, data.aws_subnet.default.id] }
