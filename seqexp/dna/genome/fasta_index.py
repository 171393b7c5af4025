"""The index of a FASTA: found and compared with the file, or built beside it, or in a cache folder.

A time stamp does not tell whether an index belongs to a file: copies and archives keep old stamps. So every record of
an index is looked up in the file: its header line ends where the sequence starts, its last line ends where the next
header or the end of the file is. What lies between is compared when it is read: lines end where the index says.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

from pyfaidx import Faidx, FastaIndexingError

from seqexp.core.errors import DataError
from seqexp.core.files import atomic_path, require_writable
from seqexp.dna.genome.fasta_bytes import BgzipBytes, FastaBytes

# What pyfaidx and Bio.bgzf raise on a damaged FASTA.
_READ_ERRORS = (FastaIndexingError, OSError, ValueError, RuntimeError, IndexError, AssertionError)
_MAX_HEADER_BYTES = 1 << 20
_NEWLINES = b"\r\n"


class _OtherFileError(Exception):
    """The index does not belong to the text; says where they differ."""


@dataclass(frozen=True, slots=True)
class Record:
    """A sequence in the text: its length, where it starts, and letters and bytes per line."""

    length: int
    offset: int
    line_bases: int
    line_bytes: int

    def place(self, base: int) -> int:
        """Offset in the text of a base."""
        return self.offset + base // self.line_bases * self.line_bytes + base % self.line_bases

    @property
    def end(self) -> int:
        """Offset behind the last base."""
        return self.place(self.length - 1) + 1 if self.length else self.offset


@dataclass(frozen=True)
class FastaIndex:
    """The records of a FASTA by name, in the order of the file, and what there is to tell about the index."""

    path: Path
    records: dict[str, Record]
    note: str


def find_or_build_index(text: FastaBytes) -> FastaIndex:
    """An index that was compared with the file: the one beside it, one in the cache, or a new one.

    An index beside the file that does not belong to it is replaced, or left where the folder is read-only, with a
    warning.

    Raises
    ------
    DataError
        The FASTA cannot be indexed (no sequence, uneven lines, duplicate names, corrupt block).
    """
    fasta, note = text.path, ""
    beside, cached = (path.with_name(path.name + ".fai") for path in (fasta, _cached_name(fasta)))
    for fai in (beside, cached):
        if fai.exists():
            try:
                return FastaIndex(fai, _verified(fai, text), note or fai.name)
            except _OtherFileError as error:
                note = f"{fai.name} does not belong to the FASTA and was not used: {error}"
    if note:
        warnings.warn(f"{fasta}: {note}", stacklevel=3)
    for folder, fai in ((fasta.parent, beside), (cached.parent, cached)):
        if _is_writable(folder):
            return FastaIndex(fai, _built(fai, text), note or f"{fai.name} built")
    with tempfile.TemporaryDirectory() as folder_name:
        fai = Path(folder_name) / beside.name
        return FastaIndex(fai, _built(fai, text), note or "built, not kept: no folder for it can be written")


def cache_folder() -> Path:
    """Folder for the indexes of FASTA files in read-only folders: ``$XDG_CACHE_HOME/seqexp/fasta_index``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seqexp" / "fasta_index"


def _cached_name(fasta: Path) -> Path:
    resolved = fasta.resolve()
    identity = hashlib.sha256(f"{resolved}\0{fasta.stat().st_size}".encode()).hexdigest()[:16]
    return cache_folder() / f"{identity}.{fasta.name}"


def _is_writable(folder: Path) -> bool:
    try:
        require_writable(folder)
    except DataError:
        return False
    return True


def _built(fai: Path, text: FastaBytes) -> dict[str, Record]:
    """Build to a temporary name first, so that workers starting together never read half an index."""
    is_bgzip = isinstance(text, BgzipBytes)
    try:
        with atomic_path(fai) as part, tempfile.TemporaryDirectory() as folder:
            # pyfaidx wants to write where the blocks lie, too; that is read from the blocks themselves here.
            blocks = str(Path(folder) / "blocks.gzi") if is_bgzip else None
            Faidx(str(text.path), indexname=str(part), gzi_indexname=blocks).close()
            return _verified(part, text)
    except (*_READ_ERRORS, _OtherFileError) as error:
        raise DataError(
            f"the FASTA cannot be indexed: {error}",
            where=text.path,
            expected="sequences of even line length under unique names"
            + (", in whole bgzip blocks" if is_bgzip else ""),
            fix="download or write the file again",
        ) from error


def _verified(fai: Path, text: FastaBytes) -> dict[str, Record]:
    """Records of an index, or an error that says where it differs from the text."""
    records = _read(fai)
    place = 0
    for name, record in sorted(records.items(), key=lambda item: item[1].offset):
        before = text.read(place, record.offset - place) if record.offset - place <= _MAX_HEADER_BYTES else b""
        _require_header(name, before, is_first=place == 0)
        _require_lines(name, record, text)
        place = record.end
    rest = text.num_bytes - place
    if rest < 0 or rest > _MAX_HEADER_BYTES or text.read(place, rest).strip(_NEWLINES):
        raise _OtherFileError(f"its last record ends at byte {place}, the text at byte {text.num_bytes}")
    return records


def _require_header(name: str, before: bytes, is_first: bool) -> None:
    """What lies between the end of a record and the next must be the end of a line and one header line."""
    lines = before.splitlines()
    if is_first:
        lines = [line for line in lines if not line.startswith(b";")]
    lines = [line for line in lines if line.strip()]
    is_whole = before.endswith(b"\n") and (is_first or before[:1] in (b"\r", b"\n"))
    words = lines[0][1:].split() if len(lines) == 1 and lines[0].startswith(b">") else []
    if not is_whole or not words or words[0].decode(errors="replace") != name:
        raise _OtherFileError(f"the header of {name} is not where the index says")


def _require_lines(name: str, record: Record, text: FastaBytes) -> None:
    """The first line of a record must be as long as the index says, and its last base must be one."""
    if not record.length:
        return
    first = text.read(record.offset, record.line_bytes) if record.length > record.line_bases else b""
    ending = first[record.line_bases :]
    last = text.read(record.end - 1, 1)
    is_wrong = first and (
        ending not in (b"\n", b"\r\n") or first[: record.line_bases].strip(_NEWLINES) != first[: record.line_bases]
    )
    if is_wrong or last in (b"", b"\r", b"\n"):
        raise _OtherFileError(f"the lines of {name} are not as long as the index says")


def _read(fai: Path) -> dict[str, Record]:
    records: dict[str, Record] = {}
    try:
        for line in fai.read_text(encoding="utf-8").splitlines():
            name, *numbers = line.split("\t")
            record = Record(*map(int, numbers))
            is_possible = min(map(int, numbers)) >= 0 and (
                not record.length or 0 < record.line_bases <= record.line_bytes <= record.line_bases + 2
            )
            if not is_possible or name in records:
                raise _OtherFileError(f"the line of {name!r} is wrong or there twice")
            records[name] = record
    except (OSError, ValueError, TypeError) as error:
        raise _OtherFileError(f"it cannot be read: {error}") from error
    if not records:
        raise _OtherFileError("it is empty")
    return records
