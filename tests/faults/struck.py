"""Requests to a plane whose rules strike them: by boto3, and raw, as a client without retries."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from clients.process import PATIENCE_SECONDS
from plane import LAUNCH, Plane
from sametoken.faults.reading import read_rule
from sametoken.faults.rules import Rule
from sametoken.server.fault_names import names
from sdk import REGION, Keys, client

FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


@dataclass(frozen=True)
class Told:
    """The reply as its caller got it; status 0 where the connection ended without a whole reply."""

    status: int
    code: str = "-"
    body: str = ""
    headers: Mapping[str, str] | None = None


def launch_form(token: str | None = None, **more: str) -> dict[str, str]:
    form = {name: str(value) for name, value in LAUNCH.items()}
    if token is not None:
        form["ClientToken"] = token
    return {"Action": "RunInstances", "Version": "2016-11-15", **form, **more}


@contextmanager
def sent(
    plane: Plane,
    keys: Keys,
    form: Mapping[str, str],
    headers: Mapping[str, str] | None = None,
    unsigned: Mapping[str, str] | None = None,
) -> Iterator[HTTPConnection]:
    """Send a request, signed with its `headers`, and leave its reply unread."""
    request = AWSRequest(
        "POST", f"{plane.url}/", headers={**FORM, **(headers or {})}, data=dict(form)
    )
    SigV4Auth(Credentials(keys.access_key_id, keys.secret), "ec2", REGION).add_auth(request)
    prepared = request.prepare()
    host = plane.url.removeprefix("http://")
    with closing(HTTPConnection(host, timeout=PATIENCE_SECONDS)) as connection:
        signed = {name: str(value) for name, value in prepared.headers.items()}
        connection.request("POST", "/", prepared.body, {**signed, **(unsigned or {})})
        yield connection


def ask(
    plane: Plane,
    keys: Keys,
    form: Mapping[str, str],
    headers: Mapping[str, str] | None = None,
    unsigned: Mapping[str, str] | None = None,
) -> Told:
    """Ask once, and tell what came back."""
    with sent(plane, keys, form, headers, unsigned) as connection:
        try:
            reply = connection.getresponse()
            body = reply.read().decode()
        except (HTTPException, OSError):
            return Told(0)
    code = re.search(r"<Code>(.*?)</Code>", body)
    return Told(reply.status, code[1] if code else "-", body, dict(reply.getheaders()))


def usual(plane: Plane, keys: Keys) -> Any:
    """Make a client with the retries that boto3 has unless told otherwise."""
    return client(plane.url, keys, retries={})


def rule(kind: str, **keys: Any) -> Rule:
    return read_rule({"kind": kind, **keys}, names(), where="a test")


def strike(plane: Plane, kind: str, **keys: Any) -> Rule:
    """Have a rule in force on the plane's node."""
    [added] = plane.node.faults.add([rule(kind, **keys)])
    return added


def fired(plane: Plane, name: str) -> int:
    return {one.rule.name: one.fired for one in plane.node.faults.standing()}[name]


def instances(plane: Plane, keys: Keys) -> list[str]:
    """List the ids of the account's instances."""
    found = plane.client(keys=keys).describe_instances()["Reservations"]
    return [one["InstanceId"] for each in found for one in each["Instances"]]


def due(plane: Plane) -> int:
    """Count the requests that are still to come late."""
    assert plane.node.app.striker is not None, "the plane is in development mode"
    return plane.node.app.striker.due
