"""boto3's clients for tests: as everybody makes them, without reading EC2's model anew for each.

A client's class has a method and a docstring for each of some 800 actions, and botocore makes it
again for every client, from a model that it parses again, too. The tests make over a thousand
clients. Here both are made once; what a client sends and understands stays botocore's alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.client import ClientCreator
from botocore.config import Config

REGION = "us-east-1"


def _once(make: Callable[..., Any]) -> Callable[..., Any]:
    """`make(creator, service name, …)`, called for the first client of each service."""
    made: dict[str, Any] = {}

    def find(creator: ClientCreator, service: str, *more: Any) -> Any:
        if service not in made:
            made[service] = make(creator, service, *more)
        return made[service]

    return find


for _name in ("_load_service_model", "_create_client_class"):
    setattr(ClientCreator, _name, _once(getattr(ClientCreator, _name)))

# Clients are made by one thread at a time.
_SESSION = boto3.session.Session()


@dataclass(frozen=True)
class Keys:
    account: str
    access_key_id: str
    secret: str


def client(
    url: str, keys: Keys, service: str = "ec2", *, region: str = REGION, **config: Any
) -> Any:
    """A boto3 client that tries once, unless `config` (botocore's) says otherwise."""
    config.setdefault("retries", {"total_max_attempts": 1, "mode": "standard"})
    return _SESSION.client(
        service,
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret,
        config=Config(**config),
    )
