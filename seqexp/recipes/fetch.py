"""Fetching one file, from a mirror folder or its URL: checked against size and sum, complete or not there at all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from seqexp.core.errors import DataError
from seqexp.core.files import atomic_path, inside, require_writable, sha256_of
from seqexp.core.write_errors import write_error
from seqexp.recipes.download import Patience, Progress, discard, download, drop_links, part_path
from seqexp.recipes.schema import Source

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Fetched:
    """What arrived: sum, size and the address or path it came from."""

    sha256: str
    bytes: int
    origin: str


def _silent(done: int, total: int | None) -> None:
    """Progress that nobody watches."""


def fetch(
    source: Source,
    target: Path,
    mirror: Path | None = None,
    progress: Progress = _silent,
    *,
    patience: Patience | None = None,
) -> Fetched:
    """Bring one source to ``target``: from the mirror if one is given and the recipe names a path in it, else by HTTP.

    Parameters
    ----------
    source : Source
        What to fetch and how to recognise it.
    target : Path
        Where the file belongs; it appears there only when it is complete and verified.
    mirror : Path, optional
        Folder that holds the files of the recipe by their mirror paths.
    progress : callable, optional
        Called with bytes so far and bytes in all (None when unknown).
    patience : Patience, optional
        How long to insist on a server that breaks.

    Raises
    ------
    DataError
        The file is missing (in the mirror, or 404), the host does not answer, the body stays truncated, or size or
        sum differ. ``target`` then does not exist; a broken download stays beside it as ``.NAME.part`` and is resumed
        by the next call.
    """
    require_writable(target.parent)
    if mirror is not None and source.mirror is not None:
        return _from_mirror(source, target, mirror, progress)
    if source.url is None:
        raise DataError(
            f"{source.name} is served nowhere as it is",
            where=source.origin,
            expected=f"a mirror folder that holds {source.mirror}",
            fix="give the folder with --mirror DIR",
        )
    try:
        return _from_server(source, source.url, target, progress, patience=patience or Patience())
    except OSError as error:
        raise write_error(error, target) from error


def _from_mirror(source: Source, target: Path, mirror: Path, progress: Progress) -> Fetched:
    path = inside(mirror, str(source.mirror), is_link_allowed=True)
    if not path.is_file():
        other = "or leave out --mirror to download it" if source.url else "or check the folder given with --mirror"
        raise DataError(
            f"the mirror has no file {source.mirror}", where=mirror, expected=source.name, fix=f"put it there, {other}"
        )
    total, digest, done = path.stat().st_size, hashlib.sha256(), 0
    with atomic_path(target) as temporary:
        with open(path, "rb") as incoming, open(temporary, "wb") as outgoing:
            for block in iter(lambda: incoming.read(_BLOCK), b""):
                outgoing.write(block)
                digest.update(block)
                done += len(block)
                progress(done, total)
        _check(source, done, digest.hexdigest(), str(path))
    return Fetched(digest.hexdigest(), done, str(path))


def _from_server(source: Source, url: str, target: Path, progress: Progress, *, patience: Patience) -> Fetched:
    part = part_path(target)
    drop_links(part)
    was_resumed = part.exists()
    download(url, part, progress, patience, is_checked_later=source.sha256 is not None, expected_bytes=source.bytes)
    size, sha256 = part.stat().st_size, sha256_of(part)
    try:
        _check(source, size, sha256, url)
    except DataError:
        discard(part)
        if not was_resumed:
            raise
        # What an earlier run left may have been another version of the file: once more, from the start.
        return _from_server(source, url, target, progress, patience=patience)
    part.replace(target)
    discard(part)
    return Fetched(sha256, size, url)


def _check(source: Source, size: int, sha256: str, where: str) -> None:
    """Size first: it says more about what went wrong than a sum does."""
    if source.bytes is not None and size != source.bytes:
        what = "truncated" if size < source.bytes else "too long"
        raise DataError(
            f"{source.name} is {what}: {size} bytes", where=where, expected=f"{source.bytes} bytes", fix="get it again"
        )
    if source.sha256 is not None and sha256 != source.sha256:
        raise DataError(
            f"{source.name} has sha256 {sha256}",
            where=where,
            expected=f"sha256 {source.sha256}",
            fix="the file was changed or damaged: take the published one, or prepare another folder from the new one",
        )
