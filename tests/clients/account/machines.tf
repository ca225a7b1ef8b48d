# Three machines, each made another way, with their volumes, interfaces and addresses.

variable "owner" { type = string }
variable "script" { type = string }
variable "size" { type = string }
locals { tags = { Name = "terraform", Owner = var.owner } }

data "aws_ami" "linux" {
  most_recent = true
  owners      = ["amazon"]
  filter {
    name   = "name"
    values = ["al2023-ami-2*-x86_64"]
  }
}
resource "aws_key_pair" "admin" {
  key_name   = "admin"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKg4YuzsxHtcITtQSAaTd9JAjT5Z9iRKV1xiaXBwaBKE admin"
  tags       = local.tags
}

resource "aws_instance" "plain" {
  ami                    = data.aws_ami.linux.id
  instance_type          = "t3.micro"
  subnet_id              = aws_subnet.public.id
  vpc_security_group_ids = [aws_security_group.inline.id, aws_security_group.outside.id]
  key_name               = aws_key_pair.admin.key_name
  user_data              = "#!/bin/sh\necho ${var.script}\n"
  root_block_device {
    volume_type = "gp3"
    volume_size = 12
    encrypted   = true
    tags        = local.tags
  }
  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 2
    instance_metadata_tags      = "enabled"
  }
  credit_specification { cpu_credits = "standard" }
  tags = local.tags
}
resource "aws_instance" "private" {
  ami                    = data.aws_ami.linux.id
  instance_type          = var.size
  subnet_id              = aws_subnet.private.id
  private_ip             = "10.7.2.20"
  vpc_security_group_ids = [aws_security_group.inline.id]
  ebs_optimized          = true
  monitoring             = true
  tags                   = local.tags
  ebs_block_device {
    device_name           = "/dev/sdg"
    volume_size           = 3
    delete_on_termination = true
  }
}

# Omit user data: the provider hashes twice the data that an instance has from a template, and plans to
# change it for ever (hashicorp/terraform-provider-aws, issues 30825 and 39476).
resource "aws_launch_template" "web" {
  name_prefix   = "web-"
  description   = "what the web runs for ${var.owner}"
  image_id      = data.aws_ami.linux.id
  instance_type = "t3.small"
  key_name      = aws_key_pair.admin.key_name
  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_size           = 10
      volume_type           = "gp3"
      delete_on_termination = true
    }
  }
  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
  }
  monitoring { enabled = true }
  tag_specifications {
    resource_type = "volume"
    tags          = { From = "template" }
  }
  update_default_version = true
  tags                   = local.tags
}
resource "aws_instance" "templated" {
  launch_template {
    id      = aws_launch_template.web.id
    version = 1 # with "$Latest", each new version would replace the instance
  }
  subnet_id              = aws_subnet.public.id
  vpc_security_group_ids = [aws_security_group.outside.id]
  tags                   = local.tags
}

resource "aws_ebs_volume" "data" {
  availability_zone = aws_subnet.public.availability_zone
  size              = 5
  type              = "gp3"
  tags              = local.tags
}
resource "aws_volume_attachment" "data" {
  device_name = "/dev/sdf"
  volume_id   = aws_ebs_volume.data.id
  instance_id = aws_instance.plain.id
}

resource "aws_network_interface" "front" {
  subnet_id         = aws_subnet.public.id
  description       = "front"
  private_ips       = ["10.7.1.50", "10.7.1.51"]
  security_groups   = [aws_security_group.inline.id]
  source_dest_check = false
  tags              = local.tags
}
resource "aws_network_interface_attachment" "front" {
  instance_id          = aws_instance.templated.id
  network_interface_id = aws_network_interface.front.id
  device_index         = 1
}
resource "aws_eip" "front" {
  domain                    = "vpc"
  network_interface         = aws_network_interface.front.id
  associate_with_private_ip = "10.7.1.50"
  tags                      = local.tags
  # The provider's documentation asks for this.
  depends_on = [aws_internet_gateway.out]
}
resource "aws_eip" "web" { domain = "vpc" }
resource "aws_eip_association" "web" {
  instance_id   = aws_instance.plain.id
  allocation_id = aws_eip.web.id
  depends_on    = [aws_internet_gateway.out]
}

output "instances" {
  value = {
    plain     = aws_instance.plain.id
    private   = aws_instance.private.id
    templated = aws_instance.templated.id
  }
}
# The resources that carry the owner's tags, machines included.
output "tagged" {
  value = [
    aws_ebs_volume.data.id, aws_eip.front.id, aws_eip.nat.id, aws_instance.plain.id,
    aws_instance.private.id, aws_instance.templated.id, aws_internet_gateway.out.id,
    aws_key_pair.admin.key_pair_id, aws_launch_template.web.id, aws_nat_gateway.out.id,
    aws_network_acl.front.id, aws_network_interface.front.id, aws_route_table.public.id,
    aws_security_group.inline.id, aws_subnet.public.id, aws_vpc.net.id,
    aws_vpc_dhcp_options.names.id, aws_vpc_security_group_ingress_rule.web.id,
    aws_instance.plain.root_block_device[0].volume_id,
  ]
}
