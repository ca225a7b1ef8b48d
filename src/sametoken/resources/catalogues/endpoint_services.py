"""AWS services that a VPC endpoint can name: built-in data, the same in every Region.

The names are those by which templates commonly ask; EC2 has more, and not all in each Region.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from sametoken.resources.catalogues.geography import zones_of

GATEWAY, INTERFACE = "Gateway", "Interface"
# The two services that have gateway endpoints; they have interfaces as well.
_GATEWAYS = ("dynamodb", "s3")
_INTERFACES = (
    "access-analyzer", "acm-pca", "application-autoscaling", "appmesh-envoy-management", "athena",
    "autoscaling", "backup", "batch", "bedrock", "bedrock-runtime", "cloudformation", "cloudtrail",
    "codeartifact.api", "codeartifact.repositories", "codebuild", "codecommit", "codedeploy",
    "codepipeline", "config", "datasync", "dms", "dynamodb", "ebs", "ec2", "ec2messages", "ecr.api",
    "ecr.dkr", "ecs", "ecs-agent", "ecs-telemetry", "eks", "eks-auth", "elasticache",
    "elasticbeanstalk", "elasticfilesystem", "elasticloadbalancing", "elasticmapreduce",
    "email-smtp", "events", "execute-api", "firehose", "fsx", "git-codecommit", "glue",
    "guardduty-data", "imagebuilder", "inspector2", "kinesis-firehose", "kinesis-streams", "kms",
    "lakeformation", "lambda", "license-manager", "logs", "memory-db", "monitoring",
    "organizations", "rds", "rds-data", "redshift", "redshift-data", "s3",
    "sagemaker.api", "sagemaker.runtime", "secretsmanager", "securityhub", "servicecatalog",
    "servicediscovery", "sns", "sqs", "ssm", "ssm-contacts", "ssm-incidents", "ssmmessages",
    "states", "storagegateway", "sts", "sync-states", "synthetics", "textract", "transfer",
    "xray",
)  # fmt: skip
# Services whose private names are those below a domain, and not the domain itself.
_BELOW = frozenset({"ecr.dkr", "execute-api", "s3"})


@dataclass(frozen=True, slots=True)
class EndpointService:
    """A service of one type in a Region; `private_names` are empty for a gateway."""

    name: str
    id: str
    type: str
    zones: Sequence[tuple[str, str]]
    base_name: str
    private_names: Sequence[str]


@lru_cache
def endpoint_services(region: str) -> tuple[EndpointService, ...]:
    """All services of a Region, by name; the gateway of a name before its interface."""
    pairs = [(word, GATEWAY) for word in _GATEWAYS] + [(word, INTERFACE) for word in _INTERFACES]
    return tuple(_service(word, type, region) for word, type in sorted(pairs))


def _service(word: str, type: str, region: str) -> EndpointService:
    name = f"com.amazonaws.{region}.{word}"
    host = ".".join(reversed(word.split(".")))
    domain = f"{host}.{region}.amazonaws.com"
    is_interface = type == INTERFACE
    digest = hashlib.sha256(f"{name} {type}".encode()).hexdigest()
    return EndpointService(
        name=name,
        id=f"vpce-svc-{digest[:17]}",
        type=type,
        zones=[(zone.name, zone.id) for zone in zones_of(region)],
        base_name=f"{host}.{region}.vpce.amazonaws.com" if is_interface else domain,
        private_names=[f"*.{domain}" if word in _BELOW else domain] if is_interface else [],
    )
