"""Files that are whole or absent: atomic writes, checksums, fingerprints."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import socket
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath, PureWindowsPath

from seqexp.core.errors import ConfigError, DataError
from seqexp.core.links import require_bound
from seqexp.core.manifest import note_file
from seqexp.core.process import is_alive
from seqexp.core.write_errors import settle, write_error, write_errors_of

# Names of half-written files: the process that writes (6 digits), its machine (4), a draw (4); or a draw alone.
_TEMPORARY = re.compile(r"\.(?:(?P<pid>[0-9a-f]{6})(?P<host>[0-9a-f]{4})[0-9a-f]{4}|[0-9a-z_]{8})\.part\..+", re.DOTALL)
_LONGEST = 255 - len(".0123456789abcd.part.")  # bytes of a name that are left for that of the file
_DEPTH = 3  # folders below the owned one in which half-written files are looked for


def _host() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()) & 0xFFFF:04x}"


def temporary_path(path: Path) -> Path:
    """A new hidden sibling of ``path``, with its suffixes, that says which process writes it."""
    name = path.name
    while len(os.fsencode(name)) > _LONGEST:
        name = name[1:]  # the suffixes are at the end
    return path.with_name(f".{os.getpid() & 0xFFFFFF:06x}{_host()}{secrets.token_hex(2)}.part.{name}")


def is_temporary(name: str) -> bool:
    """Whether a file of this name is half-written, or was when its process ended."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_temporaries(folder: Path, skip: Callable[[Path], bool] = lambda path: False) -> None:
    """Remove what processes that were broken off left half-written in a folder that is ours alone.

    Parameters
    ----------
    folder : Path
    skip : callable
        Tells folders below that are not ours.
    """
    for place, folders, files in os.walk(folder):
        here = Path(place)
        for name in [name for name in (*folders, *files) if _is_left_over(name)]:
            path = here / name
            with suppress(OSError):
                path.unlink() if path.is_symlink() or not path.is_dir() else shutil.rmtree(path, ignore_errors=True)
        is_deep = len(here.relative_to(folder).parts) >= _DEPTH
        folders[:] = [] if is_deep else [n for n in folders if not is_temporary(n) and not skip(here / n)]


def _is_left_over(name: str) -> bool:
    found = _TEMPORARY.fullmatch(name)
    if found is None:
        return False
    return not (found["pid"] and found["host"] == _host() and is_alive(int(found["pid"], 16)))


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary sibling of ``path`` that replaces it when the block ends well and vanishes otherwise.

    The sibling keeps the suffixes of ``path``, because writers choose a format by them.
    """
    path = Path(path)
    temporary = temporary_path(path)
    require_bound(path)
    try:
        with write_errors_of(path, temporary):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            settle(temporary)
            note_file(path)
            os.replace(temporary, path)
    finally:
        with suppress(OSError):  # where nothing can be written there is nothing to remove
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_dir(path: str | Path, last: str) -> Iterator[Path]:
    """Give a temporary folder whose files come into the folder ``path`` when the block ends well.

    Where ``path`` does not exist it appears whole. Where it does, files of the same names are replaced and all others
    stay; the file ``last``, by which the folder is known as complete, is taken away first and comes last.
    """
    path = Path(path)
    temporary = temporary_path(path)
    require_bound(path / last)
    try:
        with write_errors_of(path, temporary):
            temporary.mkdir(parents=True)
            yield temporary
            for file in temporary.iterdir():
                settle(file)
            if path.exists():
                move_files(temporary, path, last)
            else:
                os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def require_output(path: str | Path) -> Path:
    """Prove, before any work starts, that a file can be written under this name.

    Raises
    ------
    DataError
        It is a folder, or lies where nothing can be written.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError("the output is a folder", where=path, expected="the name of a file")
    prove_writable(path.parent)
    return path


def refuse_input(path: str | Path, inputs: Iterable[str | Path]) -> None:
    """Refuse to write a file over one that is read, under whatever name or link it goes.

    Raises
    ------
    DataError
        ``path`` is a folder, or one of ``inputs``.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError("the output is a folder", where=path, expected="the name of a file")
    for file in inputs:
        if path.exists() and Path(file).exists() and path.samefile(file):
            raise DataError(f"the output is {Path(file).name}, which is read", where=path, fix="give another --output")


def move_files(source: Path, target: Path, last: str) -> None:
    """Move the files of a folder into another; ``last`` is absent there while any of them is on its way."""
    (target / last).unlink(missing_ok=True)
    names = sorted((path.name for path in source.iterdir()), key=lambda name: (name == last, name))
    for name in names:
        os.replace(source / name, target / name)


def require_writable(folder: str | Path) -> Path:
    """Create ``folder`` if needed and prove that a file can be written there, before any work starts."""
    folder = Path(folder)
    require_bound(folder / "output")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = temporary_path(folder / "probe")
        try:
            probe.write_bytes(b"\0" * 4096)
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(error, folder / "files", f"into {folder.name or folder}") from error
    return folder


def prove_writable(folder: str | Path) -> None:
    """Like :func:`require_writable`, but the folder is made again later: what fails until then leaves none behind."""
    made = [path for path in (Path(folder), *Path(folder).parents) if not path.exists()]
    try:
        require_writable(folder)
    finally:
        for path in made:
            with suppress(OSError):
                path.rmdir()


def inside(folder: str | Path, name: str, *, where: str | Path | None = None, is_link_allowed: bool = False) -> Path:
    """Path of a file that a description names inside a folder.

    Parameters
    ----------
    folder : path
        Folder that must not be left.
    name : str
        Relative path of the file, as written in the description ``where``.
    is_link_allowed : bool
        A link in the folder may lead elsewhere, as in a mirror that its owner made of links; for reading only.

    Raises
    ------
    ConfigError
        The name is empty or absolute, steps out of the folder by ``..`` or a link, or no file can bear it.
    """
    parts = PurePosixPath(name).parts
    is_plain = bool(parts) and not PureWindowsPath(name).anchor and ".." not in parts and "\0" not in name
    if not is_plain or name.endswith("/") or any(len(os.fsencode(part)) > 255 for part in parts):
        shown = name if len(name) < 80 else name[:79] + "…"
        raise ConfigError(
            f"{shown!r} is no name of a file in this folder",
            where=where or folder,
            expected="a relative path below the folder, without .. and with at most 255 bytes between slashes",
        )
    path = Path(folder) / name
    if is_link_allowed:
        return path
    try:
        there: Path | str = path.resolve()
    except (OSError, RuntimeError):
        there = "the end of a ring of links"
    if isinstance(there, str) or not there.is_relative_to(Path(folder).resolve()):
        raise ConfigError(
            f"{name} leads out of the folder by a link",
            where=where or folder,
            expected=f"a file inside {folder}, not at {there}",
            fix="remove the link, or put the file itself there",
        )
    return path


def read_small_text(path: Path, max_bytes: int, expected: str) -> str:
    """Text of a description file, UTF-8 with or without a mark of byte order.

    Raises
    ------
    ConfigError
        There is no such file, it is a folder or a device, cannot be opened, is larger than ``max_bytes`` or no text.
    """
    if not path.exists():
        raise ConfigError("no such file", where=path, expected=expected, fix="check the path")
    if not path.is_file():  # a pipe would be waited for without end
        raise ConfigError("found a folder or a device", where=path, expected=expected, fix="check the path")
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise ConfigError(
                f"{size:,} bytes",
                where=path,
                expected=f"{expected} of at most {max_bytes:,} bytes",
                fix="check the path",
            )
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 text: {error}", where=path, expected=expected) from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", where=path, expected=expected) from error


def sha256_of(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def fingerprint(paths: Iterable[str | Path], *settings: object) -> str:
    """Short identity of a set of inputs: names, sizes and contents of files, and the settings that shape them."""
    digest = hashlib.sha256()
    for path in sorted(Path(p) for p in paths):
        digest.update(f"{path.name}\0{path.stat().st_size}\0{sha256_of(path)}\0".encode())
    for setting in settings:
        digest.update(repr(setting).encode() + b"\0")
    return digest.hexdigest()[:16]
