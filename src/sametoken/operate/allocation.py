"""How this process returns the memory that it has freed, so that a large answer leaves none behind.

A list of a thousand instances is megabytes, held for a moment. The C library gives a block of that
size back to the system at once, but after the first few it begins to keep such blocks, and each
thread keeps its own. Both habits can be set, with glibc alone; elsewhere memory stays as it is.
"""

from __future__ import annotations

import ctypes

# Names of `mallopt`, from glibc's malloc.h.
_MMAP_FROM, _ARENAS_AT_MOST = -3, -8
# A block from that size on is the system's own, and goes back to it when it is freed.
_OWN_BYTES = 1024 * 1024
# Python's lock lets one thread allocate at a time; a second arena is for those that hold it not.
_ARENAS = 2


def return_freed_memory() -> bool:
    """Set both, for this process and those it forks; False where the C library has no such."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_FROM, _OWN_BYTES)) and bool(mallopt(_ARENAS_AT_MOST, _ARENAS))
