"""How this process asks the system for memory."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of settings in malloc.h


def keep_freed_memory() -> bool:
    """Let the C library keep large freed blocks for the next tensor instead of returning them to the system.

    By default every large tensor gets fresh pages, which the system clears one by one as they are first written. Long
    windows spend a tenth to a third of a training step on that. The process then holds the most memory it ever used.

    Returns
    -------
    bool
        Whether the C library takes the settings; only glibc has them.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    return bool(library.mallopt(_MMAP_MAX, 0) and library.mallopt(_TRIM_THRESHOLD, -1))
