"""The built-in images: those that most templates, tutorials and SDK examples look up by name.

Names, owners, devices and sizes are those of the real images. Ids are made from Region and name, so
that every installation has the same ones. Each family has two dated versions, so that "the most
recent" means something.

The catalogue does not age: whether an image is deprecated is judged at `CATALOGUE_AT`, never by a
clock, so that an installation does not lose its images one day. Images that accounts register are
not here: they are rows of the store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sametoken.resources.catalogues.geography import REGIONS

# CATALOGUE_AT is the day whose images are listed here.
CATALOGUE_AT = datetime(2025, 11, 1, tzinfo=UTC)

AMAZON_LINUX = "137112412989"
CANONICAL = "099720109477"
DEBIAN = "136693071363"
RED_HAT = "309956199498"
WINDOWS = "801119661308"

_RESOLVE = "resolve:ssm:"
_LINUX = ("Linux/UNIX", "RunInstances")
# The names by which Canonical's parameters and images know a release.
_UBUNTU = {"20.04": "focal", "22.04": "jammy", "24.04": "noble"}
# EC2's words for an architecture, and Canonical's and Debian's.
_DEBIAN_ARCHITECTURES = {"x86_64": "amd64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class Image:
    """A built-in image of one Region.

    `parameters` are the public parameters that resolve to this very version or, for the newest, to
    "the latest"; `instance_stores` are further devices, mapped to ephemeral volumes.
    """

    name: str
    description: str
    owner_id: str
    created_at: datetime
    architecture: str
    root_device_name: str
    volume_gib: int
    volume_type: str
    platform: tuple[str, str] = _LINUX
    boot_mode: str | None = None
    imds_support: str | None = None
    instance_stores: tuple[str, ...] = ()
    family: tuple[str, ...] = ()
    dated: tuple[str, ...] = ()
    region: str = ""
    parameters: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"ami-0{_digits('image', self.region, self.name)}"

    @property
    def snapshot_id(self) -> str:
        return f"snap-0{_digits('snapshot', self.region, self.name)}"

    @property
    def deprecation_at(self) -> datetime:
        """The moment of deprecation, in EC2 at the latest two years after creation."""
        return self.created_at.replace(year=self.created_at.year + 2, second=0)

    @property
    def deprecated(self) -> bool:
        return self.deprecation_at <= CATALOGUE_AT


def all_images(region: str) -> tuple[Image, ...]:
    """The built-in images of a Region, ordered by name; none of an unknown Region."""
    return _catalogue(region) if region in REGIONS else ()


def snapshot_gib(region: str, snapshot: str) -> int | None:
    """The size of a built-in image's snapshot; None for any other snapshot."""
    sizes = (image.volume_gib for image in all_images(region) if image.snapshot_id == snapshot)
    return next(sizes, None)


def resolve_parameter(region: str, path: str) -> str | None:
    """The id of the image that a public parameter names, with or without `resolve:ssm:`.

    None for a parameter that is not built in, and for one with a version or label (`path:3`): only
    the real service knows what version numbers mean.
    """
    return _by_parameter(region).get(path.removeprefix(_RESOLVE))


@lru_cache(maxsize=len(REGIONS))
def _by_parameter(region: str) -> dict[str, str]:
    # Of two images with the same parameter, the first in the catalogue counts.
    images = reversed(all_images(region))
    return {parameter: image.id for image in images for parameter in image.parameters}


@lru_cache(maxsize=len(REGIONS))
def _described(region: str) -> dict[str, dict[str, Any]]:
    return {image.id: describe(image) for image in all_images(region)}


def find_described(region: str, image_id: str) -> dict[str, Any] | None:
    """Find the built-in image with this id as `describe` shows it. Do not change it in place."""
    return _described(region).get(image_id) if region in REGIONS else None


def describe(image: Image) -> dict[str, Any]:
    """The image as DescribeImages shows it: botocore's `Image` shape, absent members left out."""
    details, operation = image.platform
    shown: dict[str, Any] = {
        "ImageId": image.id,
        "Name": image.name,
        "Description": image.description,
        "OwnerId": image.owner_id,
        # EC2 shows the images of every publisher listed here under this alias.
        "ImageOwnerAlias": "amazon",
        "ImageLocation": f"amazon/{image.name}",
        "ImageType": "machine",
        "Public": True,
        "State": "available",
        "Architecture": image.architecture,
        "CreationDate": _written(image.created_at),
        "DeprecationTime": _written(image.deprecation_at),
        "PlatformDetails": details,
        "UsageOperation": operation,
        "Hypervisor": "xen",
        "VirtualizationType": "hvm",
        "EnaSupport": True,
        "SriovNetSupport": "simple",
        "RootDeviceName": image.root_device_name,
        "RootDeviceType": "ebs",
        "BlockDeviceMappings": _devices(image),
        "DeregistrationProtection": "disabled",
        "FreeTierEligible": image.owner_id != RED_HAT,
    }
    if details == "Windows":
        shown["Platform"] = "windows"  # in lower case, whatever the model's enum says
    if image.boot_mode is not None:
        shown["BootMode"] = image.boot_mode
    if image.imds_support is not None:
        shown["ImdsSupport"] = image.imds_support
    if image.parameters:
        shown["PublicSsmParameterName"] = image.parameters[0].removeprefix("/")
    return shown


def _devices(image: Image) -> list[dict[str, Any]]:
    root: dict[str, Any] = {
        "DeleteOnTermination": True,
        "Encrypted": False,
        "SnapshotId": image.snapshot_id,
        "VolumeSize": image.volume_gib,
        "VolumeType": image.volume_type,
    }
    if image.volume_type == "gp3":
        root |= {"Iops": 3000, "Throughput": 125}  # the least that a gp3 volume has
    return [
        {"DeviceName": image.root_device_name, "Ebs": root},
        *(
            {"DeviceName": device, "VirtualName": f"ephemeral{number}"}
            for number, device in enumerate(image.instance_stores)
        ),
    ]


def _written(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _digits(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


@lru_cache(maxsize=len(REGIONS))
def _catalogue(region: str) -> tuple[Image, ...]:
    here = sorted(
        (replace(image, region=region) for image in _PUBLISHED), key=lambda image: image.name
    )
    latest: dict[str, Image] = {}
    for image in sorted(here, key=lambda image: image.created_at):
        latest |= dict.fromkeys(image.family, image)
    return tuple(
        replace(
            image,
            parameters=(*(path for path in image.family if latest[path] is image), *image.dated),
        )
        for image in here
    )


def _amazon_linux_2023() -> Iterator[Image]:
    for version, day in (("2023.9.20251014.0", 14), ("2023.9.20251027.0", 27)):
        for architecture in ("x86_64", "arm64"):
            # The standard image comes after the minimal one, so that a pattern that fits both, such
            # as `al2023-ami-*-x86_64`, finds the image that people mean.
            for hour, minimal, gib in ((17, "minimal-", 2), (18, "", 8)):
                stem = f"/aws/service/ami-amazon-linux-latest/al2023-ami-{minimal}kernel-"
                yield Image(
                    name=f"al2023-ami-{minimal}{version}-kernel-6.1-{architecture}",
                    description=f"Amazon Linux 2023 {minimal.replace('-', ' ')}AMI {version} "
                    f"{architecture} HVM kernel-6.1",
                    owner_id=AMAZON_LINUX,
                    created_at=datetime(2025, 10, day, hour, 45, 12, tzinfo=UTC),
                    architecture=architecture,
                    root_device_name="/dev/xvda",
                    volume_gib=gib,
                    volume_type="gp3",
                    boot_mode="uefi" if architecture == "arm64" else "uefi-preferred",
                    imds_support="v2.0",
                    family=(f"{stem}default-{architecture}", f"{stem}6.1-{architecture}"),
                )


def _amazon_linux_2() -> Iterator[Image]:
    for version, month, day in (("2.0.20250929.2", 9, 29), ("2.0.20251014.0", 10, 14)):
        for architecture in ("x86_64", "arm64"):
            for minute, kernel, words in ((10, "", ""), (20, "kernel-5.10-", "LTS Kernel 5.10 ")):
                yield Image(
                    name=f"amzn2-ami-{kernel}hvm-{version}-{architecture}-gp2",
                    description=f"Amazon Linux 2 {words}AMI {version} {architecture} HVM gp2",
                    owner_id=AMAZON_LINUX,
                    created_at=datetime(2025, month, day, 20, minute, 31, tzinfo=UTC),
                    architecture=architecture,
                    root_device_name="/dev/xvda",
                    volume_gib=8,
                    volume_type="gp2",
                    boot_mode="uefi" if architecture == "arm64" else None,
                    family=(
                        "/aws/service/ami-amazon-linux-latest/"
                        f"amzn2-ami-{kernel}hvm-{architecture}-gp2",
                    ),
                )


def _ubuntu() -> Iterator[Image]:
    # Release 20.04 has a version that is more than two years old: the catalogue's deprecated image.
    for release, serials in (
        ("20.04", ("20230907", "20250821")),
        ("22.04", ("20251001", "20251015")),
        ("24.04", ("20250929", "20251022")),
    ):
        for serial in serials:
            for architecture in _DEBIAN_ARCHITECTURES:
                yield _ubuntu_image(release, serial, architecture)


def _ubuntu_image(release: str, serial: str, architecture: str) -> Image:
    code, word = _UBUNTU[release], _DEBIAN_ARCHITECTURES[architecture]
    # Canonical moved to gp3 with 24.04, and to a folder that says so.
    folder, volume_type = ("hvm-ssd-gp3", "gp3") if release == "24.04" else ("hvm-ssd", "gp2")
    tail = f"{word}/hvm/ebs-{volume_type}/ami-id"
    stems = [f"/aws/service/canonical/ubuntu/server/{name}/stable" for name in (release, code)]
    boot_mode = None if release == "20.04" else "uefi-preferred"
    return Image(
        name=f"ubuntu/images/{folder}/ubuntu-{code}-{release}-{word}-server-{serial}",
        description=f"Canonical, Ubuntu, {release}, {word} {code} image",
        owner_id=CANONICAL,
        created_at=_day(serial, hour=6),
        architecture=architecture,
        root_device_name="/dev/sda1",
        volume_gib=8,
        volume_type=volume_type,
        boot_mode="uefi" if architecture == "arm64" else boot_mode,
        imds_support="v2.0" if release == "24.04" else None,
        instance_stores=("/dev/sdb", "/dev/sdc"),
        family=tuple(f"{stem}/current/{tail}" for stem in stems),
        dated=tuple(f"{stem}/{serial}/{tail}" for stem in stems),
    )


def _debian() -> Iterator[Image]:
    for serial in ("20250915-2236", "20251006-2257"):
        for architecture, word in _DEBIAN_ARCHITECTURES.items():
            stem = "/aws/service/debian/release"
            names = ("12", "bookworm")
            yield Image(
                name=f"debian-12-{word}-{serial}",
                description=f"Debian 12 ({serial})",
                owner_id=DEBIAN,
                created_at=_day(serial, hour=23),
                architecture=architecture,
                root_device_name="/dev/xvda",
                volume_gib=8,
                volume_type="gp3",
                boot_mode="uefi" if architecture == "arm64" else "uefi-preferred",
                imds_support="v2.0",
                family=tuple(f"{stem}/{name}/latest/{word}" for name in names),
                dated=tuple(f"{stem}/{name}/{serial}/{word}" for name in names),
            )


def _red_hat() -> Iterator[Image]:
    for serial in ("20250806", "20250910"):
        for architecture in ("x86_64", "arm64"):
            yield Image(
                name=f"RHEL-9.6.0_HVM-{serial}-{architecture}-0-Hourly2-GP3",
                description="Provided by Red Hat, Inc.",
                owner_id=RED_HAT,
                created_at=_day(serial, hour=12),
                architecture=architecture,
                root_device_name="/dev/sda1",
                volume_gib=10,
                volume_type="gp3",
                platform=("Red Hat Enterprise Linux", "RunInstances:0010"),
                boot_mode="uefi" if architecture == "arm64" else "uefi-preferred",
            )


def _windows() -> Iterator[Image]:
    edition = "Windows_Server-2022-English-Full-Base"
    for day in ("2025.09.10", "2025.10.15"):
        yield Image(
            name=f"{edition}-{day}",
            description="Microsoft Windows Server 2022 Full Locale English AMI provided by Amazon",
            owner_id=WINDOWS,
            created_at=_day(day.replace(".", ""), hour=3),
            architecture="x86_64",
            root_device_name="/dev/sda1",
            volume_gib=30,
            volume_type="gp2",
            platform=("Windows", "RunInstances:0002"),
            instance_stores=tuple(f"xvdc{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"),
            family=(f"/aws/service/ami-windows-latest/{edition}",),
        )


def _day(serial: str, *, hour: int) -> datetime:
    """The moment in the catalogue for a serial number such as 20251006-2257."""
    year, month, day = int(serial[:4]), int(serial[4:6]), int(serial[6:8])
    return datetime(year, month, day, hour, 30, tzinfo=UTC)


_PUBLISHED = (
    *_amazon_linux_2023(),
    *_amazon_linux_2(),
    *_ubuntu(),
    *_debian(),
    *_red_hat(),
    *_windows(),
)
