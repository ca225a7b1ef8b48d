"""Holding processes to a share of one CPU, where the system allows it: Linux control groups.

With it two nodes can be compared with one on a machine whose CPUs one node already fills.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# PERIOD_US is short, so that a node that has used up its share is back before its locks are missed.
PERIOD_US = 10_000
_V1 = Path("/sys/fs/cgroup/cpu")
_V2 = Path("/sys/fs/cgroup")


class NoShares(Exception):
    """Raised where this system does not allow to set a share."""


@contextmanager
def held_to(pids: Sequence[int], share: float) -> Iterator[None]:
    """Give the processes, with all their threads, at most `share` of one CPU together.

    Raises `NoShares` where the system, or our rights on it, do not allow that.
    """
    root = _V1 if (_V1 / "cpu.cfs_quota_us").exists() else _V2
    group = root / f"sametoken-{os.getpid()}-{pids[0]}"
    quota = round(share * PERIOD_US)
    try:
        group.mkdir()
    except OSError as error:
        raise NoShares(str(error)) from error
    try:
        try:
            if root == _V1:
                (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (group / "cpu.cfs_quota_us").write_text(str(quota))
            else:
                (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
            for pid in pids:
                (group / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            raise NoShares(str(error)) from error
        yield
        for pid in pids:
            (root / "cgroup.procs").write_text(str(pid))
    finally:
        group.rmdir()
