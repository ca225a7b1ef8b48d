"""A stranger's suite: 40 tests with the plugin, written from docs/testing-your-code.md alone.

`tests/callers/test_plugin.py` runs it in processes of its own; it is no part of the suite around.
"""

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sametoken.client import RetryingCaller, errand, fill_tokens, once, stable_token

IMAGE = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
LAUNCH = {"ImageId": IMAGE, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
AFTER_THE_COMMIT = ["lose-reply", "cut-reply", "fail-reply", "duplicate"]
BEFORE_IT = ["lose-request", "fail-request", "unavailable", "throttle"]


def launched(answer):
    return answer["Instances"][0]["InstanceId"]


def state(ec2, instance):
    [found] = ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    return found["Instances"][0]["State"]["Name"]


def first_launch(kind):
    return [{"kind": kind, "action": "RunInstances", "attempt": 1, "times": 1}]


@pytest.mark.parametrize("number", range(6))
def test_each_test_has_an_account_with_nothing_in_it(sametoken, ec2, number):
    sametoken.assert_one_set(instances=0)
    ec2.run_instances(**LAUNCH, ClientToken="the same in every test")
    sametoken.assert_one_set()


@pytest.mark.parametrize("kind", AFTER_THE_COMMIT)
def test_a_launch_under_a_token_is_one_whatever_becomes_of_its_reply(sametoken, ec2, faults, kind):
    name = faults.add(kind, action="RunInstances", times=1)
    caller = RetryingCaller(cap_seconds=0.01)
    caller.call(ec2.run_instances, **LAUNCH, ClientToken=stable_token("order", 1))
    assert faults.fired(name) == faults.fired() == 1
    sametoken.assert_one_set()


@pytest.mark.parametrize("kind", BEFORE_IT)
def test_a_launch_is_one_whatever_becomes_of_its_request(sametoken, ec2, faults, kind):
    faults.add(kind, action="RunInstances", times=1)
    caller = RetryingCaller(cap_seconds=0.01)
    caller.call(ec2.run_instances, **LAUNCH, ClientToken=stable_token("order", 1))
    sametoken.assert_one_set()


@pytest.mark.sametoken(faults=first_launch("fail-reply"))
def test_the_marker_sets_faults(sametoken, ec2):
    once(lambda token: ec2.run_instances(**LAUNCH, ClientToken=token), "order", 1)
    sametoken.assert_one_set()


@pytest.mark.sametoken(faults=[{"kind": "cut-reply", "action": "RunInstances", "times": 1}])
def test_a_call_without_a_token_of_its_own_doubles(sametoken, ec2):
    RetryingCaller(cap_seconds=0.01).call(ec2.run_instances, **LAUNCH)
    with pytest.raises(AssertionError, match="instances: 2, and not 1"):
        sametoken.assert_one_set()


@pytest.mark.sametoken(region="eu-west-1")
def test_the_marker_sets_the_region(sametoken, ec2):
    ec2.run_instances(**LAUNCH)
    assert sametoken.region == ec2.meta.region_name == "eu-west-1"
    sametoken.assert_one_set()


def test_a_ready_scenario_strikes_and_the_token_holds(sametoken, ec2, faults):
    faults.scenario("flaky-network")
    caller = RetryingCaller(attempts=None, quota=None, cap_seconds=0.01)
    for number in range(5):
        caller.call(ec2.run_instances, **LAUNCH, ClientToken=stable_token("order", number))
    faults.clear()
    sametoken.assert_one_set(instances=5)


def test_a_wrong_fault_says_what_to_write(faults):
    with pytest.raises(Exception, match="lose-reply"):
        faults.add("lose-replay")


def test_an_error_by_name_leaves_nothing(sametoken, ec2, faults):
    name = faults.add("error", action="CreateVolume", code="VolumeLimitExceeded")
    with pytest.raises(ClientError, match="VolumeLimitExceeded"):
        ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)
    faults.remove(name)
    ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)
    sametoken.assert_one_set(instances=0, volumes=1)


@pytest.mark.parametrize("hours", [1, 25])
def test_a_day_after_its_end_an_instance_is_forgotten_and_its_token_free(
    sametoken, ec2, clock, hours
):
    first = launched(ec2.run_instances(**LAUNCH, ClientToken="t"))
    sametoken.assert_one_set()
    ec2.terminate_instances(InstanceIds=[first])
    sametoken.assert_one_set(instances=0)
    clock.advance(f"{hours}h")
    again = launched(ec2.run_instances(**LAUNCH, ClientToken="t"))
    assert (again == first) == (hours == 1)
    sametoken.assert_one_set(instances=0 if hours == 1 else 1)


def test_a_clock_that_stands_is_looked_at(clock):
    moment = clock.freeze()
    assert clock.now() == moment
    assert clock.advance("90m") > moment


def test_the_clock_of_the_next_test_goes_on(clock):
    moment = clock.now()
    while clock.now() == moment:
        pass


def test_capacity_that_has_run_out_is_refused_and_returns(sametoken, ec2, limits):
    limits.capacity("*", "t3.micro", 0)
    caller = RetryingCaller(final={"InsufficientInstanceCapacity"})
    ec2 = sametoken.client(config=Config(retries={"total_max_attempts": 1}))
    with pytest.raises(ClientError, match="InsufficientInstanceCapacity"):
        caller.call(ec2.run_instances, **LAUNCH, ClientToken="t")
    limits.capacity("*", "t3.micro", 1)
    caller.call(ec2.run_instances, **LAUNCH, ClientToken="t")
    sametoken.assert_one_set()


def test_limits_of_the_test_before_are_gone(sametoken, ec2):
    ec2.run_instances(**{**LAUNCH, "MaxCount": 3})
    sametoken.assert_one_set(instances=3)


def test_a_quota_is_refused(ec2, limits):
    limits.quota("vpc", 1)
    with pytest.raises(ClientError, match="VpcLimitExceeded"):
        ec2.create_vpc(CidrBlock="10.0.0.0/16")


def test_a_story_tells_why(ec2, story):
    ec2.run_instances(**LAUNCH, ClientToken="t")
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        ec2.run_instances(**{**LAUNCH, "InstanceType": "m5.large"}, ClientToken="t")
    [told] = story("t")
    assert [one.outcome for one in told.attempts] == ["new", "mismatch"]
    [differing] = told.attempts[1].differing
    assert (differing.path, differing.sent) == ("InstanceType", '"m5.large"')


def test_who_calls_is_the_account(sametoken):
    assert sametoken.client("sts").get_caller_identity()["Account"] == sametoken.id


def test_code_that_makes_its_own_client_is_led_here(sametoken, sametoken_environment):
    boto3.client("ec2").run_instances(**LAUNCH)
    sametoken.assert_one_set()


def test_a_subprocess_is_led_here(sametoken):
    asked = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    told = subprocess.run(
        [sys.executable, "-c", asked], env=sametoken.environment(), capture_output=True, text=True
    )
    assert told.stdout.strip() == sametoken.id


@pytest.mark.parametrize("count", [2, 8])
def test_threads_that_launch_one_order_make_one(sametoken, ec2, count):
    with ThreadPoolExecutor(count) as threads:
        made = list(
            threads.map(lambda _: ec2.run_instances(**LAUNCH, ClientToken="t"), range(count))
        )
    assert len({launched(one) for one in made}) == 1
    sametoken.assert_one_set()


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.mark.anyio
async def test_tasks_that_launch_one_order_make_one(sametoken, ec2, faults):
    faults.add("cut-reply", action="RunInstances", times=1)
    caller = RetryingCaller(cap_seconds=0.01)

    async def launch():
        return await asyncio.to_thread(ec2.run_instances, **LAUNCH, ClientToken="t")

    made = await asyncio.gather(*(caller.call_async(launch) for _ in range(4)))
    assert len({launched(one) for one in made}) == 1
    sametoken.assert_one_set()


def test_an_errand_fills_tokens(sametoken, ec2):
    fill_tokens(ec2, required=True)
    for _ in range(2):
        with errand("order", 17):
            ec2.run_instances(**LAUNCH)
            ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)
    sametoken.assert_one_set(volumes=1)


def test_what_is_left_behind_is_told(sametoken, ec2):
    ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, ClientToken="of the volume")
    with pytest.raises(AssertionError, match="of the volume"):
        sametoken.assert_one_set(instances=0)


def test_a_volume_that_no_instance_has_is_told(sametoken, ec2):
    ec2.run_instances(**LAUNCH)
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    with pytest.raises(AssertionError, match=volume):
        sametoken.assert_one_set()
    sametoken.assert_one_set(volumes=1)


def test_another_account_has_nothing_of_it(sametoken, sametoken_server, ec2):
    ec2.run_instances(**LAUNCH)
    sametoken_server.account().assert_one_set(instances=0)


def test_a_reset_leaves_nothing(sametoken, ec2):
    ec2.run_instances(**LAUNCH, ClientToken="t")
    sametoken.reset()
    sametoken.assert_one_set(instances=0)


def test_an_instance_runs_stops_and_ends(sametoken, ec2):
    instance = launched(ec2.run_instances(**LAUNCH))
    sametoken.assert_one_set()
    assert state(ec2, instance) == "running"
    ec2.stop_instances(InstanceIds=[instance])
    sametoken.assert_one_set()
    assert state(ec2, instance) == "stopped"
    ec2.terminate_instances(InstanceIds=[instance])
    sametoken.assert_one_set(instances=0)
    assert state(ec2, instance) == "terminated"
