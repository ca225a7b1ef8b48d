"""Model: each action's codec gives what botocore's gives, and facts of actions are read right."""

from __future__ import annotations

import copy
import threading
import tracemalloc
from types import MappingProxyType
from typing import Any

import pytest
from botocore.loaders import Loader

from ec2 import peer
from sametoken.ec2.protocol.model import Codec, ServiceModel, read_description
from sametoken.ec2.protocol.query import split_form
from sametoken.errors import Misconfigured, ServiceError

EC2 = ServiceModel.load("ec2")
# Samples ignore the bounds of the model.
UNBOUNDED = ServiceModel(read_description("ec2"), holds_bounds=False)

# A made-up service, whose shapes have traits of the protocol that EC2's model does not use.
TINY: dict[str, Any] = {
    "metadata": {
        "endpointPrefix": "tiny",
        "protocol": "ec2",
        "apiVersion": "2020-01-01",
        "xmlNamespace": "http://tiny.example.com/doc",
        "serviceId": "Tiny",
    },
    "operations": {
        "MakeTree": {
            "name": "MakeTree",
            "http": {"method": "POST", "requestUri": "/"},
            "input": {"shape": "MakeTreeRequest"},
            "output": {"shape": "Node"},
            "documentation": "<p>Long.</p>",
        },
        "Ping": {"name": "Ping", "http": {"method": "POST", "requestUri": "/"}},
        "MapAll": {
            "name": "MapAll",
            "http": {"method": "POST", "requestUri": "/"},
            "input": {"shape": "MapAllRequest"},
        },
    },
    "shapes": {
        "MakeTreeRequest": {
            "type": "structure",
            "required": ["root"],
            "members": {"root": {"shape": "Node", "documentation": "<p>The root.</p>"}},
        },
        "Node": {
            "type": "structure",
            "required": ["Name"],
            "members": {
                "Name": {"shape": "String", "locationName": "name"},
                "Weight": {"shape": "Double", "queryName": "KG"},
                "Children": {"shape": "Nodes", "locationName": "childSet"},
                "Grid": {"shape": "Rows"},
                "Labels": {"shape": "Labels", "locationName": "label"},
            },
        },
        "Nodes": {"type": "list", "member": {"shape": "Node", "locationName": "item"}},
        "Rows": {"type": "list", "member": {"shape": "Row", "locationName": "row"}},
        "Row": {"type": "list", "member": {"shape": "Integer"}},
        "Labels": {"type": "list", "member": {"shape": "String"}, "flattened": True},
        "MapAllRequest": {"type": "structure", "members": {"All": {"shape": "Map"}}},
        "Map": {"type": "map", "key": {"shape": "String"}, "value": {"shape": "String"}},
        "String": {"type": "string"},
        "Integer": {"type": "integer"},
        "Double": {"type": "double"},
    },
}


@pytest.mark.parametrize("action", peer.actions("ec2"))
def test_a_form_of_botocores_reads_as_the_parameters_it_was_made_of(action: str) -> None:
    theirs = peer.service("ec2").operation_model(action)
    parameters = peer.sample(theirs.input_shape)
    fields = peer.serialised(theirs, parameters)
    form = split_form(b"", peer.body_of(fields), peer.FORM, "POST")
    assert UNBOUNDED.codec(action).parse(form) == parameters


@pytest.mark.parametrize("action", peer.actions("ec2"))
def test_botocore_reads_in_an_answer_the_result_it_was_made_of(action: str) -> None:
    theirs = peer.service("ec2").operation_model(action)
    result = peer.sample(theirs.output_shape) if theirs.output_shape is not None else {}
    answer = peer.parsed(theirs, EC2.codec(action).render(result, "req-1"))
    assert answer == {**result, "ResponseMetadata": {"RequestId": "req-1"}}


def test_no_two_parameters_of_a_structure_are_sent_by_one_name() -> None:
    for action in EC2.action_names:
        names = list(EC2.codec(action).input_members.values())
        assert len(names) == len(set(names)), action


def test_the_model_knows_the_service_it_describes() -> None:
    assert (EC2.name, EC2.protocol, EC2.api_version) == ("ec2", "ec2", "2016-11-15")
    assert EC2.namespace == "http://ec2.amazonaws.com/doc/2016-11-15/"
    assert EC2.action_names == set(peer.actions("ec2"))


@pytest.mark.parametrize("name", ["ec2", "sts"])
def test_the_description_is_the_one_that_botocore_would_load(name: str) -> None:
    assert read_description(name) == Loader().load_service_model(name, "service-2")


def test_the_model_says_which_actions_take_and_echo_a_client_token() -> None:
    for action in EC2.action_names:
        theirs = peer.service("ec2").operation_model(action)
        ours = EC2.codec(action)
        output = theirs.output_shape.members if theirs.output_shape else {}
        assert ours.has_client_token == ("ClientToken" in theirs.input_shape.members)
        assert ours.has_dry_run == ("DryRun" in theirs.input_shape.members)
        assert ours.echoes_client_token == bool({"ClientToken", "clientToken"} & set(output))
    assert EC2.codec("RunInstances").has_client_token
    assert not EC2.codec("RunInstances").echoes_client_token
    assert EC2.codec("CreateNatGateway").echoes_client_token


def test_every_parameter_has_the_name_it_is_sent_by() -> None:
    members = EC2.codec("RunInstances").input_members
    assert members["SecurityGroupIds"] == "SecurityGroupId"
    assert members["TagSpecifications"] == "TagSpecification"
    assert members["DryRun"] == "DryRun"
    assert isinstance(members, MappingProxyType), "nobody changes it for the others"


def test_an_action_the_service_has_not_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        EC2.codec("MakeCoffee")


def test_an_action_is_compiled_once_even_for_many_threads() -> None:
    model = ServiceModel(TINY)
    barrier = threading.Barrier(8)
    found: list[Codec] = []

    def ask() -> None:
        barrier.wait(timeout=10)
        found.append(model.codec("MakeTree"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert len(found) == 8
    assert all(codec is found[0] for codec in found)


def test_sts_says_who_is_calling_as_botocore_reads_it() -> None:
    sts = ServiceModel.load("sts")
    result = {"UserId": "AIDA", "Account": "000000000001", "Arn": "arn:aws:iam::1:user/a&b"}
    codec = sts.codec("GetCallerIdentity")
    assert codec.parse({}) == {}
    body = codec.render(result, "req-2")
    assert body.startswith(
        b'<?xml version="1.0" encoding="UTF-8"?>\n<GetCallerIdentityResponse '
        b'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><UserId>'
    )
    theirs = peer.service("sts").operation_model("GetCallerIdentity")
    assert peer.parsed(theirs, body) == {**result, "ResponseMetadata": {"RequestId": "req-2"}}


def test_lists_of_the_query_protocol_are_read_wrapped_and_flat() -> None:
    codec = ServiceModel(read_description("sts"), holds_bounds=False).codec("AssumeRole")
    start = {"RoleArn": "arn", "RoleSessionName": "me"}
    for name in ("PolicyArns.member.1.arn", "PolicyArns.1.arn"):
        assert codec.parse({**start, name: "x"})["PolicyArns"] == [{"arn": "x"}]
    assert "PolicyArns" not in codec.parse({**start, "PolicyArns": ""})
    theirs = peer.service("sts").operation_model("AssumeRole")
    parameters = peer.sample(theirs.input_shape)
    form = split_form(b"", peer.body_of(peer.serialised(theirs, parameters)), peer.FORM, "POST")
    assert codec.parse(form) == parameters


def test_another_service_of_the_protocol_works_as_ec2_does() -> None:
    tiny = ServiceModel(TINY)
    codec = tiny.codec("MakeTree")
    leaf = {"Name": "leaf", "Weight": 0.5, "Grid": [[1, 2], [3]]}
    tree = {"Name": "root", "Children": [leaf, {"Name": "b", "Children": [leaf]}]}
    theirs = peer.described(TINY).operation_model("MakeTree")
    fields = peer.serialised(theirs, {"root": tree})
    # The protocol capitalises a member without locationName; botocore leaves its spelling.
    form = {f"R{name[1:]}": str(value) for name, value in fields.items()}
    assert codec.parse(form) == {"root": tree}
    assert form["Root.ChildSet.1.KG"] == "0.5"
    answer = peer.parsed(theirs, codec.render({**tree, "Labels": ["x", "y"]}, "r"))
    assert answer == {**tree, "Labels": ["x", "y"], "ResponseMetadata": {"RequestId": "r"}}


def test_a_nested_parameter_that_is_missing_is_named_as_it_would_be_sent() -> None:
    codec = ServiceModel(TINY).codec("MakeTree")
    with pytest.raises(ServiceError, match=r"the parameter Root\.ChildSet\.2\.Name$") as refused:
        codec.parse({"Root.Name": "a", "Root.ChildSet.2.KG": "1"})
    assert refused.value.code == "MissingParameter"


def test_an_action_without_input_or_output_takes_nothing_and_returns_true() -> None:
    codec = ServiceModel(TINY).codec("Ping")
    assert codec.parse({}) == {}
    with pytest.raises(ServiceError, match="UnknownParameter"):
        codec.parse({"Loud": "true"})
    assert codec.render({}, "r").endswith(b"<return>true</return></PingResponse>")


def test_what_the_protocols_do_not_define_is_refused_when_it_is_asked_for() -> None:
    with pytest.raises(Misconfigured, match="Map is of a type unknown here: map"):
        ServiceModel(TINY).codec("MapAll")
    with pytest.raises(Misconfigured, match="speaks rest-xml"):
        ServiceModel({**TINY, "metadata": {**TINY["metadata"], "protocol": "rest-xml"}})


@pytest.mark.parametrize("side", ["input", "output"])
def test_an_action_that_cannot_be_compiled_leaves_no_half_of_a_shape_behind(side: str) -> None:
    holder = {"type": "structure", "members": {"Inner": {"shape": "Inner"}}}
    inner = {"type": "structure", "members": {"All": {"shape": "Map"}, "Name": {"shape": "String"}}}
    model = ServiceModel(
        {
            **TINY,
            "operations": {name: {"name": name, side: {"shape": name}} for name in ("A", "B")},
            "shapes": {**TINY["shapes"], "A": holder, "B": holder, "Inner": inner},
        }
    )
    for action in ("A", "B", "A"):
        with pytest.raises(Misconfigured):
            model.codec(action)


def test_the_description_is_left_as_it_was() -> None:
    before = copy.deepcopy(TINY)
    ServiceModel(TINY).codec("MakeTree")
    assert before == TINY


def test_the_documentation_is_not_kept_in_memory() -> None:
    ServiceModel.load.cache_clear()
    tracemalloc.start()
    try:
        model = ServiceModel.load("ec2")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The bound shows that documentation was dropped: with it the model alone takes some 30 MB.
    assert kept < 12_000_000, f"{kept} bytes are kept of {model.name}"
