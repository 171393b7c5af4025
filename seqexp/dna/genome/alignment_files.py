"""Files of aligned reads: which format the content has, and which chromosomes the reads lie on."""

from __future__ import annotations

import csv
import gzip
import os
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

from seqexp.core.errors import DataError

FORMATS = ("AUTO", "BED", "BEDPE", "BAM", "BAMPE", "FRAG", "SAM")
FRAGMENTS = ("BEDPE", "BAMPE", "FRAG")
_EXPECTED = "BAM, SAM, BED of reads with strands, BEDPE (chrom, start, end) or fragments, plain or gzip"
_DAMAGE = (OSError, EOFError, zlib.error, struct.error, UnicodeDecodeError)
_BARCODE = re.compile(r"(.*[^A-Za-z])?[ACGTN]{4,}([^A-Za-z].*)?")
_NUM_SAMPLED = 1000
_CHUNK_ROWS = 2_000_000


@dataclass(frozen=True)
class AlignmentFacts:
    """What a file of alignments holds.

    Attributes
    ----------
    sizes : dict of str to int
        Chromosomes with reads, or all of the header of BAM and SAM: length by the header, else the greatest end.
    num_reads : int, optional
        Records; None for BAM and SAM, which are not read through.
    """

    sizes: dict[str, int]
    num_reads: int | None


def detect_format(path: Path) -> str:
    """Format of a file of alignments, in MACS3's words, by its content.

    MACS3's own AUTO takes a BEDPE for single reads that all lie on the forward strand, so it is not asked.

    Returns
    -------
    str
        BAM, BAMPE (BAM of paired reads), SAM, BED (a strand in column 6), FRAG (barcode and count in columns 4 and 5)
        or BEDPE.

    Raises
    ------
    DataError
        No such file, a damaged or empty one, or none of these formats; CRAM and the BEDPE of bedtools among them.
    """
    try:
        with _open(path) as handle:
            head = handle.read(4)
            if head == b"BAM\1":
                return "BAMPE" if _share_paired(handle) == 1 else "BAM"
            if head == b"CRAM":
                raise DataError("MACS3 reads no CRAM", where=path, expected=_EXPECTED, fix="samtools view -b")
            handle.seek(0)
            found = _text_format(handle, path)
            _require_last_line_end(handle, path)
            return found
    except FileNotFoundError as error:
        raise DataError("no such file", where=path, expected="alignments: " + _EXPECTED) from error
    except _DAMAGE as error:
        raise DataError(f"the alignments cannot be read: {error}", where=path, expected=_EXPECTED) from error


def _require_last_line_end(handle: IO[bytes], path: Path) -> None:
    """MACS3 reads a text without an end of its last line for ever; a file that was cut ends so."""
    handle.seek(-1, os.SEEK_END)
    if handle.read(1) != b"\n":
        raise DataError(
            "the last line has no end: the file was cut, or written without a last line break",
            where=path,
            expected="a whole file, every line ended",
            fix="fetch it again, or if it is whole: echo >> FILE (of a gzip: zcat FILE | sed -e '$a\\' | gzip > NEW)",
        )


def has_pairs(path: Path) -> bool:
    """Whether any of the first records of a BAM is half of a pair."""
    with _open(path) as handle:
        handle.read(4)
        return _share_paired(handle) > 0


def read_facts(path: Path, file_format: str) -> AlignmentFacts:
    """Chromosomes of a file of alignments; texts of intervals are read through, BAM and SAM to their header's end.

    Raises
    ------
    DataError
        The file is damaged, a position is no whole number, or an interval is empty, negative or turned round.
    """
    try:
        with _open(path) as handle:
            if file_format in ("BAM", "BAMPE"):
                return AlignmentFacts(_bam_header(handle, path), None)
            if file_format == "SAM":
                return AlignmentFacts(_sam_header(handle, path), None)
            return _text_facts(handle, path)
    except FileNotFoundError as error:
        raise DataError("no such file", where=path, expected="alignments: " + _EXPECTED) from error
    except _DAMAGE as error:
        raise DataError(f"the alignments cannot be read: {error}", where=path, expected=_EXPECTED) from error


def _open(path: Path) -> IO[bytes]:
    if path.exists() and not path.is_file():  # MACS3 reads a file twice, and a pipe could wait for ever
        raise DataError("this is no regular file", where=path, expected=_EXPECTED)
    with open(path, "rb") as probe:
        is_gzip = probe.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if is_gzip else open(path, "rb")  # type: ignore[return-value]


def _text_format(handle: IO[bytes], path: Path) -> str:
    lines = list(islice(_data_lines(handle), _NUM_SAMPLED))
    if not lines:
        raise DataError("no alignment in the file", where=path, expected=_EXPECTED)
    line = lines[0]
    cells = line.split("\t")
    if line.startswith(("@HD\t", "@SQ\t", "@PG\t", "@RG\t", "@CO\t")):
        return "SAM"
    if len(cells) >= 11 and cells[1].isdigit() and cells[3].isdigit() and cells[4].isdigit():
        return "SAM"
    if len(cells) < 3 or not (cells[1].isdigit() and cells[2].isdigit()):
        raise DataError(
            f"{line[:60]!r} is no alignment", where=path, expected=_EXPECTED + "; columns separated by tabs"
        )
    if len(cells) >= 6 and cells[4].lstrip("-").isdigit() and cells[5].lstrip("-").isdigit():
        raise DataError(
            "this is the BEDPE of bedtools (two mates in a row), whose first mate MACS3 would take for the fragment",
            where=path,
            expected="the BEDPE of MACS3: chrom, start and end of the whole fragment",
            fix="awk -v OFS='\\t' '$1==$4{print $1, ($2<$5?$2:$5), ($3>$6?$3:$6)}'",
        )
    if len(cells) >= 6 and cells[5] in ("+", "-"):
        return "BED"
    return "FRAG" if all(map(_is_fragment, lines)) else "BEDPE"


def _is_fragment(line: str) -> bool:
    """Five columns of a single-cell fragment file: its barcode, and how often it was read."""
    cells = line.split("\t")
    return len(cells) == 5 and cells[4].isdigit() and int(cells[4]) > 0 and bool(_BARCODE.fullmatch(cells[3]))


def _data_lines(handle: IO[bytes]) -> Iterator[str]:
    for raw in handle:
        line = raw.decode().rstrip("\r\n").removeprefix("\ufeff")
        if line.strip() and not line.startswith(("#", "track", "browser")):
            yield line


def _share_paired(handle: IO[bytes]) -> float:
    """Share of the first records of a BAM that are halves of pairs; the magic number is read already."""
    _skip_header(handle)
    flags: list[int] = []
    while len(flags) < _NUM_SAMPLED and len(size := handle.read(4)) == 4:
        record = handle.read(struct.unpack("<i", size)[0])
        flags.append(struct.unpack_from("<H", record, 14)[0])
    return sum(flag & 1 for flag in flags) / max(1, len(flags))


def _skip_header(handle: IO[bytes]) -> dict[str, int]:
    handle.read(struct.unpack("<i", handle.read(4))[0])
    sizes = {}
    for _ in range(struct.unpack("<i", handle.read(4))[0]):
        name = handle.read(struct.unpack("<i", handle.read(4))[0])[:-1].decode()
        sizes[name] = struct.unpack("<i", handle.read(4))[0]
    return sizes


def _bam_header(handle: IO[bytes], path: Path) -> dict[str, int]:
    if handle.read(4) != b"BAM\1":
        raise DataError("this is no BAM", where=path, expected="a BAM file", fix="correct or remove its format")
    return _skip_header(handle)


def _sam_header(handle: IO[bytes], path: Path) -> dict[str, int]:
    sizes = {}
    for line in _data_lines(handle):
        if not line.startswith("@"):
            break
        fields = dict(cell.split(":", 1) for cell in line.split("\t")[1:] if ":" in cell)
        if line.startswith("@SQ\t"):
            sizes[fields["SN"]] = int(fields["LN"])
    if not sizes:
        raise DataError("no @SQ line", where=path, expected="a SAM file with its header", fix="samtools view -h")
    return sizes


def _skip_text_header(handle: IO[bytes]) -> None:
    """Leave the handle at the first line of data."""
    at = handle.tell()
    while (line := handle.readline()) and (not line.strip() or line.startswith((b"#", b"track", b"browser"))):
        at = handle.tell()
    handle.seek(at)


def _text_facts(handle: IO[bytes], path: Path) -> AlignmentFacts:
    sizes: dict[str, int] = {}
    num_reads = 0
    _skip_text_header(handle)
    try:
        chunks = pd.read_csv(
            handle,
            sep="\t",
            header=None,
            usecols=[0, 1, 2],
            dtype={0: str, 1: str, 2: str},
            comment="#",
            keep_default_na=False,
            quoting=csv.QUOTE_NONE,
            chunksize=_CHUNK_ROWS,
            skip_blank_lines=True,
        )
        for chunk in chunks:
            start, end = (pd.to_numeric(chunk[column], errors="coerce").to_numpy(np.float64) for column in (1, 2))
            is_bad = ~((start >= 0) & (end > start) & (start % 1 == 0) & (end % 1 == 0))
            if is_bad.any():
                bad = int(np.argmax(is_bad))
                raise DataError(
                    f"{int(is_bad.sum())} rows are no intervals, such as {' '.join(chunk.iloc[bad].tolist())!r}",
                    where=f"{path}, data row {num_reads + bad + 1}",
                    expected="chrom, start, end with 0 <= start < end, whole numbers",
                )
            for chrom, last in pd.Series(end).groupby(chunk[0].to_numpy()).max().items():
                sizes[str(chrom)] = max(sizes.get(str(chrom), 0), int(last))
            num_reads += len(chunk)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise DataError(f"the alignments cannot be read: {error}", where=path, expected=_EXPECTED) from error
    return AlignmentFacts(sizes, num_reads)
