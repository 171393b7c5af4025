"""What commands wrote into a folder, so that replacing it takes no file of anybody else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from seqexp.core.write_errors import write_error

MANIFEST = ".seqexp.files"
_recorded: list[Path] = []  # folders, resolved


@contextmanager
def record_files(folder: Path) -> Iterator[None]:
    """Within the block, files that :func:`seqexp.core.files.atomic_path` brings into the folder are noted there."""
    place = folder.resolve()
    _recorded.append(place)
    try:
        yield
    finally:
        _recorded.remove(place)


def note_file(path: Path) -> None:
    """Note a file, before it appears, in the manifest of every recorded folder that it lies in."""
    for folder in set(_recorded):
        place = path.parent.resolve() / path.name
        if place.is_relative_to(folder) and place.name != MANIFEST:
            name = place.relative_to(folder).as_posix()
            if name not in _names(folder):
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
                try:
                    with open(os.open(folder / MANIFEST, flags, 0o644), "a", encoding="utf-8") as handle:
                        handle.write(f"\n{name}\n")  # on a line of its own, even after one that was broken off
                except OSError as error:
                    raise write_error(error, folder / MANIFEST) from error


def written_files(folder: Path) -> list[Path]:
    """Files noted in a folder's manifest that exist. Entries that lead out of the folder are not ours."""
    place = folder.resolve()
    paths = [folder / name for name in _names(folder)]
    return [
        path
        for path in paths
        if (path.is_file() or path.is_symlink()) and (path.parent.resolve() / path.name).is_relative_to(place)
    ]


def remove_files(folder: Path, paths: list[Path]) -> None:
    """Remove files of a folder, and folders below it that are empty then."""
    for path in paths:
        path.unlink(missing_ok=True)
    for parent in sorted({p for path in paths for p in path.parents if folder in p.parents}, reverse=True):
        with suppress(OSError):  # files of others lie there
            os.rmdir(parent)


def _names(folder: Path) -> list[str]:
    try:
        lines = (folder / MANIFEST).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return list(dict.fromkeys(line for line in lines if line and not Path(line).is_absolute()))
