"""Memory that was freed goes back to the system."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Makes large blocks in a thread and frees them in the order in which they were made; prints how
# many MB of them the process still has.
_PROGRAM = """
import sys, threading, resource, os
from sametoken.operate.allocation import return_freed_memory
if sys.argv[1] == "set":
    assert return_freed_memory()
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
def work():
    for _ in range(3):
        blocks = [b"x" * (2 << 20) for _ in range(20)]
        keeps.append(bytes(3000))
        del blocks
keeps = []
before = resident()
for _ in range(3):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_large_blocks_leave_nothing_behind() -> None:
    def left(how: str) -> float:
        run = [sys.executable, "-c", _PROGRAM, how]
        return float(subprocess.run(run, check=True, capture_output=True, text=True).stdout)

    assert left("set") < 2.0 < left("as it is")
