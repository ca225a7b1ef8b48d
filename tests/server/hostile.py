"""Hostile requests, from a seed: forms that no caller sends by accident, most correctly signed.

A request that is not `may_succeed` has to be refused. The others ask only for reads, whose odd
filters can be legitimate. Every mutating form has a field that no state can satisfy.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.loaders import Loader

from plane import IMAGE
from sametoken.ec2.catalog import ACTIONS
from sametoken.ec2.kit.actions import Read, Tokened
from sametoken.ec2.protocol.query import form_name
from sdk import Keys

Form = list[tuple[str, str]]
REGIONS = ("us-east-1", "eu-west-1")
VERSION = "2016-11-15"
_DESCRIPTION: Mapping[str, Any] = Loader().load_service_model("ec2", "service-2")
_SHAPES: Mapping[str, Any] = _DESCRIPTION["shapes"]
# Actions that random values cannot satisfy, because they name something that must exist; the
# other mutations are poisoned, lest one of them succeeds.
_NAMING = frozenset(
    {
        "RunInstances", "TerminateInstances", "StopInstances", "StartInstances", "RebootInstances",
        "ModifyInstanceAttribute",
    }
)  # fmt: skip
_ABSENT_IMAGE = "ami-0123456789abcdef0"
_ABSENT = (
    ("ImageId", _ABSENT_IMAGE),
    ("SecurityGroupId.1", "sg-0123456789abcdef0"),
    ("SubnetId", "subnet-0123456789abcdef0"),
    ("KeyName", "absent"),
)
_SIGNED = ("Authorization", "X-Amz-Date")

_TEXTS = (
    "", " ", "\t", "0", "-1", "1", "007", "1" * 40, "2147483648", "9223372036854775808", "1e309",
    "NaN", "1_000", "١٢٣", "true", "None", "null", "[]", "{}", "é漢🙂", "\u202e", "\ufeff",
    "\x00", "a\x00b", "\x1b[31m", "\r\nX-Forged: 1", "\ud7ff", "\ufffe", "<a>&\"'", "]]>",
    "<!ENTITY x SYSTEM 'file:///etc/passwd'>", "../../etc/passwd", "' OR 1=1 --", "${jndi:x}",
    "%s%n", "{0.__class__}", "*", "?*[", "(a+)+$", "i-" + "0" * 17, "i-12345678", "i-zz",
    "subnet-0123456789abcdef0", "sg-1", "vol-" + "f" * 17, _ABSENT_IMAGE, "resolve:ssm:/x",
    "arn:aws:iam::1:x", "aws:reserved", "2016-99-99T00:00:00Z", "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59", "AAAA====", "=", "10.0.0.0/33", "999.1.1.1", "us-east-1a",
    "us-east-1z", "t3.micro", "p9.tiny", "a" * 65, "b" * 300, "c" * 5_000,
)  # fmt: skip
# Texts that are well formed somewhere, and name no existing resource.
_NAMES = (
    "i-0123456789abcdef0", "vol-0123456789abcdef0", "eni-0123456789abcdef0", "r-0123456789abcdef0",
    "instance-state-name", "tag:a", "tag-key", "client-token", "running", "a*b?c", "us-east-1a",
    "t3.micro", "gp3", IMAGE, "10.0.0.0/16", "10.0.0.9", "/dev/sda1", "instance",
)  # fmt: skip
_PIECES = (
    b"%", b"%zz", b"%ff", b"%ED%A0%80", b"%00", b"&&&&", b"=", b"===", b";", b"+", b".",
)  # fmt: skip
# Parameters that name resources, and the prefixes of such names.
_ABOUT = {
    "AllocationId": "eipalloc-", "AssociationId": "", "DhcpOptionsId": "dopt-", "GroupId": "sg-",
    "GroupIds": "sg-", "Groups": "sg-", "InstanceId": "i-", "InstanceIds": "i-",
    "InternetGatewayId": "igw-", "NetworkAclId": "acl-", "NetworkInterfaceId": "eni-",
    "NetworkInterfaceIds": "eni-", "Resources": "", "RouteTableId": "rtb-", "SubnetId": "subnet-",
    "SubnetIds": "subnet-", "VolumeId": "vol-", "VolumeIds": "vol-", "VpcId": "vpc-",
    "VpcIds": "vpc-", "ImageId": "resolve:ssm:", "AvailabilityZone": "us-east-1a",
    "CidrBlock": "10.0.0.0/16", "DestinationCidrBlock": "10.0.0.0/16",
}  # fmt: skip
# Fields of a form, at most: a shape that contains itself would otherwise never be whole.
_FIELDS_MAX = 200
# _STEPS_MAX is deeper than any field of EC2's, and than the parser accepts.
_STEPS_MAX = 18
_INDEXES = ("1", "1", "2", "3", "0", "-1", "01", "10000", "10001", "9" * 25, "１", "x", "")
_ACTIONS = ("", " ", "runinstances", "RunInstances ", "__init__", "é", "D" * 300, "Nope")
_VERSIONS = ("", "2016-11-16", "9999-99-99", "latest", "2016-11-15\n", "1" * 300)
_TOKENS = (
    "", " ", "\t \t", "x" * 65, " " + "x" * 64, "é", "a\nb", "a\x7fb", "a\tb", "\u2028", "🙂" * 20,
    "y" * 1000,
)  # fmt: skip


@dataclass(frozen=True)
class Hostile:
    """A request as bytes. `what` names its kind, for a failure's message."""

    what: str
    method: str
    target: bytes
    headers: tuple[tuple[str, str], ...]
    body: bytes
    may_succeed: bool = False

    def as_bytes(self) -> bytes:
        lines = [f"{name}: {value}" for name, value in self.headers]
        if self.body:
            lines.append(f"Content-Length: {len(self.body)}")
        head = "".join(f"{line}\r\n" for line in lines).encode()
        start = self.method.encode() + b" " + self.target + b" HTTP/1.1\r\n"
        return start + head + b"\r\n" + self.body


def launch(keys: Keys, host: str) -> Hostile:
    """Make a correct launch, in the first of the Regions."""
    return _Maker(random.Random(0), keys, host).plain()


def describe(keys: Keys, host: str) -> Hostile:
    """Make a correct DescribeRegions."""
    return _Maker(random.Random(0), keys, host).describe()


def odd_requests(
    seed: str, count: int, keys: Keys, host: str, existing: Sequence[str]
) -> Iterator[Hostile]:
    """Make forms of served actions about existing resources; they may succeed or be refused."""
    rng = random.Random(seed)
    maker = _Maker(rng, keys, host, (*_NAMES, *existing))
    actions = sorted(ACTIONS)
    for _ in range(count):
        yield maker.about(rng.choice(actions))


def requests(seed: str, count: int, keys: Keys, host: str) -> Iterator[Hostile]:
    """Make `count` requests; the same for the same seed, but for keys, host and the moment."""
    rng = random.Random(seed)
    maker = _Maker(rng, keys, host)
    kinds: tuple[Callable[[], Hostile], ...] = (
        maker.launch, maker.launch, maker.token, maker.served, maker.served, maker.unserved,
        maker.envelope, maker.junk, maker.signature, maker.signature,
    )  # fmt: skip
    for _ in range(count):
        yield rng.choice(kinds)()


class _Maker:
    def __init__(
        self, rng: random.Random, keys: Keys, host: str, names: Sequence[str] = _NAMES
    ) -> None:
        self._rng = rng
        self._names = names
        self._host = host
        credentials: Any = Credentials(keys.access_key_id, keys.secret)
        self._signers = {name: SigV4Auth(credentials, "ec2", name) for name in REGIONS}

    def launch(self) -> Hostile:
        """Make a launch that names a missing resource, with odd fields before that."""
        # Put the missing name last: if a POST has a field twice, the last one counts.
        absent = self._rng.choice(_ABSENT)
        form = [
            ("ImageId", IMAGE), ("MinCount", "1"), ("MaxCount", "1"),
            *self._fields("RunInstances", 3),
            ("ClientToken", f"hostile-{self._rng.randrange(50)}"), absent,
        ]  # fmt: skip
        return self._form("launch", "RunInstances", form, post=True)

    def token(self) -> Hostile:
        """Make a launch that only its client token forbids."""
        form = [("ImageId", IMAGE), ("MinCount", "1"), ("MaxCount", "1")]
        token = self._rng.choice(_TOKENS)
        return self._form("token", "RunInstances", [*form, ("ClientToken", token)])

    def served(self) -> Hostile:
        """Make a served action with fields of its own shape."""
        action = self._rng.choice(sorted(ACTIONS))
        form = self._fields(action, 4)
        declared = ACTIONS[action]
        if not isinstance(declared, Read) and action not in _NAMING:
            form.insert(self._rng.randrange(len(form) + 1), self._poison(declared))
        made = self._form("served", action, form)
        return replace(made, may_succeed=isinstance(declared, Read))

    def plain(self) -> Hostile:
        form = [("ImageId", IMAGE), ("MinCount", "1"), ("MaxCount", "1"), ("ClientToken", "plain")]
        return self._form("plain", "RunInstances", form, post=True, region=REGIONS[0])

    def describe(self) -> Hostile:
        return self._form("plain", "DescribeRegions", [], post=True, region=REGIONS[0])

    def about(self, action: str) -> Hostile:
        """Make a served action with its required fields, about existing resources, and odd ones."""
        form = self._fields(action, 2)
        shape = _SHAPES[_DESCRIPTION["operations"][action]["input"]["shape"]]
        required = shape.get("required", ())
        for member, reference in shape["members"].items():
            if member in required or (member in _ABOUT and self._rng.random() < 0.4):
                name = form_name(_SHAPES, "ec2", member, reference)
                form += self._whole(name, member, _SHAPES[reference["shape"]])
        return replace(self._form("about", action, form, region=REGIONS[0]), may_succeed=True)

    def _whole(self, name: str, member: str, shape: Mapping[str, Any]) -> Form:
        """A member with all that it requires; an id is of the right kind, most of the time."""
        match shape["type"]:
            case "list":
                return self._whole(f"{name}.1", member, _SHAPES[shape["member"]["shape"]])
            case "structure":
                form: Form = []
                required = shape.get("required", ())
                for inner, reference in shape["members"].items():
                    if inner in required or self._rng.random() < 0.2:
                        step = form_name(_SHAPES, "ec2", inner, reference)
                        form += self._whole(f"{name}.{step}", inner, _SHAPES[reference["shape"]])
                return form if len(form) < _FIELDS_MAX else []
            case "string":
                prefix = _ABOUT.get(member, "?")
                fitting = [one for one in self._names if one.startswith(prefix)]
                if fitting and self._rng.random() < 0.9:
                    return [(name, self._rng.choice(fitting))]
                return [(name, self._value(shape))]
            case _:
                return [(name, self._value(shape))]

    def unserved(self) -> Hostile:
        """Make any action of EC2's model, served or not, with a field it does not have."""
        action = self._rng.choice(sorted(_DESCRIPTION["operations"]))
        return self._form("unserved", action, [*self._fields(action, 3), ("No.Such", "x")])

    def envelope(self) -> Hostile:
        """Make a request with an unknown action or version, perhaps in a wrong envelope."""
        rng = self._rng
        action, version = "DescribeInstances", VERSION
        if rng.random() < 0.5:
            action = rng.choice(_ACTIONS)
        else:
            version = rng.choice(_VERSIONS)
        made = self._form("envelope", action, self._fields("DescribeInstances", 1), version)
        match rng.randrange(6):
            case 0:
                return replace(made, method=rng.choice(("PUT", "DELETE", "HEAD", "OPTIONS", "X")))
            case 1:
                path = rng.choice((b"//", b"/x", b"/?a", b"/%2e%2e/", b"/%00", b"/index.php"))
                return replace(made, target=path)
            case 2:
                kinds = ("application/json", "text/plain", "multipart/form-data; boundary=x", "")
                return self._with_header(made, "Content-Type", rng.choice(kinds))
            case _:
                return made

    def junk(self) -> Hostile:
        """Make a body that is hardly a form, signed as it is."""
        rng = self._rng
        whole = bytearray(f"Action=RunInstances&Version={VERSION}&ImageId={IMAGE}&".encode())
        for _ in range(rng.randrange(1, 12)):
            where = rng.randrange(len(whole) + 1)
            whole[where:where] = rng.choice((rng.choice(_PIECES), rng.randbytes(rng.randrange(9))))
        # Add an unknown parameter, which is refused even if the rest is a form.
        whole += b"&No.Such.Parameter=1&MinCount=1&MaxCount=1"
        return self._signed("junk", bytes(whole))

    def signature(self) -> Hostile:
        """Make a launch with nothing wrong but its signature."""
        rng = self._rng
        form = [("ImageId", IMAGE), ("MinCount", "1"), ("MaxCount", "1"), ("ClientToken", "forged")]
        made = self._form("signature", "RunInstances", form, post=True)
        authorization = dict(made.headers)["Authorization"]
        match rng.randrange(7):
            case 0:
                return replace(made, body=made.body + b"&InstanceType=m5.large")
            case 1:
                return self._with_header(made, rng.choice(_SIGNED), None)
            case 2:
                return self._with_header(made, "X-Amz-Date", "20160101T000000Z")
            case 3:
                return self._with_header(made, "Host", "another.example")
            case 4:
                where = rng.randrange(len(authorization))
                forged = authorization[:where] + rng.choice("xé\x00,=/") + authorization[where:]
                return self._with_header(made, "Authorization", forged)
            case 5:
                return self._with_header(made, "Authorization", rng.choice(_TEXTS))
            case _:
                twice = (*made.headers, ("Authorization", authorization))
                return replace(made, headers=twice)

    def _poison(self, action: Any) -> tuple[str, str]:
        """A field that makes the form refused, whatever its other fields."""
        if isinstance(action, Tokened) and self._rng.random() < 0.5:
            return "ClientToken", "x" * 1000
        return "No.Such.Parameter", self._rng.choice(_TEXTS)

    def _fields(self, action: str, most: int) -> Form:
        shape = _DESCRIPTION["operations"][action].get("input", {}).get("shape")
        if shape is None:
            return []
        return [self._field(shape) for _ in range(self._rng.randrange(most + 1))]

    def _field(self, shape_name: str) -> tuple[str, str]:
        """A field somewhere under a shape and its value; sometimes one that stops half way."""
        steps: list[str] = []
        shape = _SHAPES[shape_name]
        while len(steps) < _STEPS_MAX:
            match shape["type"]:
                case "structure" if shape["members"]:
                    member = self._rng.choice(sorted(shape["members"]))
                    reference = shape["members"][member]
                    steps.append(form_name(_SHAPES, "ec2", member, reference))
                case "list":
                    reference = shape["member"]
                    steps.append(self._rng.choice(_INDEXES))
                case _:
                    break
            shape = _SHAPES[reference["shape"]]
            if self._rng.random() < 0.05:
                break
        return ".".join(steps) or "Nothing", self._value(shape)

    def _value(self, shape: Mapping[str, Any]) -> str:
        """A value that, half of the time, the shape allows, so that forms get past the parser."""
        if self._rng.random() < 0.5:
            return self._rng.choice(_TEXTS)
        match shape["type"]:
            case "string":
                return str(self._rng.choice(shape.get("enum") or self._names))
            case "boolean":
                return self._rng.choice(("true", "false"))
            case "integer" | "long" | "double" | "float":
                return self._rng.choice(("0", "1", "5", "64", "1000", "2147483647", "-2147483648"))
            case "timestamp":
                return "2030-01-01T00:00:00Z"
            case "blob":
                return "AAAA"
            case _:
                return ""

    def _form(
        self,
        what: str,
        action: str,
        form: Form,
        version: str = VERSION,
        *,
        post: bool = False,
        region: str | None = None,
    ) -> Hostile:
        whole = [("Action", action), ("Version", version), *form]
        encoded = "&".join(f"{quote(name, safe='')}={quote(text, safe='')}" for name, text in whole)
        if post or len(encoded) > 8_000 or self._rng.random() < 0.8:
            return self._signed(what, encoded.encode(), region=region)
        return self._signed(what, None, encoded, region=region)

    def _signed(
        self, what: str, body: bytes | None, query: str = "", *, region: str | None = None
    ) -> Hostile:
        method = "GET" if body is None else "POST"
        target = f"/?{query}" if query else "/"
        headers = {"Host": self._host}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
        request = AWSRequest(method, f"http://{self._host}{target}", headers, body)
        self._signers[region or self._rng.choice(REGIONS)].add_auth(request)
        return Hostile(what, method, target.encode(), tuple(request.headers.items()), body or b"")

    @staticmethod
    def _with_header(made: Hostile, name: str, value: str | None) -> Hostile:
        kept = tuple(pair for pair in made.headers if pair[0].lower() != name.lower())
        return replace(made, headers=kept if value is None else (*kept, (name, value)))
