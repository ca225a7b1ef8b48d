"""DescribeLaunchTemplateVersions: versions by number, of all templates, and in pages."""

from __future__ import annotations

from typing import Any

import pytest

from ec2.asking import code, refusal
from plane import IMAGE, Plane


@pytest.fixture
def ec2(plane: Plane, request: pytest.FixtureRequest) -> Any:
    return plane.client(keys=plane.account(request.node.name[-60:]))


def template(ec2: Any, name: str, versions: int) -> str:
    """Make a template with `versions` versions; the first stays the default."""
    data = {"ImageId": IMAGE, "InstanceType": "t3.micro"}
    made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
    for number in range(2, versions + 1):
        ec2.create_launch_template_version(
            LaunchTemplateName=name, LaunchTemplateData=data, VersionDescription=f"v{number}"
        )
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


def numbers(answer: dict[str, Any]) -> list[int]:
    return [one["VersionNumber"] for one in answer["LaunchTemplateVersions"]]


def test_pages_hold_every_version_once_the_newest_first(ec2: Any) -> None:
    id = template(ec2, "web", 12)
    pages = ec2.get_paginator("describe_launch_template_versions").paginate(
        LaunchTemplateId=id, PaginationConfig={"PageSize": 5}
    )
    assert [numbers(one) for one in pages] == [[12, 11, 10, 9, 8], [7, 6, 5, 4, 3], [2, 1]]
    assert numbers(ec2.describe_launch_template_versions(LaunchTemplateId=id)) == [
        *range(12, 0, -1)
    ]


def test_a_page_goes_on_where_the_last_one_ended_whatever_is_added(ec2: Any) -> None:
    id = template(ec2, "web", 4)
    first = ec2.describe_launch_template_versions(LaunchTemplateId=id, MaxResults=2)
    data = {"InstanceType": "t3.small"}
    ec2.create_launch_template_version(LaunchTemplateId=id, LaunchTemplateData=data)
    ec2.delete_launch_template_versions(LaunchTemplateId=id, Versions=["3"])
    rest = ec2.describe_launch_template_versions(
        LaunchTemplateId=id, MaxResults=2, NextToken=first["NextToken"]
    )
    assert (numbers(first), numbers(rest), "NextToken" in rest) == ([4, 3], [2, 1], False)


def test_pages_have_bounds_and_tokens_of_their_own(ec2: Any) -> None:
    id, other = template(ec2, "web", 2), template(ec2, "api", 2)
    describe = ec2.describe_launch_template_versions
    for size in (0, 201):
        assert code(describe, LaunchTemplateId=id, MaxResults=size) == "InvalidParameterValue"
    token = describe(LaunchTemplateId=id, MaxResults=1)["NextToken"]
    refused = code(describe, LaunchTemplateId=other, MaxResults=1, NextToken=token)
    assert refused == "InvalidParameterValue"


def test_without_a_template_the_latest_and_default_of_each_are_shown(ec2: Any) -> None:
    web, api = template(ec2, "web", 3), template(ec2, "api", 1)

    def shown(*versions: str, **more: Any) -> list[tuple[str, int]]:
        answer = ec2.describe_launch_template_versions(Versions=list(versions), **more)
        listed = answer["LaunchTemplateVersions"]
        return [(one["LaunchTemplateId"], one["VersionNumber"]) for one in listed]

    assert shown("$Latest") == sorted([(web, 3), (api, 1)])
    assert shown("$Default") == sorted([(web, 1), (api, 1)])
    both = shown("$Default", "$Latest")
    assert sorted(both) == sorted([(web, 3), (web, 1), (api, 1)])
    assert both.index((web, 3)) < both.index((web, 1))
    assert shown("$Latest", Filters=[{"Name": "is-default-version", "Values": ["true"]}]) == [
        (api, 1)
    ]
    first = ec2.describe_launch_template_versions(Versions=["$Latest"], MaxResults=1)
    assert len(numbers(first)) == 1
    assert shown("$Latest", MaxResults=1, NextToken=first["NextToken"]) == [max((web, 3), (api, 1))]


def test_numbers_need_a_template(ec2: Any) -> None:
    template(ec2, "web", 1)
    for versions in (["1"], ["$Latest", "1"], []):
        asked = {"Versions": versions} if versions else {}
        assert code(ec2.describe_launch_template_versions, **asked) == "MissingParameter"


def test_templates_by_name_are_filtered_and_paged_as_others(ec2: Any) -> None:
    ids = [template(ec2, name, 1) for name in ("web", "data", "cache")]
    names = {"LaunchTemplateNames": ["web", "data", "cache"]}
    passing = [{"Name": "launch-template-name", "Values": ["d*"]}]
    found = ec2.describe_launch_templates(**names, Filters=passing)["LaunchTemplates"]
    assert [one["LaunchTemplateId"] for one in found] == [ids[1]]
    pages = ec2.get_paginator("describe_launch_templates").paginate(
        **names, PaginationConfig={"PageSize": 2}
    )
    shown = [[one["LaunchTemplateId"] for one in page["LaunchTemplates"]] for page in pages]
    assert [len(page) for page in shown] == [2, 1]
    assert sorted(id for page in shown for id in page) == sorted(ids)


def test_a_version_that_is_not_there_is_named_as_ec2_names_it(ec2: Any) -> None:
    id = template(ec2, "web", 1)
    told = refusal(ec2.describe_launch_template_versions, LaunchTemplateId=id, Versions=["3"])
    assert told.code == "InvalidLaunchTemplateId.VersionNotFound"
    assert told.message == (
        f"Could not find the specified version 3 for the launch template with ID {id}."
    )


def test_versions_are_kept_when_the_default_one_is_among_those_to_delete(ec2: Any) -> None:
    id = template(ec2, "web", 3)
    for versions in (["1", "3", "999"], ["$Latest", "$Default"]):
        refused = code(ec2.delete_launch_template_versions, LaunchTemplateId=id, Versions=versions)
        assert refused == "InvalidParameterValue"
    assert numbers(ec2.describe_launch_template_versions(LaunchTemplateId=id)) == [3, 2, 1]


def test_the_latest_version_is_the_highest_left_and_no_number_is_given_twice(ec2: Any) -> None:
    id = template(ec2, "web", 3)
    told = ec2.delete_launch_template_versions(LaunchTemplateId=id, Versions=["3", "999"])
    [gone] = told["SuccessfullyDeletedLaunchTemplateVersions"]
    [absent] = told["UnsuccessfullyDeletedLaunchTemplateVersions"]
    assert (gone["VersionNumber"], absent["VersionNumber"]) == (3, 999)
    assert absent["ResponseError"]["Code"] == "launchTemplateVersionDoesNotExist"
    [shown] = ec2.describe_launch_templates(LaunchTemplateIds=[id])["LaunchTemplates"]
    assert shown["LatestVersionNumber"] == 2
    latest = ec2.describe_launch_template_versions(LaunchTemplateId=id, Versions=["$Latest"])
    assert numbers(latest) == [2]
    launched = ec2.run_instances(
        LaunchTemplate={"LaunchTemplateId": id, "Version": "$Latest"}, MinCount=1, MaxCount=1
    )
    [tag] = [one for one in launched["Instances"][0]["Tags"] if one["Key"].endswith("version")]
    assert tag["Value"] == "2"
    data = {"InstanceType": "t3.small"}
    made = ec2.create_launch_template_version(LaunchTemplateId=id, LaunchTemplateData=data)
    assert made["LaunchTemplateVersion"]["VersionNumber"] == 4


def test_a_token_whose_template_has_had_versions_stays_used(ec2: Any) -> None:
    asked = {
        "LaunchTemplateName": "web", "ClientToken": "used-token",
        "LaunchTemplateData": {"InstanceType": "t3.micro"},
    }  # fmt: skip
    id = ec2.create_launch_template(**asked)["LaunchTemplate"]["LaunchTemplateId"]
    data = {"InstanceType": "t3.small"}
    ec2.create_launch_template_version(LaunchTemplateId=id, LaunchTemplateData=data)
    ec2.delete_launch_template_versions(LaunchTemplateId=id, Versions=["2"])
    assert code(ec2.create_launch_template, **asked) == "IdempotentParameterMismatch"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"UserData": "not base64"}, "InvalidUserData.Malformed"),
        ({"MetadataOptions": {"HttpPutResponseHopLimit": 999}}, "InvalidParameterValue"),
    ],
)
def test_a_template_keeps_no_data_that_no_launch_could_use(
    ec2: Any, data: dict[str, Any], expected: str
) -> None:
    assert (
        code(ec2.create_launch_template, LaunchTemplateName="web", LaunchTemplateData=data)
        == expected
    )
    id = template(ec2, "web", 1)
    version = {"LaunchTemplateId": id, "LaunchTemplateData": data}
    assert code(ec2.create_launch_template_version, **version) == expected
    assert numbers(ec2.describe_launch_template_versions(LaunchTemplateId=id)) == [1]


def test_a_version_shows_the_image_that_its_alias_stands_for_where_asked(ec2: Any) -> None:
    id = template(ec2, "web", 1)
    shown = [
        ec2.describe_launch_template_versions(LaunchTemplateId=id, ResolveAlias=resolved)[
            "LaunchTemplateVersions"
        ][0]["LaunchTemplateData"]["ImageId"]
        for resolved in (False, True)
    ]
    assert shown[0] == IMAGE and shown[1].startswith("ami-")
