"""What hinders writing, as one message, whatever the library that wrote makes of it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqexp.core.errors import DataError, SeqexpError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_ONLY_WRITING = {*_NO_ROOM, errno.EROFS}  # reading never ends in these
_PROBE = b"\0" * (1 << 16)


def is_of_writing(error: OSError) -> bool:
    """Whether the system refused to write, where it names no file."""
    return error.filename is None and error.errno in _ONLY_WRITING


def write_error(error: OSError, path: Path, what: str | None = None) -> DataError:
    """Turn an operating-system refusal to write ``path`` (or ``what`` lies there) into the one message a user sees."""
    hindrance = _hindrance(path.parent)
    reason = hindrance or (os.strerror(error.errno) if error.errno else str(error))
    expected, fix = "a folder with free space and write permission", "free some space or choose another output folder"
    if hindrance:
        expected, fix = "a folder, or the name of a new one", "choose another output folder"
    elif error.errno in _NO_ROOM:
        expected = "room for the file" + (" under the limit on file sizes (ulimit -f)" * (error.errno == errno.EFBIG))
    elif error.errno == errno.EISDIR:
        expected, fix = "the name of a file", f"remove the folder {path.name}, or choose another name"
    elif error.errno == errno.ENAMETOOLONG:
        expected, fix = "a name of at most 255 bytes in a path of at most 4,096", "choose a shorter name"
    elif error.errno == errno.ELOOP:
        expected, fix = "a file of its own, not a link", "remove the link"
    elif error.errno in (errno.EMFILE, errno.ENFILE):
        expected, fix = "fewer open files", "raise the limit (ulimit -n)"
    return DataError(f"cannot write {what or path.name}: {reason}", where=path.parent, expected=expected, fix=fix)


@contextmanager
def write_errors_of(path: Path, temporary: Path) -> Iterator[None]:
    """Within the block, whatever fails because ``temporary`` cannot be written, or not become ``path``, is one message.

    Libraries tell of a full disk as RuntimeError (torch, HDF5), as OSError without a number (numpy), or by chance of
    something else. So where they fail, the disk itself is asked. All other errors pass as they are.

    Raises
    ------
    DataError
        Instead of what a refusal to write raised.
    """
    try:
        yield
    except (SeqexpError, MemoryError):
        raise
    except Exception as error:
        refusal = _refusal(error, path, temporary)
        if refusal is None:
            raise
        raise write_error(refusal, path) from error


def settle(path: Path) -> None:
    """Wait until a file lies on the disk: some systems say only then that it has no room there.

    Raises
    ------
    OSError
        There is none, or the disk failed.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno in (*_NO_ROOM, errno.EIO):  # others: the file system knows no such call
            raise
    finally:
        os.close(handle)


def _refusal(error: BaseException, path: Path, temporary: Path) -> OSError | None:
    """The system's refusal behind an error; None where something else was wrong."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    for one in chain:
        if isinstance(one, OSError) and one.errno:
            if is_of_writing(one):
                return one
            if isinstance(one.filename, str | Path) and _is_ours(Path(one.filename), path, temporary):
                return one
    return find_refusal(temporary)


def _is_ours(file: Path, path: Path, temporary: Path) -> bool:
    return file in (path, *path.parents) or file.is_relative_to(temporary)


def find_refusal(temporary: Path) -> OSError | None:
    """Why nothing more can be written into a file or folder that is thrown away; None where it can."""
    file = temporary / ".probe" if temporary.is_dir() else temporary
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.lseek(handle, 0, os.SEEK_END)
            left = len(_PROBE)
            while left:
                left -= os.write(handle, _PROBE[:left])
        finally:
            os.close(handle)
        settle(file)
    except OSError as refusal:
        return refusal
    return None


def _hindrance(folder: Path) -> str | None:
    """What stands in the way of a folder: a file, or a link that leads nowhere."""
    for place in (*reversed(folder.absolute().parents), folder.absolute()):
        try:
            if place.is_dir() or not os.path.lexists(place):
                continue
        except OSError:  # no name that the system knows
            return None
        if place.is_symlink():
            return f"{place} is a link that leads to no folder ({os.readlink(place)})"
        return f"{place} is a file, not a folder"
    return None
