"""Masks of many genes, and where their bins lie on the genome."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seqexp.core.errors import DataError
from seqexp.core.files import atomic_path
from seqexp.dna.genome.interval import Interval

_VERSION = 1
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class MaskSet:
    """One mask per gene window.

    Attributes
    ----------
    gene_ids : tuple of str
        R genes.
    windows : tuple of Interval
        Window of each gene, with its strand.
    values : float32 array (R, N)
        Masks in [0, 1], in gene orientation: the first bin is the most upstream one.
    bin_bp : int
        Bases per bin.
    chrom_sizes : mapping
        Length of each chromosome in bp; bins outside are never kept.

    Raises
    ------
    DataError
        Shapes do not agree, a value is not finite, a gene comes twice, or a chromosome has no length.
    """

    gene_ids: tuple[str, ...]
    windows: tuple[Interval, ...]
    values: NDArray[np.float32]
    bin_bp: int
    chrom_sizes: Mapping[str, int]

    def __post_init__(self) -> None:
        widths = {window.width for window in self.windows}
        expected = self.values.shape[1] * self.bin_bp if self.values.ndim == 2 else -1
        if len(self.windows) != len(self.values) or len(self.gene_ids) != len(self.values) or widths - {expected}:
            raise DataError(
                f"masks of shape {self.values.shape} for {len(self.windows)} windows of {sorted(widths)[:3]} bp",
                expected=f"one row per window, bins of {self.bin_bp} bp",
            )
        if not bool(np.isfinite(self.values).all()):
            raise DataError("masks hold values that are not finite", expected="one number per bin")
        if len(set(self.gene_ids)) != len(self.gene_ids):
            raise DataError("a gene has two masks", expected="one window per gene")
        unknown = sorted({window.chrom for window in self.windows} - set(self.chrom_sizes))
        if unknown:
            raise DataError(f"chromosome {unknown[0]!r} has no known length", expected="names of the FASTA")

    def forward(self) -> NDArray[np.float32]:
        """Masks (R, N) along the forward strand: rows of genes on the minus strand turned round."""
        is_reverse = np.array([window.is_reverse for window in self.windows], dtype=bool)
        return np.where(is_reverse[:, None], self.values[:, ::-1], self.values)

    def starts(self) -> NDArray[np.int64]:
        """Genome position of every bin (R, N) along the forward strand; may lie outside the chromosome."""
        first = np.array([window.start for window in self.windows], dtype=np.int64)
        return first[:, None] + np.arange(self.values.shape[1]) * self.bin_bp

    def is_inside(self) -> NDArray[np.bool_]:
        """Bins (R, N), along the forward strand, that lie wholly on their chromosome."""
        sizes = np.array([self.chrom_sizes[window.chrom] for window in self.windows], dtype=np.int64)
        starts = self.starts()
        return (starts >= 0) & (starts + self.bin_bp <= sizes[:, None])

    def select(self, rows: Sequence[int] | NDArray[np.integer]) -> MaskSet:
        """The masks of some genes."""
        picked = np.asarray(rows, dtype=np.int64)
        gene_ids = tuple(self.gene_ids[row] for row in picked)
        windows = tuple(self.windows[row] for row in picked)
        return MaskSet(gene_ids, windows, self.values[picked], self.bin_bp, self.chrom_sizes)

    def merged(self) -> pd.DataFrame:
        """One genome-wide track: chrom, start, end, value; the maximum where windows overlap, runs joined."""
        values = self.forward()
        parts: list[pd.DataFrame] = []
        for chrom in sorted({window.chrom for window in self.windows}):
            rows = sorted((w.start, i) for i, w in enumerate(self.windows) if w.chrom == chrom)
            block: list[int] = []
            reach = -1
            for start, row in [*rows, (np.iinfo(np.int64).max, -1)]:
                if block and start >= reach:
                    parts.append(self._block(chrom, block, values))
                    block = []
                if row >= 0:
                    reach = max(reach, self.windows[row].end) if block else self.windows[row].end
                    block.append(row)
        columns = ["chrom", "start", "end", "value"]
        parts = [part for part in parts if len(part)]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)

    def _block(self, chrom: str, rows: list[int], values: NDArray[np.float32]) -> pd.DataFrame:
        """Runs of equal value over overlapping windows, clipped to the chromosome."""
        start = min(self.windows[row].start for row in rows)
        end = max(self.windows[row].end for row in rows)
        track = np.zeros(end - start, dtype=np.float32)
        for row in rows:
            place = slice(self.windows[row].start - start, self.windows[row].end - start)
            np.maximum(track[place], np.repeat(values[row], self.bin_bp), out=track[place])
        low, high = max(0, -start), min(end, self.chrom_sizes[chrom]) - start
        track, start = track[low : max(low, high)], start + low
        if not len(track):
            return pd.DataFrame({"chrom": [], "start": [], "end": [], "value": []})
        edges = np.flatnonzero(np.diff(track)) + 1
        first = np.concatenate([[0], edges])
        last = np.concatenate([edges, [len(track)]])
        return pd.DataFrame({"chrom": chrom, "start": start + first, "end": start + last, "value": track[first]})

    def save(self, path: str | Path) -> None:
        """Write as compressed npz, atomically."""
        sizes = {f"size:{name}": np.int64(size) for name, size in self.chrom_sizes.items()}
        with atomic_path(path) as temporary, open(temporary, "wb") as handle:
            np.savez_compressed(
                handle,
                version=np.int64(_VERSION),
                gene_ids=np.array(self.gene_ids, dtype=np.str_),
                chrom=np.array([w.chrom for w in self.windows], dtype=np.str_),
                start=np.array([w.start for w in self.windows], dtype=np.int64),
                end=np.array([w.end for w in self.windows], dtype=np.int64),
                strand=np.array([w.strand for w in self.windows], dtype=np.str_),
                values=self.values.astype(np.float32),
                bin_bp=np.int64(self.bin_bp),
                **sizes,
            )

    @classmethod
    def load(cls, path: str | Path) -> MaskSet:
        """Read what :meth:`save` wrote.

        Raises
        ------
        DataError
            The file is missing, is no npz, or was written by another version.
        """
        try:
            with np.load(path, allow_pickle=False) as content:
                held = dict(content)
            windows = tuple(
                Interval(str(c), int(s), int(e), str(d))
                for c, s, e, d in zip(held["chrom"], held["start"], held["end"], held["strand"])
            )
            if int(held["version"]) != _VERSION:
                raise DataError(f"masks of version {int(held['version'])}", where=path, expected=f"version {_VERSION}")
            sizes = {k.removeprefix("size:"): int(v) for k, v in held.items() if k.startswith("size:")}
            return cls(tuple(map(str, held["gene_ids"])), windows, held["values"], int(held["bin_bp"]), sizes)
        except _UNREADABLE as error:
            raise DataError(f"not readable as masks: {error}", where=path, expected="masks.npz of a run") from error
