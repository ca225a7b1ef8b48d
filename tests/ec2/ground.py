"""Ground for requests to stand on: one account of a plane without runners, and what it needs.

Nothing goes on by itself here: whoever wants a launch to end, or a volume to be available, says
`later()`.
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
            region_name=REGION,
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
    """`exercises.exercise.Live`: a request names what is made for it, always anew.

    `switched` asks for the account if given, else a client of its own. `kept` is what `together`
    names again, by kind; None: nothing is.
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
        """Let the account have more of `kind` than EC2 gives a new one."""
        self.limit(kind, 100)

    def limit(self, kind: str, maximum: int) -> None:
        """What `sametoken limits set` does."""
        name = quotas.name_of(kind, self.account, self.region)
        self.plane.run(lambda tx: counters.set_maximum(tx, name, maximum))

    def later(self) -> None:
        """Let a while pass: whatever was on its way has arrived."""
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
        """Ask for one, which may be on its way still. Its id."""
        making = requests.making(kind)
        return making.id(self.call(making.action, **making.ask(self)))

    def own(self, kind: str) -> str:
        return self.known(kind)

    def knows(self, kind: str) -> bool:
        return False

    def has(self, kind: str) -> bool:
        return False

    def end(self, id: str) -> None:
        """Ask for the end of a resource."""
        action, asked = requests.end_of(id)
        self.call(action, **asked)

    def vpc(self) -> str:
        default = [{"Name": "is-default", "Values": ["true"]}]
        return str(self.call("DescribeVpcs", Filters=default)["Vpcs"][0]["VpcId"])

    def zone(self) -> str:
        """The Region's first."""
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
