"""DNA that somebody typed: sequences in memory, read as a genome of which each is a chromosome."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.reference import UNKNOWN, base_codes


class Sequences:
    """Sequences in memory, where a :class:`~seqexp.dna.genome.reference.Reference` has a FASTA.

    Parameters
    ----------
    texts : mapping
        Name to DNA, either case; IUPAC letters beyond A, C, G, T read as N.

    Attributes
    ----------
    path : str
        What they are called in messages.
    chrom_sizes : dict
        Length in bp by name.

    Raises
    ------
    DataError
        A letter stands for no base.
    """

    path = "the DNA given"

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._codes = {name: _decoded(name, text) for name, text in texts.items()}
        self.chrom_sizes = {name: len(codes) for name, codes in self._codes.items()}

    def codes(self, interval: Interval) -> NDArray[np.uint8]:
        """Bases of a window (L,), as of :meth:`seqexp.dna.genome.reference.Reference.codes`."""
        whole = self._codes[interval.chrom]
        codes = np.full(interval.width, UNKNOWN, dtype=np.uint8)
        start, end = max(interval.start, 0), min(interval.end, len(whole))
        if start < end:
            codes[start - interval.start : end - interval.start] = whole[start:end]
        if not interval.is_reverse:
            return codes
        return np.where(codes < UNKNOWN, 3 - codes, codes)[::-1].astype(np.uint8)


def _decoded(name: str, text: str) -> NDArray[np.uint8]:
    codes = base_codes(text.encode("utf-8"))
    if (codes > UNKNOWN).any():
        letter = chr(text.encode("utf-8")[int(np.argmax(codes > UNKNOWN))])
        raise DataError(
            f"{letter!r} in sequence {name} stands for no base",
            where=f"base {int(np.argmax(codes > UNKNOWN))}",
            expected="A, C, G, T, N and other IUPAC letters of DNA",
        )
    return codes
