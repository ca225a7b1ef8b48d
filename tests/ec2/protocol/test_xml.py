"""Answers as XML, byte for byte, and results that must not be sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ec2 import peer
from sametoken.ec2.protocol.model import ServiceModel
from sametoken.ec2.protocol.xml import escaped, render_error
from sametoken.errors import ServiceError

EC2 = ServiceModel.load("ec2")
OPENING = '<?xml version="1.0" encoding="UTF-8"?>\n'
MOMENT = datetime(2016, 11, 15, 12, tzinfo=UTC)
NAMESPACE = 'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"'


def rendered(action: str, result: dict[str, Any]) -> str:
    return EC2.codec(action).render(result, "req-1").decode()


def test_an_answer_has_the_request_id_first_and_no_wrapper() -> None:
    result = {"ReservationId": "r-1", "Groups": [], "Instances": [{"InstanceId": "i-1"}]}
    assert rendered("RunInstances", result) == (
        f"{OPENING}<RunInstancesResponse {NAMESPACE}><requestId>req-1</requestId>"
        "<reservationId>r-1</reservationId><groupSet/>"
        "<instancesSet><item><instanceId>i-1</instanceId></item></instancesSet>"
        "</RunInstancesResponse>"
    )


def test_members_are_sent_in_the_models_order_whatever_the_results() -> None:
    forward = {"ReservationId": "r-1", "OwnerId": "1"}
    backward = {"OwnerId": "1", "ReservationId": "r-1"}
    assert rendered("RunInstances", forward) == rendered("RunInstances", backward)


def test_an_action_without_modelled_output_returns_true() -> None:
    assert rendered("DeleteVpc", {}) == (
        f"{OPENING}<DeleteVpcResponse {NAMESPACE}><requestId>req-1</requestId>"
        "<return>true</return></DeleteVpcResponse>"
    )


def test_empty_lists_texts_and_structures_are_empty_elements_and_none_is_not_sent() -> None:
    volume: dict[str, Any] = {"VolumeId": "", "Attachments": [], "SnapshotId": None}
    text = rendered("DescribeVolumes", {"NextToken": None, "Volumes": [volume, {}]})
    assert "<volumeSet><item><volumeId/><attachmentSet/></item><item/></volumeSet>" in text
    assert "nextToken" not in text
    assert "snapshotId" not in text


@pytest.mark.parametrize(
    ("moment", "sent"),
    [
        (MOMENT, "2016-11-15T12:00:00.000Z"),
        (datetime(2016, 11, 15, 12, 0, 0, 123999, tzinfo=UTC), "2016-11-15T12:00:00.123Z"),
        (
            datetime(2016, 11, 15, 1, tzinfo=timezone(timedelta(hours=2))),
            "2016-11-14T23:00:00.000Z",
        ),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
    ],
)
def test_moments_are_sent_as_utc_with_milliseconds(moment: datetime, sent: str) -> None:
    assert f"<createTime>{sent}</createTime>" in rendered("CreateVolume", {"CreateTime": moment})


def test_markup_is_escaped_and_what_xml_cannot_carry_is_replaced() -> None:
    assert escaped("a<b>&\"'\t\n") == "a&lt;b&gt;&amp;\"'\t\n"
    assert escaped("\r") == "&#13;"
    assert escaped("a\x00b\x1f\ufffe\uffff\ud800c") == "a\ufffdb\ufffd\ufffd\ufffd\ufffdc"
    assert escaped("\x85\U0001f600]]>") == "\x85\U0001f600]]&gt;"


@settings(derandomize=True, max_examples=300)
@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_every_text_makes_well_formed_xml_and_what_xml_can_carry_comes_back(text: str) -> None:
    body = EC2.codec("CreateVpc").render({"Vpc": {"VpcId": text}}, text)
    ElementTree.fromstring(body)
    theirs = peer.service("ec2").operation_model("CreateVpc")
    expected = "".join("\ufffd" if escaped(letter) == "\ufffd" else letter for letter in text)
    assert peer.parsed(theirs, body)["Vpc"]["VpcId"] == expected
    ElementTree.fromstring(render_error("ec2", ServiceError(text, text), text))


@pytest.mark.parametrize(
    ("action", "result", "said"),
    [
        ("CreateVpc", {"Vpc": {"Colour": "red"}}, "Vpc has no member Colour"),
        ("CreateVpc", {"Vpcs": []}, "CreateVpcResult has no member Vpcs"),
        ("CreateVpc", {"Vpc": ["vpc-1"]}, "Vpc is a structure"),
        ("CreateVpc", {"Vpc": {"IsDefault": "true"}}, "boolean is expected"),
        ("CreateVpc", {"Vpc": {"VpcId": 7}}, "string is expected"),
        ("CreateVpc", {"Vpc": {"Tags": {"Key": "k"}}}, "list is expected"),
        ("CreateVpc", {"Vpc": {"Tags": [None]}}, "Tag is a structure"),
        ("CreateVolume", {"Size": True}, "not an integer"),
        ("CreateVolume", {"CreateTime": MOMENT.replace(tzinfo=None)}, "not aware"),
        ("DeleteVpc", {"VpcId": "vpc-1"}, "no output"),
    ],
)
def test_a_result_that_does_not_fit_its_shape_is_our_bug(
    action: str, result: dict[str, Any], said: str
) -> None:
    with pytest.raises(AssertionError, match=said):
        rendered(action, result)


def test_an_error_of_ec2_is_as_captured() -> None:
    error = ServiceError("InvalidParameterValue", "Value (<a>) is & was invalid.")
    assert render_error("ec2", error, "req-1").decode() == (
        f"{OPENING}<Response><Errors><Error><Code>InvalidParameterValue</Code>"
        "<Message>Value (&lt;a&gt;) is &amp; was invalid.</Message></Error></Errors>"
        "<RequestID>req-1</RequestID></Response>"
    )


@pytest.mark.parametrize(("status", "kind"), [(400, "Sender"), (503, "Receiver")])
def test_an_error_of_the_query_protocol_says_whose_fault_it_is(status: int, kind: str) -> None:
    body = render_error("query", ServiceError("Oops", "No.", http_status=status), "req-1")
    assert body.decode() == (
        f'{OPENING}<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>'
        f"<Type>{kind}</Type><Code>Oops</Code><Message>No.</Message></Error>"
        "<RequestId>req-1</RequestId></ErrorResponse>"
    )


@pytest.mark.parametrize(
    ("service", "action"), [("ec2", "RunInstances"), ("sts", "GetCallerIdentity")]
)
def test_botocore_reads_the_code_the_message_and_the_request_id_of_an_error(
    service: str, action: str
) -> None:
    theirs = peer.service(service)
    body = render_error(theirs.protocol, ServiceError("Oops.Now", "a & b"), "req-1")
    answer = peer.parsed(theirs.operation_model(action), body, 400)
    assert (answer["Error"]["Code"], answer["Error"]["Message"]) == ("Oops.Now", "a & b")
    assert answer["ResponseMetadata"]["RequestId"] == "req-1"
