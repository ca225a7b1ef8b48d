"""Ground of the EC2 suites: one account of a plane without runners, which makes what requests name.

No work is done by itself here: a test that needs a launch to end, or a volume to become available,
calls `later()`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from itertools import count
from typing import Any, TypeVar

import boto3
from botocore import xform_name
from botocore.config import Config

from ec2.asking import drive
from ec2.census import Census, taken
from exercises import requests
from plane import Plane
from sametoken.resources.kit import counters, quotas, ripening
from sdk import REGION, Keys

V = TypeVar("V")
Document = dict[str, Any]

# Longer than any resource here takes to become available.
A_WHILE = timedelta(seconds=10)


class Switched:
    """A client of a plane that changes its account when asked to.

    Suites of hundreds of accounts need it, because making a client takes as long as ten requests.
    """

    def __init__(self, plane: Plane) -> None:
        session = boto3.session.Session("nobodys", "nobodys")
        self._credentials = session.get_credentials()
        self._client = session.client(
            "ec2",
            region_name=REGION,
            endpoint_url=plane.url,
            config=Config(retries={"total_max_attempts": 1, "mode": "standard"}),
        )

    def to(self, keys: Keys) -> Any:
        """Return the client, which uses these keys from now on."""
        self._credentials.access_key = keys.access_key_id
        self._credentials.secret_key = keys.secret
        return self._client


@dataclass
class Ground:
    """Implements `exercises.exercise.Live`: each resource that a request names is made for it.

    `switched` is a client shared with other grounds; None: it makes its own. `kept` holds the
    resources that requests share on a ground of `together`, by kind; None shares none.
    """

    plane: Plane
    keys: Keys
    switched: Switched | None = None
    region: str = REGION
    mark: str = "mine"
    kept: dict[str, str] | None = None
    numbers: count[int] = field(default_factory=lambda: count(1))

    @cached_property
    def client(self) -> Any:
        if self.switched is not None:
            return self.switched.to(self.keys)
        return self.plane.client(keys=self.keys, region=self.region, max_pool_connections=32)

    @property
    def account(self) -> str:
        return self.keys.account

    def call(self, action: str, **params: Any) -> Document:
        answer: Document = getattr(self.client, xform_name(action))(**params)
        return answer

    def census(self) -> Census:
        return taken(self.plane, self.account)

    def raise_quota(self, kind: str) -> None:
        """Raise the account's quota of `kind` above EC2's default for a new account."""
        self.limit(kind, 100)

    def limit(self, kind: str, maximum: int) -> None:
        """Set a quota as `sametoken limits set` does."""
        name = quotas.name_of(kind, self.account, self.region)
        self.plane.run(lambda tx: counters.set_maximum(tx, name, maximum))

    def later(self) -> None:
        """Let time pass until resources that were changing state have reached the next one."""
        drive(self.plane)
        self.plane.advance(A_WHILE)
        self.plane.run(ripening.ripen_due)
        drive(self.plane)

    def together(self) -> Ground:
        return replace(self, kept={})

    def known(self, kind: str) -> str:
        if self.kept is not None and kind in self.kept:
            return self.kept[kind]
        id = self.new(kind)
        self.later()
        if self.kept is not None:
            self.kept[kind] = id
        return id

    def new(self, kind: str) -> str:
        """Make a resource of `kind` and return its id, without waiting until it is available."""
        making = requests.making(kind)
        return making.id(self.call(making.action, **making.ask(self)))

    def own(self, kind: str) -> str:
        return self.known(kind)

    def knows(self, kind: str) -> bool:
        return False

    def has(self, kind: str) -> bool:
        return False

    def end(self, id: str) -> None:
        """Ask for a resource to be ended, by the action that ends its kind."""
        action, asked = requests.end_of(id)
        self.call(action, **asked)

    def vpc(self) -> str:
        default = [{"Name": "is-default", "Values": ["true"]}]
        return str(self.call("DescribeVpcs", Filters=default)["Vpcs"][0]["VpcId"])

    def zone(self) -> str:
        """Return the Region's first zone."""
        return f"{self.region}a"

    def subnet(self) -> str:
        in_zone = [{"Name": "availability-zone", "Values": [self.zone()]}]
        shown = self.call("DescribeSubnets", Filters=in_zone)["Subnets"]
        return str(next(one["SubnetId"] for one in shown if one["DefaultForAz"]))

    def name(self, *few: str) -> str:
        return f"{few[0]}-{next(self.numbers)}"

    def number(self, few: int) -> int:
        return next(self.numbers)

    def either(self, *values: V) -> V:
        return values[0]

    def happens(self, odds: float) -> bool:
        return False
