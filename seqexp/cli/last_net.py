"""What the machine refuses and no module told by itself, such as room, memory or a pipe: one message, no traceback.

Errors of the program itself are none of these, and keep their traceback.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import tempfile
from contextlib import suppress

from seqexp.core.errors import SeqexpError

# A worker of torch's DataLoader hands its error on as text: a traceback, then the error itself.
_FROM_WORKER = re.compile(
    r"Caught \w+ in DataLoader worker process.*\n(?:[\w.]+\.)?\w*(?:Error|Exception): ", re.DOTALL
)
_NO_MEMORY = re.compile(r"can't allocate memory|out of memory", re.IGNORECASE)
_NO_SHARED = re.compile(r"shared memory|unable to (?:write to|resize|open) (?:file|shared)|DataLoader worker .*killed")
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def as_message(error: BaseException) -> SeqexpError | None:
    """The one message of what the machine refused, or of a mistake that a worker handed on; None for anything else."""
    text = _FROM_WORKER.sub("", str(error)).strip()
    if isinstance(error, SeqexpError):
        return error if text == str(error) else SeqexpError(text)
    if isinstance(error, OSError):
        return _of_system(error, text)
    if isinstance(error, RuntimeError) and _NO_SHARED.search(text):
        return SeqexpError(
            f"a worker that reads data was stopped: {text.splitlines()[0]}",
            where="/dev/shm, or the memory of the machine",
            expected="room for the batches that workers prepare",
            fix="--data.init_args.num_workers 0, smaller batches, or more shared memory",
        )
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _NO_MEMORY.search(text)):
        return SeqexpError(
            "not enough memory" + (f": {text.splitlines()[0]}" if text else ""),
            expected="a machine, or a device, that holds the data and a step of training",
            fix="a smaller batch or window (seqexp estimate tells what a step takes), or a larger machine",
        )
    return None


def _of_system(error: OSError, text: str) -> SeqexpError:
    where = " and ".join(str(name) for name in (error.filename, error.filename2) if name is not None) or None
    if error.errno in _NO_ROOM:
        return SeqexpError(
            f"cannot write: {os.strerror(error.errno)}",
            where=where,
            expected=f"room in the folders that are written and in that of temporary files ({_temporary()})",
            fix="free some space, choose another output folder, or set TMPDIR to one with room",
        )
    if "No usable temporary directory" in text:
        return SeqexpError(
            "no folder for temporary files can be written",
            where=text.partition(" in ")[2] or None,
            expected="one of these with free space and write permission",
            fix="set TMPDIR to such a folder",
        )
    reason = os.strerror(error.errno) if error.errno else text or type(error).__name__
    return SeqexpError(
        f"the system refused: {reason}" if error.errno else reason,
        where=where,
        expected="files and folders that can be read and written",
        fix="check path, permissions and free space",
    )


def _temporary() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:
        return f"TMPDIR={os.environ.get('TMPDIR', '')}"


def close_output() -> None:
    """After a reader has gone away or the disk behind the output is full: let Python end without a second complaint."""
    for stream in filter(None, (sys.stdout, sys.stderr)):  # none where it was closed from the start
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def tell(text: str) -> None:
    """Print on standard error, if anybody listens."""
    with suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)
