"""How this process asks the system for memory."""

from __future__ import annotations

import ctypes
import platform
import re
from pathlib import Path

LONGEST = 131_072  # tokens
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of settings in malloc.h


def keep_freed_memory(num_tokens: int = 0) -> bool:
    """Let the C library keep large freed blocks for the next tensor instead of returning them to the system.

    By default every large tensor gets fresh pages, which the system clears one by one as they are first written. Long
    sequences spend a tenth to a third of a training step on that. The process then holds the most memory it ever used,
    and blocks that do not fit into what was freed add to it: on the longest sequences, whose steps take minutes anyway,
    that would double the memory, so there nothing is changed.

    Parameters
    ----------
    num_tokens : int
        Length of the sequences that will be worked on; above :data:`LONGEST` the function does nothing.

    Returns
    -------
    bool
        Whether the setting was made; only glibc has it.
    """
    if num_tokens > LONGEST or platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    return bool(library.mallopt(_MMAP_MAX, 0) and library.mallopt(_TRIM_THRESHOLD, -1))


def peak_resident_bytes() -> int:
    """Most memory that this process has held.

    Not ``ru_maxrss`` where it can be avoided: on Linux that begins with the peak of the process which started this one.
    """
    try:
        status = Path("/proc/self/status").read_text()
        return 1024 * int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[1])  # type: ignore[index]
    except (OSError, TypeError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if platform.system() == "Darwin" else 1024 * peak
