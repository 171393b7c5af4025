"""The genome sequence: windows of a FASTA, plain or bgzip, as base codes or text."""

from __future__ import annotations

import bisect
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyfaidx import Faidx

from seqexp.core.errors import DataError
from seqexp.dna.genome.fasta_index import READ_ERRORS, find_or_build_index, is_bgzip
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import NameMap

UNKNOWN = 4
_NEWLINES = b"\r\n"
_COMPLEMENT = bytes.maketrans(b"ACGTRYKMBVDH", b"TGCAYRMKVBHD")


def _code_table(bases: bytes) -> bytes:
    """256-entry table from a letter, either case, to its place in ``bases``; every other byte to 4."""
    table = bytearray([UNKNOWN]) * 256
    for code, base in enumerate(bases):
        table[base] = table[base + 32] = code
    return bytes(table)


_FORWARD_CODES, _REVERSE_CODES = _code_table(b"ACGT"), _code_table(b"TGCA")


class Reference:
    """Random access to a FASTA.

    Parameters
    ----------
    fasta_path : path
        Plain or bgzip FASTA. A missing or outdated index is built beside it, or in a cache folder when that folder is
        read-only.

    Attributes
    ----------
    chrom_sizes : dict
        Length in bp by chromosome name, in the order of the file.

    Raises
    ------
    DataError
        The file is missing, cut short, compressed with plain gzip, or cannot be indexed.

    Notes
    -----
    Chromosomes are found by alias too (``chr1`` and ``1``). Objects can be pickled and used after a fork: each process
    opens the file for itself.

    Source
    ------
    Index and bgzip blocks are read by pyfaidx and Bio.bgzf; bases are decoded here in one pass over the bytes.
    """

    def __init__(self, fasta_path: str | Path) -> None:
        self.path = Path(fasta_path)
        self._is_bgzip = is_bgzip(self.path)
        self._fai, self._gzi = find_or_build_index(self.path, self._is_bgzip)
        self._faidx: Any = None
        self._pid = -1
        self.chrom_sizes: dict[str, int] = {name: record.rlen for name, record in self._open().index.items()}
        self._names = NameMap(self.chrom_sizes)

    def find(self, chrom: str) -> str:
        """Name of a chromosome in this file.

        Raises
        ------
        DataError
            The file does not have it under any known alias.
        """
        name = self._names.find(chrom)
        if name is None:
            known = ", ".join(list(self.chrom_sizes)[:6]) + (" …" if len(self.chrom_sizes) > 6 else "")
            raise DataError(
                f"no chromosome {chrom!r} in the FASTA",
                where=self.path,
                expected=f"one of its {len(self.chrom_sizes)} sequences: {known}",
                fix="use files of the same assembly",
            )
        return name

    def codes(self, interval: Interval) -> NDArray[np.uint8]:
        """Bases of a window as small integers.

        Parameters
        ----------
        interval : Interval
            May reach beyond the chromosome. Strand ``-`` gives the reverse complement.

        Returns
        -------
        uint8 array (L,)
            A 0, C 1, G 2, T 3 in either case; 4 for N, other IUPAC letters and bases outside the chromosome.
        """
        raw, left, right = self._letters(interval)
        table = _REVERSE_CODES if interval.is_reverse else _FORWARD_CODES
        found = np.frombuffer(raw.translate(table, _NEWLINES), dtype=np.uint8)
        self._require_length(found.size, interval, left, right)
        codes = np.full(interval.width, UNKNOWN, dtype=np.uint8)
        if interval.is_reverse:
            codes[right : interval.width - left] = found[::-1]
        else:
            codes[left : interval.width - right] = found
        return codes

    def sequence(self, interval: Interval) -> str:
        """Bases of a window as upper-case text; IUPAC letters stay, bases outside the chromosome are ``N``."""
        raw, left, right = self._letters(interval)
        letters = raw.translate(None, _NEWLINES).upper()
        self._require_length(len(letters), interval, left, right)
        letters = b"N" * left + letters + b"N" * right
        return (letters.translate(_COMPLEMENT)[::-1] if interval.is_reverse else letters).decode("ascii")

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        if self._faidx is not None and self._pid == os.getpid():
            self._faidx.close()
        self._faidx, self._pid = None, -1

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_faidx": None, "_pid": -1}

    def __repr__(self) -> str:
        return f"Reference({str(self.path)!r}, {len(self.chrom_sizes)} sequences)"

    def _open(self) -> Any:
        if self._pid != os.getpid():
            # A file position shared with the parent process would be moved by both: never reuse its handle.
            gzi = None if self._gzi is None else str(self._gzi)
            try:
                self._faidx = Faidx(str(self.path), indexname=str(self._fai), gzi_indexname=gzi, build_index=False)
            except READ_ERRORS as error:
                raise self._damaged(f"the FASTA or its index cannot be read: {error}") from error
            self._pid = os.getpid()
        return self._faidx

    def _letters(self, interval: Interval) -> tuple[bytes, int, int]:
        """Bytes of the part inside the chromosome, line ends included, and the bases missing left and right of it."""
        faidx = self._open()
        record = faidx.index[self.find(interval.chrom)]
        start = min(max(interval.start, 0), record.rlen)
        end = max(min(interval.end, record.rlen), start)
        left, right = min(start - interval.start, interval.width), interval.end - end
        if start == end:
            left, right = interval.width, 0
            return b"", left, right
        first, last = (
            record.offset + base // record.lenc * record.lenb + base % record.lenc for base in (start, end - 1)
        )
        try:
            return self._read(faidx, first, last + 1 - first), left, right
        except READ_ERRORS as error:
            raise self._damaged(f"the FASTA cannot be read at {interval}: {error}") from error

    def _read(self, faidx: Any, offset: int, num_bytes: int) -> bytes:
        if not self._is_bgzip:
            return os.pread(faidx.file.fileno(), num_bytes, offset)
        block = faidx.gzi_index[bisect.bisect_right(faidx.gzi_index, offset, key=lambda item: item.ustart) - 1]
        faidx.file.seek(block.cstart << 16 | offset - block.ustart)
        raw: bytes = faidx.file.read(num_bytes)
        return raw

    def _require_length(self, num_found: int, interval: Interval, left: int, right: int) -> None:
        if num_found != interval.width - left - right:
            raise self._damaged(f"{num_found} of {interval.width - left - right} bases found at {interval}")

    def _damaged(self, found: str) -> DataError:
        return DataError(
            found,
            where=self.path,
            expected="a whole FASTA and an index that was built from it",
            fix=f"delete {self._fai} and try again; if that fails, the FASTA is corrupt: download it again",
        )
