variable "owner" { default = "one" }
variable "port" { default = 443 }
variable "size" { default = "t3.micro" }
data "aws_availability_zones" "available" {}
data "aws_vpc_endpoint_service" "s3" {
  service      = "s3"
  service_type = "Gateway"
}
data "aws_ami" "al" {
  most_recent = true
  owners      = ["amazon"]
  filter {
    name   = "name"
    values = ["al2023-ami-2023*-x86_64"]
  }
}
locals {
  name     = "complete"
  vpc_cidr = "10.0.0.0/16"
  azs      = slice(data.aws_availability_zones.available.names, 0, 3)
  tags     = { Example = local.name, Owner = var.owner }
}
module "vpc" {
  source           = "./modules/terraform-aws-vpc"
  name             = local.name
  cidr             = local.vpc_cidr
  azs              = local.azs

  secondary_cidr_blocks = ["10.1.0.0/16", "10.2.0.0/16"]
  elasticache_subnets   = [for k, v in local.azs : cidrsubnet("10.1.0.0/16", 2, k)]

  create_elasticache_subnet_group                = false
  enable_ipv6                                    = true
  create_egress_only_igw                         = true
  public_subnet_ipv6_prefixes                    = [0, 1, 2]
  private_subnet_ipv6_prefixes                   = [3, 4, 5]
  database_subnet_ipv6_prefixes                  = [6, 7, 8]
  intra_subnet_ipv6_prefixes                     = [9, 10, 11]
  elasticache_subnet_ipv6_prefixes               = [12, 13, 14]
  public_subnet_assign_ipv6_address_on_creation  = true
  private_subnet_assign_ipv6_address_on_creation = true

  private_subnets  = [for k, v in local.azs : cidrsubnet(local.vpc_cidr, 8, k)]
  public_subnets   = [for k, v in local.azs : cidrsubnet(local.vpc_cidr, 8, k + 4)]
  database_subnets = [for k, v in local.azs : cidrsubnet(local.vpc_cidr, 8, k + 8)]
  intra_subnets    = [for k, v in local.azs : cidrsubnet(local.vpc_cidr, 8, k + 20)]

  private_subnet_names          = ["Private Subnet One", "Private Subnet Two"]
  create_database_subnet_group  = false
  manage_default_network_acl    = true
  manage_default_route_table    = true
  manage_default_security_group = true
  public_dedicated_network_acl  = true
  enable_dns_hostnames          = true
  enable_dns_support            = true
  enable_nat_gateway            = true
  single_nat_gateway            = true
  customer_gateways = {
    IP1 = {
      bgp_asn     = 65112
      ip_address  = "1.2.3.4"
      device_name = "some_name"
    }
  }
  enable_vpn_gateway                = true
  enable_dhcp_options               = true
  dhcp_options_domain_name          = "service.consul"
  dhcp_options_domain_name_servers  = ["127.0.0.1", "10.10.0.2"]
  enable_flow_log                   = true
  flow_log_destination_type         = "s3"
  flow_log_destination_arn          = "arn:aws:s3:::sametoken-flow-logs"
  flow_log_file_format              = "parquet"
  flow_log_max_aggregation_interval = 60
  tags                              = local.tags
}
module "vpc_endpoints" {
  source                     = "./modules/terraform-aws-vpc/modules/vpc-endpoints"
  vpc_id                     = module.vpc.vpc_id
  create_security_group      = true
  security_group_name_prefix = "${local.name}-vpc-endpoints-"
  security_group_description = "VPC endpoint security group"
  security_group_rules = {
    ingress_https = {
      description = "HTTPS from VPC"
      cidr_blocks = [module.vpc.vpc_cidr_block]
    }
  }
  endpoints = {
    s3 = {
      service             = "s3"
      private_dns_enabled = true
      dns_options = {
        private_dns_only_for_inbound_resolver_endpoint = false
      }
      tags = { Name = "s3-vpc-endpoint" }
    },
    dynamodb = {
      service      = "dynamodb"
      service_type = "Gateway"
      route_table_ids = flatten([
        module.vpc.intra_route_table_ids, module.vpc.private_route_table_ids,
        module.vpc.public_route_table_ids
      ])
      policy          = data.aws_iam_policy_document.policy.json
      tags            = { Name = "dynamodb-vpc-endpoint" }
    },
    ecs = {
      service             = "ecs"
      private_dns_enabled = true
      subnet_ids          = module.vpc.intra_subnets
      # In subnets of its own, where nothing else can have these addresses.
      subnet_configurations = [
        for v in module.vpc.intra_subnet_objects :
        {
          ipv4      = cidrhost(v.cidr_block, 10)
          subnet_id = v.id
        }
      ]
    },
    ecr_api = {
      service             = "ecr.api"
      private_dns_enabled = true
      subnet_ids          = module.vpc.private_subnets
      policy              = data.aws_iam_policy_document.policy.json
    },
  }
  tags = merge(local.tags, { Endpoint = "true" })
}
data "aws_iam_policy_document" "policy" {
  statement {
    effect    = "Deny"
    actions   = ["*"]
    resources = ["*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
  }
}
module "security_group" {
  source              = "./modules/terraform-aws-security-group"
  name                = local.name
  description         = "web"
  vpc_id              = module.vpc.vpc_id
  ingress_cidr_blocks = ["0.0.0.0/0"]
  ingress_rules       = ["http-80-tcp", "all-icmp"]
  egress_rules        = ["all-all"]
  ingress_with_cidr_blocks = [{
    from_port   = var.port
    to_port     = var.port
    protocol    = "tcp"
    description = "port"
    cidr_blocks = "10.0.0.0/8,172.16.0.0/12"
  }]
  ingress_with_self = [{ rule = "ssh-tcp" }]
  tags              = local.tags
}
resource "aws_placement_group" "web" {
  name     = local.name
  strategy = "cluster"
}
resource "aws_network_interface" "this" {
  subnet_id = module.vpc.private_subnets[0]
}
module "ec2" {
  source                      = "./modules/terraform-aws-ec2-instance"
  name                        = local.name
  ami                         = data.aws_ami.al.id
  instance_type               = var.size
  availability_zone           = local.azs[0]
  subnet_id                   = module.vpc.private_subnets[0]
  vpc_security_group_ids      = [module.security_group.security_group_id]
  create_eip                  = true
  disable_api_stop            = false
  user_data_base64            = base64encode("#!/bin/bash\n")
  user_data_replace_on_change = true
  enable_volume_tags          = false
  root_block_device = [{
    encrypted   = true
    volume_type = "gp3"
    throughput  = 200
    volume_size = 50
    tags        = { Name = "my-root-block" }
  }]
  ebs_block_device = [{
    device_name = "/dev/sdf"
    volume_type = "gp3"
    volume_size = 5
    throughput  = 200
    encrypted   = true
    tags        = { MountPoint = "data" }
  }]
  tags = local.tags
}
module "ec2_cpu" {
  source            = "./modules/terraform-aws-ec2-instance"
  ami               = data.aws_ami.al.id
  name              = "${local.name}-cpu"
  instance_type     = "c5.xlarge"
  subnet_id         = module.vpc.private_subnets[0]
  placement_group   = aws_placement_group.web.id
  hibernation       = true
  root_block_device = [{ encrypted = true, volume_size = 50 }]
  cpu_options = {
    core_count       = 2
    threads_per_core = 1
  }
  tags = local.tags
}
module "ec2_network_interface" {
  source = "./modules/terraform-aws-ec2-instance"
  ami    = data.aws_ami.al.id
  name   = "${local.name}-network-interface"
  network_interface = [{
    device_index          = 0
    network_interface_id  = aws_network_interface.this.id
    delete_on_termination = false
  }]
  tags = local.tags
}
module "ec2_metadata_options" {
  source                 = "./modules/terraform-aws-ec2-instance"
  ami                    = data.aws_ami.al.id
  name                   = "${local.name}-metadata-options"
  subnet_id              = module.vpc.private_subnets[1]
  vpc_security_group_ids = [module.security_group.security_group_id]
  metadata_options = {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 8
    instance_metadata_tags      = "enabled"
  }
  tags = local.tags
}
module "ec2_t2_unlimited" {
  source                      = "./modules/terraform-aws-ec2-instance"
  ami                         = data.aws_ami.al.id
  name                        = "${local.name}-t2-unlimited"
  instance_type               = "t2.micro"
  cpu_credits                 = "unlimited"
  subnet_id                   = module.vpc.private_subnets[0]
  vpc_security_group_ids      = [module.security_group.security_group_id]
  associate_public_ip_address = true
  maintenance_options         = { auto_recovery = "default" }
  tags                        = local.tags
}
module "ec2_capacity_reservation" {
  source                             = "./modules/terraform-aws-ec2-instance"
  ami                                = data.aws_ami.al.id
  name                               = "${local.name}-reserved"
  instance_type                      = "t3.micro"
  subnet_id                          = module.vpc.private_subnets[0]
  capacity_reservation_specification = { capacity_reservation_preference = "open" }
  tags                               = local.tags
}

output "vpc" {
  value = module.vpc.vpc_id
}

output "instances" {
  value = [module.ec2.id, module.ec2_cpu.id, module.ec2_network_interface.id]
}
