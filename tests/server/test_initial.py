"""A first state from a file: made before the first answer, and never twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import sdk
from control import call
from plane import IMAGE, Plane, everything, running_plane
from sametoken.cli import main
from sametoken.errors import Misconfigured
from sametoken.operate.first_state import prepare
from sametoken.operate.initial import read_initial
from sdk import Keys
from server.test_given_credentials import served

WHOLE = f"""
faults = ["throttled", "mine.toml"]

[[account]]
name = "team"
access_key = "team:secret"

[[account]]
name = "123456789012"

[limits]
"vpc/*/*" = 9

[[call]]
action = "CreateVpc"
account = "team"
region = "eu-west-1"
parameters = {{ CidrBlock = "10.0.0.0/16" }}

[[call]]
action = "CreateVpc"
account = "team"
region = "eu-west-1"
parameters = {{ CidrBlock = "10.0.0.0/16" }}

[[call]]
action = "CreateKeyPair"
account = "123456789012"
parameters = {{ KeyName = "mine" }}

[[call]]
action = "RunInstances"
account = "123456789012"
parameters = {{ ImageId = "{IMAGE}", MinCount = 2, MaxCount = 2, InstanceType = "t3.micro" }}
"""
RULE = '[[rules]]\nkind = "delay-request"\nseconds = 0.001\naction = "DescribeVpcs"\n'


CALLED = """
[[call]]
name = "net"
action = "CreateVpc"
parameters = { CidrBlock = "10.7.0.0/16" }
"""
REFERS = """
[[call]]
action = "CreateSubnet"
parameters = {{ VpcId = "${{{}}}", CidrBlock = "10.7.1.0/24" }}
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "first.toml"
    file.write_text(text)
    return file


def vpcs(client: Any) -> list[str]:
    found = client.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["false"]}])["Vpcs"]
    return sorted(one["VpcId"] for one in found)


def test_a_second_start_makes_nothing_twice(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(RULE)
    file = written(tmp_path, WHOLE)
    seen = []
    for _ in range(2):
        with served(tmp_path, "--dev", "--init", str(file), "--any-credentials") as (url, _):
            call(url, "DELETE", "/faults")
            team = sdk.client(url, Keys("", "team", "secret"), region="eu-west-1")
            other = sdk.client(url, Keys("", "123456789012", "x"))
            found = other.describe_instances()["Reservations"]
            names = [one["KeyName"] for one in other.describe_key_pairs()["KeyPairs"]]
            instances = sorted(one["InstanceId"] for each in found for one in each["Instances"])
            seen.append((vpcs(team), names, instances))
            listed = call(url, "GET", "/limits").said["limits"]
            assert {"name": "vpc/*/*", "maximum": 9, "is_default": False, "per": ""} in listed
    assert seen[0] == seen[1]
    # Two calls that are alike are two.
    assert [len(one) for one in seen[0]] == [2, 1, 2]


def test_faults_of_the_file_are_in_force_from_the_start(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(RULE)
    file = written(tmp_path, 'faults = ["mine.toml"]')
    with served(tmp_path, "--dev", "--init", str(file)) as (url, _):
        [rule] = call(url, "GET", "/faults").said["rules"]
        assert rule["kind"] == "delay-request"
    words = ["serve", "--port", "0", "--init", str(file), "--processes", "0"]
    done = CliRunner().invoke(main, [*words, "--database", f"sqlite:///{tmp_path}/served.db"])
    assert (done.exit_code, "development mode" in done.output) == (1, True), done.output


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[[call", "is not TOML"),
        ("[[calls]]", "knows no 'calls'; write account, limits, faults, call. Did you mean call?"),
        ("call = 1", "call is 1; write"),
        ("call = [1]", r"write a \[\[call\]\]"),
        ("[[call]]\nregion = 'us-east-1'", r"\[\[call\]\] 1 lacks action"),
        ("[[call]]\naction = 'A'\nregoin = 'x'", r"1 knows no 'regoin'.*Did you mean region"),
        ("[[call]]\naction = 'A'\nregion = 'us-east-9'", "no Region 'us-east-9'.*Did you mean"),
        ("[[call]]\naction = 'A'\nparameters = 1", "parameters is 1"),
        ("[[call]]\naction = 'A'\nname = 'a.b'", "name is 'a.b'; use letters"),
        (f"{CALLED}{CALLED}", r"2: a call before this one is 'net' already"),
        (f"{CALLED}{REFERS.format('nett.Vpc')}", "has the name 'nett'. Did you mean net"),
        (REFERS.format("net.Vpc.VpcId"), "no call before this one has the name 'net'"),
        (f"{CALLED}{REFERS.format('net')}", r"write \${net.Vpc.VpcId}"),
        ("[[account]]", "lacks name"),
        ("[[account]]\nname = 'a'\naccess_key = 'b'", "ID:SECRET"),
        ("[limits]\n'vpc/*/*' = 'x'", r"\[limits\]: vpc/\*/\* is 'x'; write a whole number"),
        ("faults = [1]", "faults has 1"),
    ],
)
def test_a_file_that_is_wrong_is_told_of_by_its_entry(tmp_path: Path, text: str, why: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(Misconfigured, match=why) as refused:
        read_initial(file)
    assert str(file) in str(refused.value) or "ID:SECRET" in why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[limits]\n'vpcs/*/*' = 1", "is no limit"),
        ("[[account]]\nname = 'tests'\naccess_key = 'a-b:c'", "letters and digits"),
        ("[[call]]\naction = 'CreateVpcs'", "1: there is no action 'CreateVpcs'. Did you mean"),
        ("[[call]]\naction = 'CreateVpc'\nparameters = { Cidr = '1' }", "Unknown parameter"),
        ("[[call]]\naction = 'CreateVpc'\nparameters = { CidrBlock = '1' }", "1: CreateVpc is re"),
        ("[[call]]\naction = 'CreateVpc'\naccount = 'nobody'", "there is no account 'nobody'"),
        (f"{CALLED}{REFERS.format('net.Vpc.VpcID')}", "no 'VpcID' at net.Vpc. Did you mean VpcId"),
        (f"{CALLED}{REFERS.format('net.Vpc.Tags.0')}", "no '0' at net.Vpc.Tags"),
        (f"{CALLED}{REFERS.format('net.Vpc')}", "net.Vpc is no single value"),
    ],
)
def test_a_refusal_names_the_file_and_the_entry(
    plane: Plane, tmp_path: Path, text: str, why: str
) -> None:
    file = written(tmp_path, text)
    with pytest.raises(Misconfigured, match=why) as refused:
        prepare(plane.node, read_initial(file))
    assert str(file) in str(refused.value)


def test_calls_meet_no_throttle_and_leave_nothing_of_their_own(tmp_path: Path) -> None:
    with running_plane(tmp_path) as plane:
        before = everything(plane.store)
        file = written(tmp_path, "[[call]]\naction = 'DescribeRegions'\naccount = 'tests'")
        prepare(plane.node, read_initial(file))
        after = everything(plane.store)
        changed = {name for name in before if before[name] != after[name]}
        assert changed <= {"region_seed", "resource", "resource_edge"}


def test_a_call_refers_to_the_answers_of_those_before_it(plane: Plane, tmp_path: Path) -> None:
    tags = f"""
[[call]]
action = "RunInstances"
name = "launch"
parameters = {{ ImageId = "{IMAGE}", MinCount = 1, MaxCount = 1, InstanceType = "t3.micro" }}

[[call]]
action = "CreateTags"
[call.parameters]
Resources = ["${{launch.Instances.0.InstanceId}}"]
Tags = [{{ Key = "in", Value = "$${{x}} and ${{net.Vpc.VpcId}}" }}]
"""
    initial = read_initial(written(tmp_path, CALLED + REFERS.format("net.Vpc.VpcId") + tags))
    client = plane.client(keys=plane.account("default"))
    seen = []
    for _ in range(2):
        prepare(plane.node, initial)
        [vpc] = vpcs(client)
        subnets = client.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
        [tag] = client.describe_tags(Filters=[{"Name": "key", "Values": ["in"]}])["Tags"]
        assert tag["Value"] == f"${{x}} and {vpc}"
        seen.append((vpc, [one["SubnetId"] for one in subnets], tag["ResourceId"]))
    assert seen[0] == seen[1] and len(seen[0][1]) == 1
