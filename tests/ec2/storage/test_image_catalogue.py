"""Built-in images: found by the look-ups people write, and shown as DescribeImages shows them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol.documents import Document
from sametoken.ec2.storage.image_forms import Candidate, describe_images
from sametoken.errors import ServiceError
from sametoken.resources.catalogues import images
from sametoken.resources.catalogues.geography import REGIONS
from sametoken.resources.catalogues.images import AMAZON_LINUX, CANONICAL, DEBIAN, RED_HAT, WINDOWS

ACCOUNT = "000000000001"
OWN: Document = {
    "ImageId": "ami-0123456789abcdef0",
    "Name": "mine",
    "OwnerId": ACCOUNT,
    "State": "available",
    "Public": False,
    "CreationDate": "2025-11-02T00:00:00.000Z",
    "Tags": [{"Key": "Team", "Value": "blue"}],
}
OWN_PUBLIC: Document = OWN | {"ImageId": "ami-0123456789abcdef1", "Name": "ours", "Public": True}
OWN_DISABLED: Document = OWN | {"ImageId": "ami-0123456789abcdef2", "State": "disabled"}
AL2023 = "/aws/service/ami-amazon-linux-latest/al2023-ami-"
UBUNTU = "/aws/service/canonical/ubuntu/server"
# Id of al2023-ami-2023.9.20251027.0-kernel-6.1-x86_64 in us-east-1.
PINNED = "ami-0936c538832840439"


def f(name: str, *values: str) -> Document:
    return {"Name": name, "Values": list(values)}


def ask(region: str = "us-east-1", own: tuple[Document, ...] = (), **params: Any) -> Document:
    registered = [Candidate(one, ("all",) if one["Public"] else ()) for one in own]
    return describe_images(
        Request(ACCOUNT, region, "DescribeImages", params, "r-1", "AKIA", "full"), registered
    )


def names(own: tuple[Document, ...] = (), **params: Any) -> list[str]:
    return [one["Name"] for one in ask(own=own, **params)["Images"]]


def refusal(**params: Any) -> tuple[str, str]:
    with pytest.raises(ServiceError) as caught:
        ask(**params)
    return caught.value.code, caught.value.message


def most_recent(owner: str, *filters: Document, region: str = "us-east-1") -> Document:
    """Find an image as Terraform's aws_ami does with `most_recent = true`: by creation date."""
    found: list[Document] = ask(region, Owners=[owner], Filters=list(filters))["Images"]
    assert len(found) >= 2, "each family has two versions"
    found.sort(key=lambda one: one["CreationDate"])
    assert found[-1]["CreationDate"] > found[-2]["CreationDate"], "the most recent is one"
    return found[-1]


@pytest.mark.parametrize(
    ("owner", "pattern", "expected"),
    [
        ("amazon", "al2023-ami-2023*-x86_64", "al2023-ami-2023.9.20251027.0-kernel-6.1-x86_64"),
        (
            AMAZON_LINUX,
            "al2023-ami-*-kernel-6.1-x86_64",
            "al2023-ami-2023.9.20251027.0-kernel-6.1-x86_64",
        ),
        (
            "amazon",
            "al2023-ami-minimal-*-arm64",
            "al2023-ami-minimal-2023.9.20251027.0-kernel-6.1-arm64",
        ),
        ("amazon", "amzn2-ami-hvm-*-x86_64-gp2", "amzn2-ami-hvm-2.0.20251014.0-x86_64-gp2"),
        (
            AMAZON_LINUX,
            "amzn2-ami-kernel-5.10-hvm-*-arm64-gp2",
            "amzn2-ami-kernel-5.10-hvm-2.0.20251014.0-arm64-gp2",
        ),
        (
            CANONICAL,
            "ubuntu/images/hvm-ssd*/ubuntu-jammy-22.04-amd64-server-*",
            "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20251015",
        ),
        (
            CANONICAL,
            "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-*",
            "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20251022",
        ),
        (DEBIAN, "debian-12-amd64-*", "debian-12-amd64-20251006-2257"),
        (RED_HAT, "RHEL-9.*_HVM-*-x86_64-*", "RHEL-9.6.0_HVM-20250910-x86_64-0-Hourly2-GP3"),
        (
            WINDOWS,
            "Windows_Server-2022-English-Full-Base-*",
            "Windows_Server-2022-English-Full-Base-2025.10.15",
        ),
    ],
)
def test_the_usual_lookups_find_one_most_recent_image(
    owner: str, pattern: str, expected: str
) -> None:
    found = most_recent(
        owner,
        f("name", pattern),
        f("virtualization-type", "hvm"),
        f("root-device-type", "ebs"),
        f("state", "available"),
        f("architecture", "arm64" if "arm64" in expected else "x86_64"),
    )
    assert found["Name"] == expected


def test_ids_are_well_formed_and_the_same_at_every_installation() -> None:
    seen = {image.id for region in REGIONS for image in images.all_images(region)}
    assert len(seen) == sum(len(images.all_images(region)) for region in REGIONS)
    assert all(re.fullmatch(r"ami-0[0-9a-f]{16}", image_id) for image_id in seen)
    # Templates contain these ids, so no release may change them.
    name = "al2023-ami-2023.9.20251027.0-kernel-6.1-x86_64"
    assert {image.name: image.id for image in images.all_images("us-east-1")}[name] == PINNED


def test_an_image_exists_in_its_region_only() -> None:
    image = images.all_images("eu-west-1")[0]
    assert images.find_described("eu-west-1", image.id) == images.describe(image)
    assert images.find_described("eu-west-2", image.id) is None
    assert images.all_images("nowhere-1") == ()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (f"{AL2023}kernel-default-x86_64", "al2023-ami-2023.9.20251027.0-kernel-6.1-x86_64"),
        (f"{AL2023}kernel-6.1-arm64", "al2023-ami-2023.9.20251027.0-kernel-6.1-arm64"),
        (
            f"{AL2023}minimal-kernel-default-x86_64",
            "al2023-ami-minimal-2023.9.20251027.0-kernel-6.1-x86_64",
        ),
        (
            "/aws/service/ami-amazon-linux-latest/amzn2-ami-hvm-x86_64-gp2",
            "amzn2-ami-hvm-2.0.20251014.0-x86_64-gp2",
        ),
        (
            f"{UBUNTU}/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
            "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20251022",
        ),
        (
            f"{UBUNTU}/jammy/stable/20251001/arm64/hvm/ebs-gp2/ami-id",
            "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-arm64-server-20251001",
        ),
        ("/aws/service/debian/release/12/latest/amd64", "debian-12-amd64-20251006-2257"),
        (
            "/aws/service/ami-windows-latest/Windows_Server-2022-English-Full-Base",
            "Windows_Server-2022-English-Full-Base-2025.10.15",
        ),
    ],
)
def test_public_parameters_resolve_to_their_image(path: str, name: str) -> None:
    image_id = images.resolve_parameter("us-east-1", f"resolve:ssm:{path}")
    assert image_id is not None and image_id == images.resolve_parameter("us-east-1", path)
    image = images.find_described("us-east-1", image_id)
    assert image is not None and image["Name"] == name
    assert name in names(Filters=[f("public-ssm-parameter-name", path.removeprefix("/"))])


def test_a_parameter_that_is_not_built_in_resolves_to_nothing() -> None:
    for path in ("", "/aws/service/x", f"{AL2023}kernel-default-x86_64:3"):
        assert images.resolve_parameter("us-east-1", path) is None
    assert images.resolve_parameter("nowhere-1", f"{AL2023}kernel-default-x86_64") is None


def test_owners_are_ids_aliases_and_oneself() -> None:
    assert names((OWN, OWN_PUBLIC), Owners=["self"]) == ["mine", "ours"]
    assert names((OWN,), Owners=[ACCOUNT]) == ["mine"]
    assert len(names((OWN,), Owners=["amazon"])) == len(names())
    assert names((OWN,), Owners=["aws-marketplace"]) == []
    assert names(Owners=[CANONICAL, "999999999999"]) == names(Filters=[f("owner-id", CANONICAL)])
    assert refusal(Owners=["me"])[0] == "InvalidUserID.Malformed"


def test_executable_users_finds_public_images_only() -> None:
    everything = names((OWN, OWN_PUBLIC))
    assert sorted(names((OWN, OWN_PUBLIC), ExecutableUsers=["all"])) == sorted(
        name for name in everything if name != "mine"
    )
    assert names((OWN, OWN_PUBLIC), ExecutableUsers=["self"]) == []
    assert refusal(ExecutableUsers=["everyone"])[0] == "InvalidUserID.Malformed"


def test_deprecated_images_are_shown_when_asked_for() -> None:
    old = [image for image in images.all_images("us-east-1") if image.deprecated]
    assert old, "the catalogue has deprecated images"
    assert not {image.name for image in old} & set(names())
    assert {image.name for image in old} <= set(names(IncludeDeprecated=True))
    assert names(ImageIds=[old[0].id]) == [old[0].name]


def test_disabled_images_are_shown_when_asked_for() -> None:
    own = (OWN, OWN_DISABLED)
    assert len(names(own, Owners=["self"])) == 1
    assert len(names(own, Owners=["self"], IncludeDisabled=True)) == 2


def test_own_images_are_found_by_tag_and_filter() -> None:
    assert names((OWN,), Filters=[f("tag:Team", "bl*")]) == ["mine"]
    assert names((OWN,), Filters=[f("is-public", "false")]) == ["mine"]
    assert names((OWN,), Filters=[f("tag-key", "team")]) == []


def test_only_windows_images_have_a_platform() -> None:
    found = ask(Filters=[f("platform", "windows")])["Images"]
    assert {one["OwnerId"] for one in found} == {WINDOWS}
    assert {one["Platform"] for one in found} == {"windows"}
    assert {one["UsageOperation"] for one in found} == {"RunInstances:0002"}


def test_an_image_has_a_root_volume_made_from_its_own_snapshot() -> None:
    snapshots = set()
    for image in images.all_images("us-east-1"):
        shown = images.describe(image)
        root = shown["BlockDeviceMappings"][0]
        assert root["DeviceName"] == shown["RootDeviceName"]
        assert re.fullmatch(r"snap-0[0-9a-f]{16}", root["Ebs"]["SnapshotId"])
        snapshots.add(root["Ebs"]["SnapshotId"])
    assert len(snapshots) == len(images.all_images("us-east-1"))


def test_wrong_ids_are_refused_in_ec2s_words() -> None:
    good = images.all_images("us-east-1")[0].id
    for bad in ("ami-", "ami-xyz", "i-0123456789abcdef0", "ami-1123456789abcdef0", f"{good}\n"):
        assert refusal(ImageIds=[good, bad])[0] == "InvalidAMIID.Malformed"
    one, two = "ami-00000000000000001", "ami-00000002"
    assert refusal(ImageIds=[one]) == (
        "InvalidAMIID.NotFound",
        f"The image id '[{one}]' does not exist",
    )
    assert refusal(ImageIds=[one, good, two]) == (
        "InvalidAMIID.NotFound",
        f"The image ids '[{one}, {two}]' do not exist",
    )


def test_a_known_id_that_a_filter_excludes_is_an_empty_answer() -> None:
    good = images.all_images("us-east-1")[0].id
    assert ask(ImageIds=[good], Filters=[f("name", "x")]) == {"Images": []}


def test_pages_are_complete() -> None:
    found, token = [], None
    while True:
        answer = ask(MaxResults=7, **({"NextToken": token} if token else {}))
        found += [one["ImageId"] for one in answer["Images"]]
        token = answer.get("NextToken")
        if token is None:
            break
    assert found == [one["ImageId"] for one in ask()["Images"]]
    assert refusal(MaxResults=0)[0] == refusal(MaxResults=1001)[0] == "InvalidParameterValue"
