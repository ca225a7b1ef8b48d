"""The instance families of the built-in catalogue, one declaration each. Data only.

A family declares what its sizes share; `instance_sizes` has what differs between them. Families of
before the fifth generation, other than t2, i3 and p3, are left out: nobody starts new work on them.
Of the first generation there is m1.small, which EC2 starts when a request names no type.
"""

from __future__ import annotations

from dataclasses import dataclass

from sametoken.resources.catalogues.instance_sizes import (
    EBS_5,
    EBS_5A,
    EBS_6,
    EBS_6G,
    EBS_7G,
    EBS_C5,
    EBS_C5A,
    EBS_FLEX,
    NETWORK_5,
    NETWORK_5A,
    NETWORK_6,
    NETWORK_6G,
    NETWORK_7G,
    NETWORK_C5,
    NETWORK_C5A,
    NETWORK_FLEX,
    Ladder,
    Size,
    grown,
    listed,
)

INTEL, AMD, AWS = "Intel", "AMD", "AWS"


@dataclass(frozen=True, slots=True)
class Accelerator:
    """An accelerator card. `kind` says which part of the answer shows it: `gpu` or `inference`."""

    kind: str
    name: str
    manufacturer: str
    memory_mib: int


@dataclass(frozen=True, slots=True)
class Family:
    """The properties that all sizes of a family share.

    `own_volume_slots`: volumes have slots of their own, and do not share 28 slots with interfaces
    and disks. `efa` names the sizes that take an Elastic Fabric Adapter.
    """

    name: str
    manufacturer: str
    clock_ghz: float | None
    sizes: tuple[Size, ...]
    threads_per_core: int = 2
    hypervisor: str = "nitro"
    burstable: bool = False
    dedicated_hosts: bool = True
    own_volume_slots: bool = False
    encrypts_in_transit: bool = False
    hibernates: bool = False
    efa: frozenset[str] = frozenset()
    accelerator: Accelerator | None = None
    current: bool = True


# GiB of memory per vCPU in the compute, general and memory families.
_C, _M, _R = 2, 4, 8

_TO_4 = "large xlarge 2xlarge 4xlarge"
_TO_16 = f"{_TO_4} 8xlarge 12xlarge 16xlarge"
_GEN_5 = f"{_TO_16} 24xlarge metal=96"
_GEN_5A = f"{_TO_16} 24xlarge"
_GEN_C5 = f"{_TO_4} 9xlarge 12xlarge 18xlarge 24xlarge metal=96"
_GEN_6I = f"{_TO_16} 24xlarge 32xlarge metal=128"
_GEN_6A = f"{_TO_16} 24xlarge 32xlarge 48xlarge metal=192"
_GRAVITON = f"medium {_TO_16} metal=64"
_GEN_7I = f"{_TO_16} 24xlarge 48xlarge metal-24xl=96 metal-48xl=192"
_GEN_7A = f"medium {_TO_16} 24xlarge 32xlarge 48xlarge metal-48xl=192"
_GEN_8G = f"medium {_TO_16} 24xlarge 48xlarge metal-24xl=96 metal-48xl=192"

_BURSTABLE = """
    nano    2  0.5  2/2  ~5    43:250
    micro   2  1    2/2  ~5    87:500
    small   2  2    {small}  ~5   174:1000
    medium  2  4    3/6  ~5   347:2000
    large   2  8    3/12 ~5   695:4000
    xlarge  4  16   4/15 ~5   695:4000
    2xlarge 8  32   4/15 ~5   695:4000
"""
_BURST_T3 = (2085, 11800)


def _gen_6i(name: str, memory: int) -> Family:
    return Family(
        name,
        INTEL,
        3.5,
        grown(_GEN_6I, memory, NETWORK_6, EBS_6),
        encrypts_in_transit=True,
        efa=frozenset({"32xlarge", "metal"}),
    )


def _gen_6a(name: str, memory: int) -> Family:
    return Family(
        name,
        AMD,
        3.6,
        grown(_GEN_6A, memory, NETWORK_6, EBS_6),
        encrypts_in_transit=True,
        efa=frozenset({"48xlarge", "metal"}),
    )


def _gen_6g(name: str, memory: int) -> Family:
    sizes = grown(_GRAVITON, memory, NETWORK_6G, EBS_6G)
    return Family(name, AWS, 2.5, sizes, threads_per_core=1)


def _gen_7i(name: str, memory: int) -> Family:
    return Family(
        name,
        INTEL,
        3.2,
        grown(_GEN_7I, memory, NETWORK_6, EBS_6),
        own_volume_slots=True,
        encrypts_in_transit=True,
        efa=frozenset({"48xlarge", "metal-48xl"}),
    )


def _gen_7a(name: str, memory: int) -> Family:
    return Family(
        name,
        AMD,
        3.7,
        grown(_GEN_7A, memory, NETWORK_6, EBS_6),
        threads_per_core=1,
        own_volume_slots=True,
        encrypts_in_transit=True,
        efa=frozenset({"48xlarge", "metal-48xl"}),
    )


def _gen_7g(name: str, memory: int) -> Family:
    return Family(
        name,
        AWS,
        2.6,
        grown(_GRAVITON, memory, NETWORK_7G, EBS_7G),
        threads_per_core=1,
        encrypts_in_transit=True,
        efa=frozenset({"16xlarge", "metal"}),
    )


def _gen_8g(name: str, memory: int) -> Family:
    return Family(
        name,
        AWS,
        2.8,
        grown(_GEN_8G, memory, NETWORK_7G, EBS_7G),
        threads_per_core=1,
        own_volume_slots=True,
        encrypts_in_transit=True,
        efa=frozenset({"24xlarge", "48xlarge", "metal-24xl", "metal-48xl"}),
    )


def _flex(name: str, memory: int) -> Family:
    return Family(
        name,
        INTEL,
        3.2,
        grown(_TO_16, memory, NETWORK_FLEX, EBS_FLEX),
        dedicated_hosts=False,
        own_volume_slots=True,
        encrypts_in_transit=True,
    )


def _gen_5(name: str, memory: int, network: Ladder[str], disks: str = "") -> Family:
    return Family(name, INTEL, 3.1, grown(_GEN_5, memory, network, EBS_5, disks), hibernates=True)


_GENERAL = (
    _gen_5("m5", _M, NETWORK_5),
    _gen_5("m5d", _M, NETWORK_5, "1x75 1x150 1x300 2x300 2x600 2x900 4x600 4x900 4x900"),
    _gen_5("r5", _R, NETWORK_5),
    Family("c5", INTEL, 3.4, grown(_GEN_C5, _C, NETWORK_C5, EBS_C5), hibernates=True),
    Family("m5a", AMD, 2.5, grown(_GEN_5A, _M, NETWORK_5A, EBS_5A), hibernates=True),
    Family("r5a", AMD, 2.5, grown(_GEN_5A, _R, NETWORK_5A, EBS_5A), hibernates=True),
    Family("c5a", AMD, 3.3, grown(_GEN_5A, _C, NETWORK_C5A, EBS_C5A), encrypts_in_transit=True),
    *(
        make(f"{letter}{tail}", memory)
        for tail, make in (
            ("6i", _gen_6i),
            ("6a", _gen_6a),
            ("6g", _gen_6g),
            ("7i", _gen_7i),
            ("7a", _gen_7a),
            ("7g", _gen_7g),
            ("8g", _gen_8g),
        )
        for letter, memory in (("c", _C), ("m", _M), ("r", _R))
    ),
    _flex("c7i-flex", _C),
    _flex("m7i-flex", _M),
)

_T2 = """
    nano    1  0.5  2/2  Low_to_Moderate -
    micro   1  1    2/2  Low_to_Moderate -
    small   1  2    3/4  Low_to_Moderate -
    medium  2  4    3/6  Low_to_Moderate -
    large   2  8    3/12 Low_to_Moderate -
    xlarge  4  16   3/15 Moderate        -
    2xlarge 8  32   3/15 Moderate        -
"""
# EC2 never published the clock rate of m1; its single spinning disk is left out.
_FIRST = Family(
    "m1",
    INTEL,
    None,
    listed("small 1 1.7 2/4 Low -"),
    threads_per_core=1,
    hypervisor="xen",
    dedicated_hosts=False,
    current=False,
)
_BURSTABLES = (
    Family(
        "t2",
        INTEL,
        2.3,
        listed(_T2),
        threads_per_core=1,
        hypervisor="xen",
        burstable=True,
        dedicated_hosts=False,
        hibernates=True,
    ),
    Family(
        "t3",
        INTEL,
        3.1,
        listed(_BURSTABLE.format(small="3/4"), _BURST_T3),
        burstable=True,
        hibernates=True,
    ),
    Family(
        "t3a",
        AMD,
        2.2,
        listed(_BURSTABLE.format(small="2/4"), _BURST_T3),
        burstable=True,
        dedicated_hosts=False,
        hibernates=True,
    ),
    Family(
        "t4g",
        AWS,
        2.5,
        listed(_BURSTABLE.format(small="3/4"), _BURST_T3),
        threads_per_core=1,
        burstable=True,
        dedicated_hosts=False,
    ),
)

_I3 = """
    large    2  15.25  3/10  ~10   425:3000   1x475
    xlarge   4  30.5   4/15  ~10   850:6000   1x950
    2xlarge  8  61     4/15  ~10  1700:12000  1x1900
    4xlarge  16 122    8/30  ~10  3500:16000  2x1900
    8xlarge  32 244    8/30   10  7000:32500  4x1900
    16xlarge 64 488   15/50   25 14000:65000  8x1900
    metal    72 512   15/50   25 19000:80000  8x1900
"""
_I4I = """
    large    2   16    3/10  ~10     650:3600    1x468
    xlarge   4   32    4/15  ~10    1250:6000    1x937
    2xlarge  8   64    4/15  ~12    2500:12000   1x1875
    4xlarge  16  128   8/30  ~25    5000:20000   1x3750
    8xlarge  32  256   8/30  18.75 10000:40000   2x3750
    12xlarge 48  384   8/30  28.12 15000:60000   3x3750
    16xlarge 64  512  15/50  37.5  20000:80000   4x3750
    24xlarge 96  768  15/30  56.25 30000:120000  6x3750
    32xlarge 128 1024 15/50  75    40000:160000  8x3750
    metal    128 1024 15/50  75    40000:160000  8x3750
"""
_P3 = """
    2xlarge  8  61   4/15 ~10  1750:10000 0x0 1
    8xlarge  32 244  8/30  10  7000:40000 0x0 4
    16xlarge 64 488  8/30  25 14000:80000 0x0 8
"""
_G4DN = """
    xlarge   4  16   3/10 ~25   950:3000  1x125 1
    2xlarge  8  32   3/10 ~25  1150:6000  1x225 1
    4xlarge  16 64   3/10 ~25  4750:20000 1x225 1
    8xlarge  32 128  4/15  50  9500:40000 1x900 1
    12xlarge 48 192  8/30  50  9500:40000 1x900 4
    16xlarge 64 256  4/15  50  9500:40000 1x900 1
    metal    96 384 15/50 100 19000:80000 2x900 8
"""
_G5 = """
    xlarge   4   16   4/15 ~10   700:3000  1x250  1
    2xlarge  8   32   4/15 ~10   850:3500  1x450  1
    4xlarge  16  64   8/30 ~25  4750:20000 1x600  1
    8xlarge  32  128  8/30  25 16000:65000 1x900  1
    12xlarge 48  192 15/50  40 16000:65000 1x3800 4
    16xlarge 64  256  8/30  25 16000:65000 1x1900 1
    24xlarge 96  384 15/50  50 19000:80000 1x3800 4
    48xlarge 192 768  7/50 100 19000:80000 2x3800 8
"""
_INF1 = """
    xlarge   4  8    4/10 ~25  1190:4000  0x0 1
    2xlarge  8  16   4/10 ~25  1190:6000  0x0 1
    6xlarge  24 48   8/30  25  4750:20000 0x0 4
    24xlarge 96 192 11/30 100 19000:80000 0x0 16
"""
_INF2 = """
    xlarge   4   16   4/15 ~15  1250:6000   0x0 1
    8xlarge  32  128  8/30 ~25 10000:40000  0x0 1
    24xlarge 96  384 15/50  50 30000:120000 0x0 6
    48xlarge 192 768 15/50 100 60000:240000 0x0 12
"""
_STORAGE_AND_ACCELERATED = (
    Family("i3", INTEL, 2.3, listed(_I3), hypervisor="xen", hibernates=True),
    Family(
        "i4i",
        INTEL,
        3.5,
        listed(_I4I, (10000, 40000)),
        encrypts_in_transit=True,
        efa=frozenset({"32xlarge", "metal"}),
    ),
    Family(
        "p3",
        INTEL,
        2.7,
        listed(_P3),
        hypervisor="xen",
        accelerator=Accelerator("gpu", "V100", "NVIDIA", 16 * 1024),
    ),
    Family(
        "g4dn",
        INTEL,
        2.5,
        listed(_G4DN, (3500, 20000)),
        encrypts_in_transit=True,
        efa=frozenset({"8xlarge", "12xlarge", "16xlarge", "metal"}),
        accelerator=Accelerator("gpu", "T4", "NVIDIA", 16 * 1024),
    ),
    Family(
        "g5",
        AMD,
        3.3,
        listed(_G5, (3500, 15000)),
        dedicated_hosts=False,
        encrypts_in_transit=True,
        efa=frozenset({"8xlarge", "12xlarge", "16xlarge", "24xlarge", "48xlarge"}),
        accelerator=Accelerator("gpu", "A10G", "NVIDIA", 24 * 1024),
    ),
    Family(
        "inf1",
        INTEL,
        2.5,
        listed(_INF1, (4750, 20000)),
        encrypts_in_transit=True,
        efa=frozenset({"24xlarge"}),
        accelerator=Accelerator("inference", "Inferentia", AWS, 8 * 1024),
    ),
    Family(
        "inf2",
        AMD,
        2.95,
        listed(_INF2, (10000, 40000)),
        dedicated_hosts=False,
        encrypts_in_transit=True,
        accelerator=Accelerator("inference", "Inferentia2", AWS, 32 * 1024),
    ),
)

FAMILIES: tuple[Family, ...] = (_FIRST, *_BURSTABLES, *_GENERAL, *_STORAGE_AND_ACCELERATED)
