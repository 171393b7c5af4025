"""Hi-C contacts of a TSS with the bases of a window, from sparse symmetric matrices of bins.

Contacts are constant inside a bin of some kb, so a row of the matrix is kept instead of a track per gene and base.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from seqexp.core.errors import ConfigError, DataError
from seqexp.dna.genome.contact_files import ContactSpec, Normalise, read_contacts
from seqexp.dna.genome.interval import Interval
from seqexp.dna.genome.names import NameMap

# The pseudocount of the publication: contact at 1 Mb by the power law of exponent 0.87 that its code uses.
POWER_LAW_1MB = 0.00123


class ContactMap:
    """Contacts inside chromosomes; made by :meth:`read`.

    Parameters
    ----------
    matrices : mapping
        Chromosome to symmetric csr_matrix (K, K), one row per bin.
    chrom_sizes : mapping
        Length in bp of each of these chromosomes.
    spec : ContactSpec
        Width of a bin, pseudocount and alignment.
    reach_bp : int, optional
        Contacts of bases farther apart than this were dropped; None: nothing was.

    Notes
    -----
    Under the alignment ``released``, a window that reaches beyond a chromosome end is read as the released Seq2Exp code
    does: its writer pads such a window to full length, its loader pads it by the same amounts again and cuts out the
    centre. With ``p`` missing bases on the left and ``q`` on the right, every contact lands ``(p - q) / 2`` bases to
    the right of where it belongs, on the forward strand. Other windows are the same under both alignments.
    """

    def __init__(
        self,
        matrices: Mapping[str, sparse.csr_matrix],
        chrom_sizes: Mapping[str, int],
        spec: ContactSpec,
        reach_bp: int | None = None,
    ) -> None:
        self.spec, self.bin_bp, self.reach_bp = spec, spec.bin_bp, reach_bp
        self._matrices = dict(matrices)
        self._sizes = {chrom: int(chrom_sizes[chrom]) for chrom in self._matrices}
        self._names = NameMap(self._matrices)

    @classmethod
    def read(
        cls,
        spec: ContactSpec,
        chrom_sizes: Mapping[str, int],
        chroms: Iterable[str] | None = None,
        reach_bp: int | None = None,
    ) -> ContactMap:
        """Read and normalise.

        Parameters
        ----------
        spec : ContactSpec
        chrom_sizes : mapping
            Lengths of the chromosomes of the FASTA.
        chroms : iterable of str, optional
            Chromosomes that will be asked for, by their FASTA names: only these are read, and each must have a file.
            All by default.
        reach_bp : int, optional
            Largest distance from a TSS that will be asked for; what lies farther apart counts for the normalisation
            and is then dropped, which saves most of the memory.

        Raises
        ------
        DataError
            A chromosome has no contacts or is not in the FASTA, or a file cannot be used (see :func:`read_contacts`).
        """
        files = {name: spec.paths[own] for own, name in spec.names_in(chrom_sizes).items()}
        wanted = list(files) if chroms is None else list(dict.fromkeys(chroms))
        absent = [chrom for chrom in wanted if chrom not in files]
        if absent:
            raise DataError(
                f"no contacts of {', '.join(absent[:10])}" + (f" and {len(absent) - 10} more" if absent[10:] else ""),
                where=spec.source,
                expected="a file for every chromosome whose genes are used",
                fix="add it under contacts.paths, or leave the chromosome out of the splits",
            )
        matrices = {}
        for chrom in wanted:
            counts = read_contacts(files[chrom], spec.bin_bp, chrom_sizes[chrom])
            matrices[chrom] = _within(normalised(counts, spec.normalise), spec.bin_bp, reach_bp).astype(np.float32)
        return cls(matrices, chrom_sizes, spec, reach_bp)

    @property
    def num_pairs(self) -> int:
        """Pairs of bins that are kept, each counted once."""
        return sum(int(matrix.nnz + np.count_nonzero(matrix.diagonal())) // 2 for matrix in self._matrices.values())

    def values(self, interval: Interval, tss: int, bin_bp: int = 1) -> NDArray[np.float32]:
        """Contacts of a TSS with a window.

        Parameters
        ----------
        interval : Interval
            May reach beyond the chromosome. Strand ``-`` turns the window round.
        tss : int
            Forward-strand position of the TSS, 0-based; it need not lie in the window.
        bin_bp : int
            Width of a signal bin; must divide the width of the window, and need not fit the contact bins.

        Returns
        -------
        float32 array (N,)
            Mean over the bases ``b`` of each signal bin of ``log10(1 + contact(bin of b, bin of the TSS))``, where
            bases outside the chromosome are 0.

        Raises
        ------
        ConfigError
            The width is not a multiple of ``bin_bp``.
        DataError
            There are no contacts of the chromosome, the TSS lies outside it, or the window reaches farther from the TSS
            than was read.
        """
        if bin_bp < 1 or interval.width % bin_bp:
            raise ConfigError(
                f"a window of {interval.width} bp cannot be cut into bins of {bin_bp} bp",
                where=str(interval),
                expected="a window width that is a multiple of bin_bp",
            )
        chrom = self._names.find(interval.chrom)
        if chrom is None:
            raise DataError(
                f"no contacts of {interval.chrom}", where=self.spec.source, expected=f"one of: {', '.join(self._sizes)}"
            )
        chrom_bp = self._sizes[chrom]
        if not 0 <= tss < chrom_bp:
            raise DataError(f"TSS {tss} lies outside {chrom}", where=str(interval), expected=f"0 to {chrom_bp - 1}")
        if self.spec.alignment == "released":
            interval = _as_released(interval, chrom_bp)
        start, end = max(interval.start, 0), min(interval.end, chrom_bp)
        if start >= end:
            return np.zeros(interval.width // bin_bp, dtype=np.float32)
        self._require_reach(interval, max(tss - start, end - 1 - tss))
        first, stop = start // self.bin_bp, -(-end // self.bin_bp)
        levels = np.log10(1 + self._row(chrom, tss // self.bin_bp, first, stop) + self.spec.pseudocount)
        # The area under the levels is piecewise linear in the position and flat outside the chromosome, so the mean of
        # any signal bin is a difference of two of its values.
        borders = np.minimum(np.arange(first, stop + 1) * self.bin_bp, chrom_bp)
        area = np.concatenate([[0.0], np.cumsum(levels * np.diff(borders))])
        edges = np.arange(interval.start, interval.end + 1, bin_bp)
        means = np.diff(np.interp(edges, borders, area)) / bin_bp
        return (means[::-1] if interval.is_reverse else means).astype(np.float32)

    def __repr__(self) -> str:
        return f"ContactMap({', '.join(self._matrices)}; bins of {self.bin_bp} bp, {self.spec.normalise})"

    def _row(self, chrom: str, number: int, first: int, stop: int) -> NDArray[np.float64]:
        """Contacts of one bin with bins ``first`` to ``stop - 1``."""
        matrix = self._matrices[chrom]
        stored = slice(*matrix.indptr[number : number + 2])
        bins, values = matrix.indices[stored], matrix.data[stored]
        is_inside = (bins >= first) & (bins < stop)
        row = np.zeros(stop - first)
        row[bins[is_inside] - first] = values[is_inside]
        return row

    def _require_reach(self, interval: Interval, distance_bp: int) -> None:
        if self.reach_bp is not None and distance_bp > self.reach_bp:
            raise DataError(
                f"the window reaches {distance_bp} bp from the TSS",
                where=str(interval),
                expected=f"at most {self.reach_bp} bp, the reach_bp that the contacts were read with",
            )


def normalised(counts: sparse.csr_matrix, method: Normalise) -> sparse.csr_matrix:
    """Take the coverage of the bins out of symmetric counts (K, K), and keep their total.

    Parameters
    ----------
    counts : csr_matrix (K, K)
    method : {"none", "vc", "vc_sqrt"}
        ``vc``, vanilla coverage, divides each count by the product of the sums of its two rows (the default, as in the
        publication); ``vc_sqrt`` divides by the square root of that product. Contacts near the diagonal lie within one
        copy of a chromosome and grow with the number of copies once, as the sums do: ``vc`` divides by the copies
        twice, ``vc_sqrt`` once.
    """
    if method == "none":
        return counts
    sums = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    scales = np.zeros_like(sums)
    np.power(sums, -1.0 if method == "vc" else -0.5, out=scales, where=sums > 0)
    diagonal = sparse.diags(scales)
    divided = diagonal @ counts @ diagonal
    return sparse.csr_matrix(divided * (counts.sum() / divided.sum()))


def _within(matrix: sparse.csr_matrix, bin_bp: int, reach_bp: int | None) -> sparse.csr_matrix:
    """Only the pairs of bins that hold bases up to ``reach_bp`` apart."""
    if reach_bp is None:
        return matrix
    pairs = matrix.tocoo()
    is_near = np.abs(pairs.row - pairs.col) <= -(-reach_bp // bin_bp)
    return sparse.csr_matrix((pairs.data[is_near], (pairs.row[is_near], pairs.col[is_near])), shape=matrix.shape)


def _as_released(interval: Interval, chrom_bp: int) -> Interval:
    """Where the contacts come from that the released code puts into a window: padded twice, centre cut out."""
    before, after = max(0, -interval.start), max(0, interval.end - chrom_bp)
    moved_bp = (before + after) // 2 - before
    return replace(interval, start=interval.start + moved_bp, end=interval.end + moved_bp)
