"""The genome sequence: windows of a FASTA, plain or bgzip, as base codes or text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.dna.genome.fasta_bytes import open_bytes
from seqexp.dna.genome.fasta_index import Record, find_or_build_index
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import NameMap

UNKNOWN = 4
_NO_BASE = 5
_NEWLINES = b"\r\n"
_AMBIGUOUS = b"NRYSWKMBDHVX"
_COMPLEMENT = bytes.maketrans(b"ACGTRYKMBVDH", b"TGCAYRMKVBHD")


def _code_table(bases: bytes) -> bytes:
    """256-entry table from a letter, either case, to its place in ``bases``; 4 for N and its kin, 5 for the rest."""
    table = bytearray([_NO_BASE]) * 256
    for code, letters in enumerate([*(bytes([base]) for base in bases), _AMBIGUOUS]):
        for letter in letters:
            table[letter] = table[letter + 32] = code
    return bytes(table)


_FORWARD_CODES, _REVERSE_CODES = _code_table(b"ACGT"), _code_table(b"TGCA")


def base_codes(letters: bytes) -> NDArray[np.uint8]:
    """Letters as small integers (L,): A 0, C 1, G 2, T 3, 4 for N, X and other IUPAC letters, 5 for what is no base."""
    return np.frombuffer(letters.translate(_FORWARD_CODES), dtype=np.uint8)


class Reference:
    """Random access to a FASTA.

    Parameters
    ----------
    fasta_path : path
        Plain or bgzip FASTA. A missing index, or one that does not belong to the file, is built beside it, or in a
        cache folder when that folder is read-only.

    Attributes
    ----------
    chrom_sizes : dict
        Length in bp by chromosome name, in the order of the file.
    index_note : str
        Which index is used, and why not the one that was there.

    Raises
    ------
    DataError
        The file is missing, cut short, compressed with plain gzip, or cannot be indexed. Reads raise it at letters that
        stand for no base, such as those of a protein or the U of RNA, and where lines are not as the index says.

    Notes
    -----
    Chromosomes are found by alias too (``chr1`` and ``1``). Objects can be pickled and used after a fork.

    Source
    ------
    Indexes are built by pyfaidx; bases are decoded here in one pass over the bytes.
    """

    def __init__(self, fasta_path: str | Path) -> None:
        self.path = Path(fasta_path)
        self._text = open_bytes(self.path)
        index = find_or_build_index(self._text)
        self._fai, self._records, self.index_note = index.path, index.records, index.note
        self.chrom_sizes: dict[str, int] = {name: record.length for name, record in self._records.items()}
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
            A 0, C 1, G 2, T 3 in either case; 4 for N, other IUPAC letters, X, and bases outside the chromosome.

        Raises
        ------
        DataError
            A letter stands for no base, or the file is damaged.
        """
        raw, left, right = self._letters(interval)
        table = _REVERSE_CODES if interval.is_reverse else _FORWARD_CODES
        found = np.frombuffer(raw.translate(table, _NEWLINES), dtype=np.uint8)
        self._require_bases(found, raw, interval, left=left, right=right)
        codes = np.full(interval.width, UNKNOWN, dtype=np.uint8)
        if interval.is_reverse:
            codes[right : interval.width - left] = found[::-1]
        else:
            codes[left : interval.width - right] = found
        return codes

    def sequence(self, interval: Interval) -> str:
        """Bases of a window as upper-case text; IUPAC letters stay, bases outside the chromosome are ``N``."""
        raw, left, right = self._letters(interval)
        found = np.frombuffer(raw.translate(_FORWARD_CODES, _NEWLINES), dtype=np.uint8)
        self._require_bases(found, raw, interval, left=left, right=right)
        letters = raw.translate(None, _NEWLINES).upper()
        letters = b"N" * left + letters + b"N" * right
        return (letters.translate(_COMPLEMENT)[::-1] if interval.is_reverse else letters).decode("ascii")

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        self._text.close()

    def __repr__(self) -> str:
        return f"Reference({str(self.path)!r}, {len(self.chrom_sizes)} sequences)"

    def _letters(self, interval: Interval) -> tuple[bytes, int, int]:
        """Bytes of the part inside the chromosome, line ends included, and the bases missing left and right of it."""
        record = self._records[self.find(interval.chrom)]
        start = min(max(interval.start, 0), record.length)
        end = max(min(interval.end, record.length), start)
        if start == end:
            return b"", interval.width, 0
        first = record.place(start)
        raw = self._text.read(first, record.place(end - 1) + 1 - first)
        if not _has_line_ends(raw, record, start):
            raise self._damaged(f"lines do not end where the index says at {interval}")
        return raw, start - interval.start, interval.end - end

    def _require_bases(
        self, found: NDArray[np.uint8], raw: bytes, interval: Interval, *, left: int, right: int
    ) -> None:
        if found.size != interval.width - left - right:
            raise self._damaged(f"{found.size} of {interval.width - left - right} bases found at {interval}")
        if found.size and found.max() > UNKNOWN:
            at = int(np.argmax(found > UNKNOWN))
            letter = chr(raw.translate(None, _NEWLINES)[at])
            is_rna = letter in "Uu"
            raise DataError(
                f"{letter!r} in the sequence of {interval.chrom} stands for no base",
                where=f"{self.path}, {interval.chrom}:{interval.start + left + at}",
                expected="A, C, G, T, N and other IUPAC letters of DNA" + (", where RNA has U" if is_rna else ""),
                fix="write T for U" if is_rna else "use the DNA sequence of the genome, not a protein or an alignment",
            )

    def _damaged(self, found: str) -> DataError:
        return DataError(
            found,
            where=self.path,
            expected="a whole FASTA with lines of even length",
            fix=f"delete {self._fai} and try again; if that fails, the FASTA is corrupt: download it again",
        )


def _has_line_ends(raw: bytes, record: Record, start: int) -> bool:
    """Whether line ends lie where the geometry of the record wants them; how many there are is counted elsewhere."""
    num_ends = record.line_bytes - record.line_bases
    at = record.line_bases - start % record.line_bases
    letters = np.frombuffer(raw, dtype=np.uint8)
    return all(
        bool((letters[at + num_ends - 1 - number :: record.line_bytes] == _NEWLINES[1 - number]).all())
        for number in range(num_ends)
    )
