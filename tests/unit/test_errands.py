"""Errands: every token of EC2's model is filled from them, and nothing else is touched."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ParamValidationError

from sametoken.client import NoErrand, errand, fill_tokens, stable_token
from sametoken.client.errands import token_paths

CONFIG = Config(retries={"total_max_attempts": 1})


class Sent(Exception):
    """Ends a call before anything is sent; `params` is the form that would have been."""

    def __init__(self, params: Any) -> None:
        super().__init__()
        self.params = params


def stop(params: Any, **_: Any) -> None:
    raise Sent(params["body"])


def client(session: Any = None) -> Any:
    made = (session or boto3.session.Session()).client(
        "ec2", region_name="us-east-1", endpoint_url="http://127.0.0.1:1", config=CONFIG,
        aws_access_key_id="AKIA", aws_secret_access_key="secret",
    )  # fmt: skip
    made.meta.events.register("before-call", stop)
    return made


@pytest.fixture
def ec2() -> Any:
    made = client()
    fill_tokens(made)
    return made


def form(ec2: Any, operation: str, **params: Any) -> Any:
    """The form that a call would send."""
    with pytest.raises(Sent) as sent:
        getattr(ec2, operation)(**params)
    return sent.value.params


def volume(ec2: Any, **params: Any) -> Any:
    return form(ec2, "create_volume", AvailabilityZone="us-east-1a", Size=1, **params)


def paths() -> dict[str, list[str]]:
    model = botocore.session.get_session().get_service_model("ec2")
    found = {
        name: [".".join(path) for path in token_paths(model.operation_model(name))]
        for name in model.operation_names
    }
    return {name: there for name, there in found.items() if there}


def test_every_token_of_the_model_is_known() -> None:
    """Compare with the texts: each token that EC2 documents is called so, wherever it stands."""
    found = paths()
    model = botocore.session.get_session().get_service_model("ec2")
    marked = {
        name for name in model.operation_names if model.operation_model(name).idempotent_members
    }
    assert marked < found.keys()
    assert found["RunInstances"] == ["ClientToken"]
    assert found["RequestSpotFleet"] == ["SpotFleetRequestConfig.ClientToken"]
    assert found["CreateFlowLogs"] == ["ClientToken"], "the model does not mark it"
    assert not {name for name in found if name.startswith("Describe")}


def test_a_call_in_an_errand_has_its_token(ec2: Any) -> None:
    with errand("order", 17):
        first, again = volume(ec2), volume(ec2)
    assert first["ClientToken"] == stable_token("order", 17, "ec2", "CreateVolume")
    assert first == again


def test_each_action_has_a_token_of_its_own(ec2: Any) -> None:
    with errand("order", 17):
        vpc = form(ec2, "create_nat_gateway", SubnetId="subnet-1")
        assert vpc["ClientToken"] != volume(ec2)["ClientToken"]


def test_a_token_that_botocore_fills_in_for_nobody_is_filled(ec2: Any) -> None:
    params = {"ResourceIds": ["vpc-1"], "ResourceType": "VPC", "TrafficType": "ALL"}
    assert "ClientToken" not in form(ec2, "create_flow_logs", **params)
    with errand("order", 17):
        assert form(ec2, "create_flow_logs", **params)["ClientToken"] == stable_token(
            "order", 17, "ec2", "CreateFlowLogs"
        )


def test_a_token_inside_a_structure_is_filled_and_the_caller_s_own_stays_as_it_was(
    ec2: Any,
) -> None:
    fleet = {"IamFleetRole": "arn:aws:iam::1:role/r", "TargetCapacity": 1}
    before = copy.deepcopy(fleet)
    with errand("fleet", 1):
        sent = form(ec2, "request_spot_fleet", SpotFleetRequestConfig=fleet)
    assert sent["SpotFleetRequestConfig.ClientToken"] == stable_token(
        "fleet", 1, "ec2", "RequestSpotFleet"
    )
    assert fleet == before


def test_a_block_inside_a_block_adds_its_parts(ec2: Any) -> None:
    with errand("order", 17):
        with errand("disk", 2):
            inner = volume(ec2)["ClientToken"]
        outer = volume(ec2)["ClientToken"]
    assert inner == stable_token("order", 17, "disk", 2, "ec2", "CreateVolume")
    assert outer == stable_token("order", 17, "ec2", "CreateVolume")


def test_outside_of_errands_botocore_does_as_it_always_does(ec2: Any) -> None:
    with pytest.raises(RuntimeError, match="over"), errand("order", 17):
        raise RuntimeError("over")
    one, other = volume(ec2)["ClientToken"], volume(ec2)["ClientToken"]
    assert one != other
    assert "ClientToken" not in form(ec2, "describe_volumes")


def test_a_token_that_the_caller_gave_stays(ec2: Any) -> None:
    with errand("order", 17):
        assert volume(ec2, ClientToken="mine")["ClientToken"] == "mine"
        assert volume(ec2, ClientToken="")["ClientToken"] == ""


def test_a_call_without_an_errand_is_refused_where_one_is_required() -> None:
    ec2 = client()
    fill_tokens(ec2, required=True)
    with pytest.raises(NoErrand, match="CreateVolume takes a token"):
        volume(ec2)
    assert volume(ec2, ClientToken="mine")["ClientToken"] == "mine"
    form(ec2, "describe_volumes")
    with pytest.raises(ParamValidationError):
        ec2.request_spot_fleet(SpotFleetRequestConfig="wrong")


@pytest.mark.parametrize(
    "session", [boto3.session.Session, botocore.session.get_session], ids=["boto3", "botocore"]
)
def test_a_session_s_later_clients_are_filled_too(session: Any) -> None:
    made = session()
    fill_tokens(made)
    ec2 = made.create_client if hasattr(made, "create_client") else made.client
    with errand("order", 17):
        shown = volume(client(type("Session", (), {"client": staticmethod(ec2)})))
    assert shown["ClientToken"] == stable_token("order", 17, "ec2", "CreateVolume")


def test_an_identity_that_names_nothing_is_refused_at_the_block() -> None:
    number: Any = None
    with pytest.raises(TypeError, match="None"), errand("order", number):
        pass


def test_tasks_have_the_errand_of_their_own(ec2: Any) -> None:
    async def one(number: int) -> str:
        with errand("order", number):
            await asyncio.sleep(0)
            return str(volume(ec2)["ClientToken"])

    async def main() -> list[str]:
        return list(await asyncio.gather(*(one(number) for number in range(3))))

    assert asyncio.run(main()) == [
        stable_token("order", number, "ec2", "CreateVolume") for number in range(3)
    ]
