"""One process at a time in a folder: a lock that names its holder, and is recognised when the holder is gone."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from seqexp.core.errors import DataError
from seqexp.core.files import remove_temporaries, require_writable
from seqexp.core.links import bound_to
from seqexp.core.process import Process
from seqexp.core.write_errors import write_error

LOCK = ".seqexp.lock"
_PAUSE_S = 0.5
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # what a link leads to is never written over
_held: dict[tuple[int, Path], int] = {}  # by process, because a forked child holds nothing


@contextmanager
def own_folder(folder: str | Path, is_patient: bool = False) -> Iterator[Path]:
    """Be the only process that writes in a folder; what broken off ones left half-written there is removed.

    The lock lies in the folder as ``.seqexp.lock`` and names host, process and its start. The lock of a process that
    ended without removing it is taken over, which is told. The same process may own a folder several times over.

    Parameters
    ----------
    folder : path
        Made if need be, and removed again if nothing came into it.
    is_patient : bool
        Wait for another process, instead of an error; for caches that many runs share.

    Raises
    ------
    DataError
        Another process works there, or the folder cannot be written.
    """
    folder = Path(folder)
    is_new = not folder.exists()
    place = require_writable(folder).resolve()
    key = (os.getpid(), place)
    if not _held.get(key):
        _take(place, is_patient)
        remove_temporaries(place, skip=lambda path: (path / LOCK).exists())
    _held[key] = _held.get(key, 0) + 1
    try:
        with bound_to(folder):
            yield folder
    finally:
        _held[key] -= 1
        if not _held[key]:
            del _held[key]
            _release(place)
            if is_new:
                with suppress(OSError):  # something lies in it: it stays
                    place.rmdir()


def require_free(folder: Path) -> None:
    """Refuse a folder that another process works in now; changes nothing.

    Raises
    ------
    DataError
        Names that process.
    """
    holder = _read(folder / LOCK)
    if holder is not None and holder.is_running and not holder.is_current:
        raise _busy(folder, holder)


def clear_stale(folder: Path) -> None:
    """Remove the lock of a process that has ended, and what it left half-written; for folders that are only read."""
    path = folder / LOCK
    holder = _read(path)
    if path.exists() and (holder is None or not holder.is_running):
        with suppress(DataError), own_folder(folder):  # where nothing can be written, it disturbs no reader
            pass


def _take(folder: Path, is_patient: bool) -> None:
    """Write the lock, once nobody else holds it."""
    is_told = False
    while True:
        holder = _claim(folder / LOCK)
        if holder is None:
            return
        if not is_patient or holder.is_elsewhere:
            raise _busy(folder, holder)
        if not is_told:
            print(f"waiting for {holder.render()} in {folder}", file=sys.stderr, flush=True)
            is_told = True
        time.sleep(_PAUSE_S)


def _busy(folder: Path, holder: Process) -> DataError:
    fix = "wait until it has ended, or choose another folder"
    if holder.is_elsewhere:
        fix = f"wait until it has ended; if it was broken off there, remove {folder / LOCK}"
    return DataError(
        f"another process works in this folder: {holder.render()}", where=folder, expected="one at a time", fix=fix
    )


def _claim(path: Path) -> Process | None:
    """Become the holder, or name the present one. Reading and writing are one act, by a lock of the system."""
    try:
        with _guarded(path) as handle:
            text = os.pread(handle, 1 << 16, 0)
            holder = _parse(text)
            if holder is not None and holder.is_running and not holder.is_current:
                return holder
            if holder is not None and not holder.is_current:
                print(
                    f"{path.parent}: took over the lock of {holder.render()}, which has ended",
                    file=sys.stderr,
                    flush=True,
                )
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(Process.current().as_dict(), indent=1).encode(), 0)
    except OSError as error:
        raise write_error(error, path) from error
    return None


def _release(folder: Path) -> None:
    path = folder / LOCK
    with suppress(OSError), _guarded(path) as handle:
        holder = _parse(os.pread(handle, 1 << 16, 0))
        if holder is None or holder.is_current:
            path.unlink()


@contextmanager
def _guarded(path: Path) -> Iterator[int]:
    """The open lock file, which nobody else reads or writes within the block; the system lets go when we die."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | _NO_LINK, 0o644)
        try:
            _flock(handle)
            with suppress(FileNotFoundError):  # removed by the holder before us: begin again with a new file
                if os.path.samestat(os.fstat(handle), os.stat(path)):
                    yield handle
                    return
        finally:
            os.close(handle)


def _flock(handle: int) -> None:
    with suppress(ImportError, OSError):  # no POSIX system, or a file system without such locks
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX)


def _read(path: Path) -> Process | None:
    try:
        return _parse(path.read_bytes())
    except OSError:
        return None


def _parse(content: bytes) -> Process | None:
    """Holder named in a lock; None where a process died while it wrote its name."""
    try:
        return Process.read(json.loads(content))
    except (ValueError, RecursionError):
        return None
