"""The index files of a FASTA: found, or built beside it, or in a cache folder when its own folder is read-only."""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from contextlib import nullcontext
from pathlib import Path

from pyfaidx import Faidx, FastaIndexingError

from seqexp.core.errors import DataError
from seqexp.core.files import atomic_path, require_writable

# The empty block that ends every bgzip file; without it the file was cut short.
BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
# What a damaged FASTA makes pyfaidx, Bio.bgzf and zlib raise.
READ_ERRORS = (
    FastaIndexingError,
    OSError,
    ValueError,
    RuntimeError,
    IndexError,
    AssertionError,
    zlib.error,
    struct.error,
)
_GZIP, _BGZF_EXTRA = b"\x1f\x8b", b"BC\x02\x00"


def is_bgzip(path: Path) -> bool:
    """True for a bgzip file, False for plain text.

    Raises
    ------
    DataError
        The file is missing, empty, compressed in another way, named against its content, or cut short.
    """
    try:
        with open(path, "rb") as handle:
            head = handle.read(18)
            handle.seek(max(0, path.stat().st_size - len(BGZF_END)))
            tail = handle.read()
    except OSError as error:
        raise DataError(f"cannot read the FASTA: {error.strerror}", where=path, fix="check the path") from error
    has_suffix = path.name.lower().endswith((".gz", ".bgz"))
    if not head:
        raise DataError("the FASTA is empty", where=path, expected="sequences, each after a '>' line")
    if not head.startswith(_GZIP):
        if has_suffix:
            raise DataError(
                "the name ends in .gz but the content is not compressed", where=path, fix="rename it to .fa"
            )
        return False
    if head[12:16] != _BGZF_EXTRA or not has_suffix:
        raise DataError(
            "the FASTA is compressed, but not with bgzip under a name ending in .gz",
            where=path,
            expected="plain text, or bgzip, which allows random access",
            fix=f"gunzip -c {path.name} | bgzip > genome.fa.gz",
        )
    if tail != BGZF_END:
        raise DataError(
            "the bgzip FASTA is corrupt: its end-of-file block is missing",
            where=path,
            expected="a complete file",
            fix="the file was cut short; download or compress it again",
        )
    return True


def find_or_build_index(fasta: Path, is_compressed: bool) -> tuple[Path, Path | None]:
    """Paths of a fresh ``.fai`` and, for bgzip, a fresh ``.gzi``.

    Raises
    ------
    DataError
        The FASTA cannot be indexed (no sequence, uneven lines, duplicate names, corrupt block).
    """
    modified = fasta.stat().st_mtime_ns
    beside, cached = fasta, _cached_name(fasta)
    for base in (beside, cached):
        fai, gzi = _index_paths(base, is_compressed)
        if all(path.exists() and path.stat().st_mtime_ns >= modified for path in (fai, gzi) if path):
            return fai, gzi
    base = beside if _is_writable(fasta.parent) else cached
    fai, gzi = _index_paths(base, is_compressed)
    _build(fasta, fai, gzi)
    return fai, gzi


def cache_folder() -> Path:
    """Folder for the indexes of FASTA files in read-only folders: ``$XDG_CACHE_HOME/seqexp/fasta_index``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seqexp" / "fasta_index"


def _cached_name(fasta: Path) -> Path:
    resolved = fasta.resolve()
    identity = hashlib.sha256(f"{resolved}\0{fasta.stat().st_size}".encode()).hexdigest()[:16]
    return cache_folder() / f"{identity}.{fasta.name}"


def _index_paths(base: Path, is_compressed: bool) -> tuple[Path, Path | None]:
    return base.with_name(base.name + ".fai"), base.with_name(base.name + ".gzi") if is_compressed else None


def _is_writable(folder: Path) -> bool:
    try:
        require_writable(folder)
    except DataError:
        return False
    return True


def _build(fasta: Path, fai: Path, gzi: Path | None) -> None:
    """Build to temporary names first, so that workers starting together never read half an index."""
    with atomic_path(fai) as fai_part, atomic_path(gzi) if gzi else nullcontext() as gzi_part:
        try:
            Faidx(str(fasta), indexname=str(fai_part), gzi_indexname=gzi_part and str(gzi_part)).close()
        except READ_ERRORS as error:
            raise DataError(
                f"the FASTA cannot be indexed: {error}",
                where=fasta,
                expected="sequences of even line length under unique names"
                + (", in whole bgzip blocks" if gzi else ""),
                fix="download or write the file again",
            ) from error
